package import BloomBase
package import BloomLedger
internal import BloomPlatform
package import BloomStore

/// A backend in a PostgreSQL database, for a cluster of coordinators with one ledger writer.
///
/// Each group is one round trip and one commit with `synchronous_commit=on`. A coordinator that
/// takes the ledger over deposes the one before: its next group fails within the database.
package actor PostgresBackend: StoreBackend {
  package nonisolated var unownedExecutor: UnownedSerialExecutor {
    unsafe executor.asUnownedSerialExecutor()
  }

  private nonisolated let executor = ThreadExecutor(name: "postgres-write")
  private let settings: String
  private let reader: PostgresReader
  private var connection: PostgresConnection?
  private var writer: Int64 = 0

  /// Prepares a backend; the first call connects.
  ///
  /// - Parameter settings: `host=… dbname=…` or a `postgresql://` address (libpq §34.1.1).
  package init(_ settings: String) {
    self.settings = settings
    reader = PostgresReader(settings)
  }

  deinit { executor.stop() }

  package func takeOver() throws {
    let result = try open().query(
      "UPDATE meta SET value = value + 1 WHERE name = 'writer' RETURNING value", [])
    writer = result.integer(0, 0)
  }

  package func load(now: UnixTime) throws -> StoreSnapshot {
    try using { try PostgresQueries($0).snapshot(now: now) }
  }

  package func commit(_ changes: StoreChanges) throws {
    try using { try PostgresQueries($0).write(changes, writer: writer) }
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
    try using { try PostgresQueries($0).deleteExpired(before: time) }
  }

  package func close() async {
    connection = nil
    await reader.close()
  }

  /// Runs a body on the connection, and drops one that failed, so that the next call reconnects.
  private func using<Result>(_ body: (PostgresConnection) throws -> Result) throws -> Result {
    do {
      return try body(try open())
    } catch let error as StoreError where error.code == .unavailable {
      connection = nil
      throw error
    }
  }

  private func open() throws -> PostgresConnection {
    if let connection { return connection }
    let opened = try PostgresConnection(settings)
    try migrate(opened)
    connection = opened
    return opened
  }

  private func migrate(_ connection: PostgresConnection) throws {
    // One migration at a time, also when two coordinators start together.
    try connection.execute("BEGIN; SELECT pg_advisory_xact_lock(6077110)")
    try connection.execute(
      """
      CREATE TABLE IF NOT EXISTS meta(name TEXT PRIMARY KEY, value BIGINT NOT NULL);
      INSERT INTO meta VALUES('writer', 0), ('schema', 0) ON CONFLICT DO NOTHING
      """)
    let newest = PostgresSchema.migrations.count
    let version = try connection.query(
      "SELECT value FROM meta WHERE name = 'schema'", []
    ).integer(0, 0)
    guard version <= newest else {
      throw StoreError(.unreadable, "schema \(version) is newer than \(newest)")
    }
    for sql in PostgresSchema.migrations.dropFirst(Int(version)) { try connection.execute(sql) }
    try connection.execute("UPDATE meta SET value = \(newest) WHERE name = 'schema'; COMMIT")
  }
}

/// Reads beside the writer, on a connection and a thread of its own.
actor PostgresReader {
  nonisolated var unownedExecutor: UnownedSerialExecutor {
    unsafe executor.asUnownedSerialExecutor()
  }

  private nonisolated let executor = ThreadExecutor(name: "postgres-read")
  private let settings: String
  private var connection: PostgresConnection?

  init(_ settings: String) { self.settings = settings }

  deinit { executor.stop() }

  func read<Result: Sendable>(
    _ body: @Sendable (PostgresQueries) throws -> Result
  ) throws -> Result {
    do {
      let opened = try connection ?? PostgresConnection(settings)
      connection = opened
      return try body(PostgresQueries(opened))
    } catch let error as StoreError where error.code == .unavailable {
      connection = nil
      throw error
    }
  }

  func close() { connection = nil }
}
