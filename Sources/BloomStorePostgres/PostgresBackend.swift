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
  private let patience: Duration
  private let reader: PostgresReader
  private var connection: PostgresConnection?
  /// What `meta` says while this is the writer; ``PostgresSchema/takeOver(_:)``.
  private var writer: Int64 = 0

  /// Prepares a backend; the first call connects.
  ///
  /// - Parameters:
  ///   - settings: `host=… dbname=…` or a `postgresql://` address (libpq §34.1.1).
  ///   - patience: How long the server may be silent while it owes an answer; then its connection
  ///     is given up, as if it was lost.
  package init(_ settings: String, patience: Duration = PostgresBackend.patience) {
    self.settings = settings
    self.patience = patience
    reader = PostgresReader(settings, patience: patience)
  }

  /// A minute: twice as long as the server itself waits for a lock.
  package static let patience = Duration.seconds(60)

  deinit { executor.stop() }

  package func takeOver() throws {
    writer = try PostgresSchema.takeOver(try open())
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
    let opened = try PostgresConnection(settings, patience: patience)
    try PostgresSchema.migrate(opened)
    if writer > 0 { try resume(opened) }
    connection = opened
    return opened
  }

  /// Goes on as the writer after the connection was lost.
  ///
  /// Under a new number, for which the row's lock is waited for: a group that the server still has
  /// from the lost connection is written before this returns, or refused.
  private func resume(_ connection: PostgresConnection) throws {
    let result = try connection.query(
      """
      UPDATE meta SET value = $1::bigint WHERE name = 'writer' AND value >> 20 = $2::bigint
      RETURNING value
      """, [.integer(writer + 1), .integer(writer >> 20)])
    guard result.count == 1 else { throw StoreError(.deposed, "postgres") }
    writer += 1
  }
}

/// Reads beside the writer, on a connection and a thread of its own.
actor PostgresReader {
  nonisolated var unownedExecutor: UnownedSerialExecutor {
    unsafe executor.asUnownedSerialExecutor()
  }

  private nonisolated let executor = ThreadExecutor(name: "postgres-read")
  private let settings: String
  private let patience: Duration
  private var connection: PostgresConnection?

  init(_ settings: String, patience: Duration) {
    self.settings = settings
    self.patience = patience
  }

  deinit { executor.stop() }

  func read<Result: Sendable>(
    _ body: @Sendable (PostgresQueries) throws -> Result
  ) throws -> Result {
    if let connection {
      do {
        return try body(PostgresQueries(connection))
      } catch let error as StoreError where error.code == .unavailable {
        // The server was restarted since the last read, most likely: a new connection tells.
        self.connection = nil
      }
    }
    let opened = try PostgresConnection(settings, patience: patience)
    let result = try body(PostgresQueries(opened))
    connection = opened
    return result
  }

  func close() { connection = nil }
}
