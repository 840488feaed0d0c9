package import BloomBase
package import BloomLedger
internal import BloomPlatform

/// A backend in one SQLite file: write-ahead log, an fsync for every group.
///
/// Runs on a thread of its own. `synchronous=FULL` syncs the log at each commit, so that nothing
/// acknowledged is lost with the power (sqlite.org/pragma.html#pragma_synchronous). Readers have a
/// connection and a thread of their own, and so have checkpoints: neither waits for a commit, nor
/// a commit for them.
package actor SQLiteBackend: StoreBackend {
  package nonisolated var unownedExecutor: UnownedSerialExecutor {
    unsafe executor.asUnownedSerialExecutor()
  }

  private nonisolated let executor: ThreadExecutor
  private let path: String
  private let reader: SQLiteReader
  private let checkpointer: SQLiteCheckpointer
  private var checkpoint: Task<Void, Never>?
  private var isCheckpointDone = false
  private var connection: SQLiteConnection?
  private var writer: Int64 = 0
  /// As the file has them; `nil` when a commit failed and they must be read again.
  private var answerNumbers: AnswerNumbers?

  /// Prepares a backend; the file is opened, and made if missing, by the first call.
  ///
  /// - Parameter path: The database file; `-wal` and `-shm` files lie beside it.
  package init(path: String) {
    self.path = path
    executor = ThreadExecutor(name: "sqlite-write")
    reader = SQLiteReader(path: path)
    checkpointer = SQLiteCheckpointer(path: path)
  }

  /// The newest schema this program knows.
  package static let schemaVersion = Int64(SQLiteSchema.migrations.count)

  package func load(now: UnixTime) throws -> StoreSnapshot {
    try SQLiteQueries(try open()).snapshot(now: now)
  }

  package func commit(_ changes: StoreChanges) throws {
    let connection = try open()
    try connection.execute("BEGIN IMMEDIATE")
    do {
      // Within the transaction: a process that was deposed cannot write any more.
      guard try connection.integer("SELECT value FROM meta WHERE name = 'writer'") == writer else {
        throw StoreError(.deposed, "sqlite")
      }
      let queries = SQLiteQueries(connection)
      var numbers = try answerNumbers ?? queries.answerNumbers()
      answerNumbers = nil
      try queries.write(changes, &numbers)
      try connection.execute("COMMIT")
      answerNumbers = numbers
    } catch {
      // A failed COMMIT may have ended the transaction already; then there is nothing to undo.
      try? connection.execute("ROLLBACK")
      throw error
    }
    keepLogShort(connection)
  }

  /// Has the log copied into the file beside the commits, then ends it.
  ///
  /// The log begins anew only when all of it was copied, which never happens while groups follow
  /// one another. So after the long copy beside them the writer itself copies the few pages that
  /// came meanwhile.
  private func keepLogShort(_ connection: SQLiteConnection) {
    if isCheckpointDone {
      isCheckpointDone = false
      // What was committed is safe in the log; a failed copy is tried again with the next one.
      try? connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
    } else if checkpoint == nil, connection.walPages >= SQLiteSchema.walPages {
      checkpoint = Task { [checkpointer, weak self] in
        await checkpointer.run()
        await self?.finishCheckpoint()
      }
    }
  }

  private func finishCheckpoint() {
    checkpoint = nil
    isCheckpointDone = true
  }

  package nonisolated func entries(after sequence: Int64, limit: Int) async throws -> [Entry] {
    try await reader.read { try $0.entries(after: sequence, limit: limit) }
  }

  package nonisolated func entries(
    of account: AccountID, in period: Range<UnixTime>, after sequence: Int64, limit: Int
  ) async throws -> [Entry] {
    try await reader.read {
      try $0.entries(of: account, in: period, after: sequence, limit: limit)
    }
  }

  package nonisolated func movements(
    of account: AccountID, in period: Range<UnixTime>, after sequence: Int64, limit: Int
  ) async throws -> [Entry] {
    try await reader.read {
      try $0.movements(of: account, in: period, after: sequence, limit: limit)
    }
  }

  package nonisolated func proofs(
    _ entries: ClosedRange<Int64>
  ) async throws -> [DisputeID: [UInt8]] {
    try await reader.read { try $0.proofs(entries) }
  }

  package nonisolated func usage(
    of account: AccountID, days: ClosedRange<Int32>
  ) async throws -> [UsageKey: Usage] {
    try await reader.read { try $0.usage(of: account, days: days) }
  }

  package nonisolated func demand(
    days: ClosedRange<Int32>
  ) async throws -> [DemandKey: Usage] {
    try await reader.read { try $0.demand(days: days) }
  }

  package nonisolated func payouts(of account: AccountID?, limit: Int) async throws -> [Payout] {
    try await reader.read { try $0.payouts(of: account, limit: limit) }
  }

  package nonisolated func record(_ key: Record.Key) async throws -> Record? {
    try await reader.read { try $0.record(key) }
  }

  package nonisolated func records(
    _ kind: RecordKind, group: String
  ) async throws -> [Record] {
    try await reader.read { try $0.records(kind, group: group) }
  }

  package func deleteExpired(before time: UnixTime) throws {
    try SQLiteQueries(open()).deleteExpired(before: time)
  }

  /// Copies the database to a new file while the store is in use.
  ///
  /// - Parameter target: Must not be a ledger in use; it is overwritten.
  /// - Throws: ``StoreError`` when either file cannot be read or written.
  package func backUp(to target: String) throws { try open().backUp(to: target) }

  package func close() async {
    await checkpoint?.value
    await checkpointer.close()
    await reader.close()
    connection = nil
  }

  deinit { executor.stop() }

  private func open() throws -> SQLiteConnection {
    if let connection { return connection }
    let opened = try SQLiteConnection(path: path)
    try opened.execute("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA cache_size=-65536")
    // On macOS fsync leaves data in the drive's cache; elsewhere this changes nothing.
    try opened.execute("PRAGMA fullfsync=1; PRAGMA checkpoint_fullfsync=1")
    opened.countWALPages()
    try migrate(opened)
    connection = opened
    return opened
  }

  private func migrate(_ connection: SQLiteConnection) throws {
    try connection.execute("BEGIN IMMEDIATE")
    do {
      let version = try connection.integer("PRAGMA user_version") ?? 0
      guard version <= Self.schemaVersion else {
        throw StoreError(.unreadable, "schema \(version) is newer than \(Self.schemaVersion)")
      }
      for sql in SQLiteSchema.migrations.dropFirst(Int(version)) { try connection.execute(sql) }
      try connection.execute("PRAGMA user_version=\(Self.schemaVersion)")
      try connection.execute("COMMIT")
    } catch {
      // The file is as it was; the first error is the one to report.
      try? connection.execute("ROLLBACK")
      throw error
    }
  }

  package func takeOver() throws {
    let connection = try open()
    try connection.execute("UPDATE meta SET value = value + 1 WHERE name = 'writer'")
    writer = try connection.integer("SELECT value FROM meta WHERE name = 'writer'") ?? 0
  }
}

/// Reads beside the writer, on a connection and a thread of its own.
actor SQLiteReader {
  nonisolated var unownedExecutor: UnownedSerialExecutor {
    unsafe executor.asUnownedSerialExecutor()
  }

  private nonisolated let executor = ThreadExecutor(name: "sqlite-read")
  private let path: String
  private var connection: SQLiteConnection?

  init(path: String) { self.path = path }

  deinit { executor.stop() }

  func read<Result: Sendable>(
    _ body: @Sendable (SQLiteQueries) throws -> Result
  ) throws -> Result {
    let opened = try connection ?? SQLiteConnection(path: path, readOnly: true)
    connection = opened
    return try body(SQLiteQueries(opened))
  }

  func close() { connection = nil }
}

/// Copies the write-ahead log into the file beside the writer, on a connection and a thread of its
/// own.
actor SQLiteCheckpointer {
  nonisolated var unownedExecutor: UnownedSerialExecutor {
    unsafe executor.asUnownedSerialExecutor()
  }

  private nonisolated let executor = ThreadExecutor(name: "sqlite-copy")
  private let path: String
  private var connection: SQLiteConnection?

  init(path: String) { self.path = path }

  deinit { executor.stop() }

  /// Never fails: what was committed is safe in the log, which is copied later instead.
  func run() {
    guard let opened = try? connection ?? SQLiteConnection(path: path) else { return }
    connection = opened
    try? opened.execute("PRAGMA fullfsync=1; PRAGMA checkpoint_fullfsync=1")
    try? opened.execute("PRAGMA wal_checkpoint(PASSIVE)")
  }

  func close() { connection = nil }
}
