package import BloomBase
package import BloomPlatform

/// The leaf hashes of the directory's log on disk, 32 bytes each, oldest first.
///
/// A leaf is kept before its snapshot is shown to anybody: a restart never takes history back.
package actor LeafLog {
  private nonisolated let executor = ThreadExecutor(name: "directory-log")
  private let folder: PrivateFolder
  /// Bytes of each file that are leaves of its log.
  private var byteCounts: [String: Int] = [:]
  /// Files whose last leaf was refused and may be there all the same, whole or in part.
  private var doubtful: Set<String> = []
  /// The file of the network's own directory.
  package static let networkFile = "directory.log"

  /// Runs on a thread of its own, since disks block.
  nonisolated package var unownedExecutor: UnownedSerialExecutor {
    unsafe executor.asUnownedSerialExecutor()
  }

  /// Keeps the log in a folder.
  package init(_ folder: PrivateFolder) { self.folder = folder }

  deinit { executor.stop() }

  /// All leaves; what a crash cut off was never shown and is dropped.
  ///
  /// - Throws: `PrivateFolderError` when the file cannot be read.
  package func load(_ file: String = LeafLog.networkFile) throws -> [Digest] {
    let bytes = try folder.read(file, limitBytes: 1 << 30) ?? []
    var whole = bytes.count - bytes.count % Digest.byteCount
    if doubtful.contains(file), let known = byteCounts[file] { whole = min(whole, known) }
    if whole != bytes.count { try folder.replace(file, with: Array(bytes[..<whole])) }
    doubtful.remove(file)
    byteCounts[file] = whole
    return stride(from: 0, to: whole, by: Digest.byteCount).compactMap {
      Digest(bytes[$0..<$0 + Digest.byteCount])
    }
  }

  /// Adds a leaf and returns when it survives a power loss.
  ///
  /// - Throws: `PrivateFolderError` when it was not kept; the log goes on from the one before.
  package func append(_ leaf: Digest, to file: String = LeafLog.networkFile) throws {
    // A leaf that was refused must not stand before this one: clients see a log without it.
    if byteCounts[file] == nil || doubtful.contains(file) { _ = try load(file) }
    do {
      try folder.append(file, leaf.bytes)
    } catch {
      doubtful.insert(file)
      throw error
    }
    byteCounts[file, default: 0] += Digest.byteCount
  }

  /// The file of a pool's directory; the name is a pool's, so it is a file's.
  static func file(ofPool name: String) -> String { "pool-\(name).log" }
}
