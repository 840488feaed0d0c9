package import BloomBase
internal import BloomCrypto
internal import BloomPlatform
internal import BloomStore
internal import BloomStorePostgres
internal import BloomWire

/// Copies of a coordinator's data folder: keys, settings, databases and the directory's log.
///
/// The books are a SQLite file in every backup, also those of a PostgreSQL database, so that either
/// can be restored from the other's. A backup is a tar file of mode 0600 whose last member,
/// `SHA256SUMS`, has the digest of every other. It holds the log's private key: keep it as you keep
/// the key. Calls block.
package struct CoordinatorBackup: Sendable {
  /// What was copied.
  package struct Summary: Equatable, Sendable {
    /// The files, in order.
    package var names: [String]
    /// Bytes of their content.
    package var byteCount: Int

    var text: String {
      names.joined(separator: "\n") + "\n\(names.count) files, \(byteCount) bytes"
    }

    var json: [UInt8] {
      JSONValue.members([
        "files": .array(names.map { .string($0) }), "bytes": .integer(byteCount),
      ]).encoded
    }
  }

  private static let sums = "SHA256SUMS"
  private static let pieceBytes = 1 << 20
  /// The list of digests is short.
  private static let sumsBytes = 1 << 20
  private let folder: CoordinatorFolder
  private let place: LedgerPlace
  private let now: UnixTime

  /// Names a folder and where its books are; `now` dates the members.
  package init(_ folder: CoordinatorFolder, place: LedgerPlace = .sqlite, now: UnixTime) {
    self.folder = folder
    self.place = place
    self.now = now
  }

  private var path: String { folder.folder.path }

  // MARK: Making

  /// Writes a backup while the coordinator may be serving.
  ///
  /// Databases are copied as of one moment, before the log's leaves: so the leaves in a backup are
  /// never fewer than its databases know.
  ///
  /// - Parameter target: A new file; one that is there already is refused.
  /// - Returns: What is in it.
  /// - Throws: ``BackupError``, or `StoreError` when a database cannot be read.
  package func make(_ target: String) throws -> Summary {
    _ = try folder.logKey()
    let draft = target + ".partial"
    PrivateFile.remove(draft)
    guard ByteFile.mode(of: target) == nil else {
      throw BackupError("the file is there already; name a new one")
    }
    do {
      let output = try ByteFile(making: draft)
      var summary = Summary(names: [], byteCount: 0)
      var list = ""
      var found = Set(PrivateFile.names(in: path))
      // Of books that are elsewhere, whatever lies in the folder.
      found.insert(CoordinatorFolder.ledgerName)
      let names = found.filter {
        TapeArchive.isPlain($0) && !Self.isPassing($0)
      }.sorted { (Self.isDatabase($0) ? 0 : 1, $0) < (Self.isDatabase($1) ? 0 : 1, $1) }
      for name in names {
        let (digest, count) = try add(name, to: output)
        summary.names.append(name)
        summary.byteCount += count
        list += "\(digest.hex)  \(name)\n"
      }
      let bytes = Array(list.utf8)
      try output.write(
        TapeArchive.encode(.init(name: Self.sums, byteCount: bytes.count, time: now)))
      try output.write(bytes + Self.zeros(TapeArchive.padding(bytes.count)))
      try output.write(Self.zeros(2 * TapeArchive.blockBytes))
      try output.synchronize()
      try ByteFile.move(draft, to: target)
      return summary
    } catch {
      PrivateFile.remove(draft)
      throw error
    }
  }

  private func add(_ name: String, to output: borrowing ByteFile) throws -> (Digest, Int) {
    var source = "\(path)/\(name)"
    let copy = "\(path)/.backup-\(name)"
    defer { PrivateFile.remove(copy) }
    if Self.isDatabase(name) {
      PrivateFile.remove(copy)
      if name == CoordinatorFolder.ledgerName {
        try place.copy(folder, to: copy)
      } else {
        try SQLiteBackend.copy(source, to: copy)
      }
      source = copy
    }
    let input = try ByteFile(reading: source)
    // A file that grows meanwhile, the log of leaves, is copied up to here.
    let count = try input.byteCount()
    try output.write(TapeArchive.encode(.init(name: name, byteCount: count, time: now)))
    var hash = SHA256()
    var left = count
    while left > 0 {
      let piece = try input.read(min(left, Self.pieceBytes))
      guard !piece.isEmpty else { throw BackupError("a file became shorter while it was read") }
      hash.update(piece)
      try output.write(piece)
      left -= piece.count
    }
    try output.write(Self.zeros(TapeArchive.padding(count)))
    return (hash.digest(), count)
  }

  private static func isDatabase(_ name: String) -> Bool { name.hasSuffix(".sqlite") }

  /// Files that belong to a running process and mean nothing later, and earlier backups.
  private static func isPassing(_ name: String) -> Bool {
    name.hasSuffix("-wal") || name.hasSuffix("-shm") || name.hasSuffix("-journal")
      || name.hasSuffix(".lock") || name.hasSuffix(".sock") || name.contains(".partial")
      || name.hasSuffix(".tar") || name == sums
  }

  private static func zeros(_ count: Int) -> [UInt8] { [UInt8](repeating: 0, count: count) }

  // MARK: Restoring

  /// Brings a backup back into the folder: all of it or nothing.
  ///
  /// A directory's log that goes on from the backup's is kept as it is: clients have seen it.
  ///
  /// - Parameters:
  ///   - source: The backup.
  ///   - force: Whether a folder or database that is a coordinator's already is overwritten.
  ///   - place: Where the books go, by the text of the backup's settings.
  /// - Returns: What was brought back.
  /// - Throws: ``BackupError`` when the backup is damaged, or when the folder is in use;
  ///   `StoreError` when the books cannot be written.
  package func restore(
    _ source: String, force: Bool, place: (String?) throws -> LedgerPlace = { _ in .sqlite }
  ) throws -> Summary {
    guard let lock = try FolderLock(folder: path) else {
      throw BackupError("a coordinator serves this folder; stop it first")
    }
    defer { withExtendedLifetime(lock) {} }
    let isTaken = PrivateFile.names(in: path).contains { $0 == "log.key" || Self.isDatabase($0) }
    guard force || !isTaken else {
      throw BackupError(
        "this folder is a coordinator's already; --force replaces its keys and books")
    }
    var summary = Summary(names: [], byteCount: 0)
    let books: LedgerPlace
    do {
      try unpack(source, &summary)
      books = try place(try settings(among: summary.names))
      try fill(books, summary.names, force: force)
    } catch {
      for name in summary.names { PrivateFile.remove(draft(name)) }
      throw error
    }
    for name in summary.names {
      if name.hasSuffix(".log"), try goesOn(name) {
        PrivateFile.remove(draft(name))
        continue
      }
      if Self.isDatabase(name) {
        // The log of the database that is replaced must not be applied to the new one.
        for suffix in ["-wal", "-shm", "-journal"] {
          PrivateFile.remove("\(path)/\(name)\(suffix)")
          PrivateFile.remove(draft(name) + suffix)
        }
        if name == CoordinatorFolder.ledgerName, books != .sqlite {
          // They are in the database now; a second ledger would be served by mistake one day.
          PrivateFile.remove(draft(name))
          PrivateFile.remove("\(path)/\(name)")
          continue
        }
      }
      try ByteFile.move(draft(name), to: "\(path)/\(name)")
    }
    return summary
  }

  /// The text of the backup's settings, once it is unpacked.
  private func settings(among names: [String]) throws -> String? {
    guard names.contains(CoordinatorFolder.settingsName) else { return nil }
    return try PrivateFile.read(draft(CoordinatorFolder.settingsName))
      .map { String(decoding: $0, as: UTF8.self) }
  }

  /// Writes the books into a database; those of a file are moved with the other files.
  private func fill(_ place: LedgerPlace, _ names: [String], force: Bool) throws {
    guard case .postgresql(let address) = place else { return }
    guard names.contains(CoordinatorFolder.ledgerName) else {
      throw BackupError("the backup holds no ledger")
    }
    guard try force || !PostgresBackend.look(address.text).isFilled else {
      throw BackupError("the database holds a ledger already; --force replaces it")
    }
    try PostgresBackend.fill(address.text, from: draft(CoordinatorFolder.ledgerName))
  }

  private func draft(_ name: String) -> String { "\(path)/.restore-\(name)" }

  private func unpack(_ source: String, _ summary: inout Summary) throws {
    let input = try ByteFile(reading: source)
    var digests: [String: String] = [:]
    while true {
      let block = try input.read(TapeArchive.blockBytes)
      guard let head = TapeArchive.decode(block), digests[head.name] == nil else {
        throw BackupError("this is no whole backup of a coordinator")
      }
      if head.name == Self.sums {
        guard head.byteCount <= Self.sumsBytes else { throw BackupError("the backup is damaged") }
        let text = String(decoding: try input.read(head.byteCount), as: UTF8.self)
        return try check(text, digests)
      }
      summary.names.append(head.name)
      summary.byteCount += head.byteCount
      PrivateFile.remove(draft(head.name))
      let output = try ByteFile(making: draft(head.name))
      var hash = SHA256()
      var left = head.byteCount
      while left > 0 {
        let piece = try input.read(min(left, Self.pieceBytes))
        guard !piece.isEmpty else { throw BackupError("the backup ends too early") }
        hash.update(piece)
        try output.write(piece)
        left -= piece.count
      }
      try output.synchronize()
      digests[head.name] = hash.digest().hex
      _ = try input.read(TapeArchive.padding(head.byteCount))
    }
  }

  private func check(_ list: String, _ digests: [String: String]) throws {
    var expected: [String: String] = [:]
    for line in list.split(separator: "\n") {
      guard line.utf8.count > 66 else { throw BackupError("the backup is damaged") }
      expected[String(line.dropFirst(66))] = String(line.prefix(64))
    }
    guard expected == digests, digests["log.key"] != nil else {
      throw BackupError("the backup is damaged: a digest differs")
    }
  }

  /// Whether the folder's file begins with the backup's.
  private func goesOn(_ name: String) throws -> Bool {
    guard ByteFile.mode(of: "\(path)/\(name)") != nil else { return false }
    let old = try ByteFile(reading: draft(name))
    let new = try ByteFile(reading: "\(path)/\(name)")
    var left = try old.byteCount()
    guard try new.byteCount() >= left else { return false }
    while left > 0 {
      let piece = try old.read(min(left, Self.pieceBytes))
      guard !piece.isEmpty, try new.read(piece.count) == piece else { return false }
      left -= piece.count
    }
    return true
  }
}
