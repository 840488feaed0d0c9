internal import BloomStore
internal import BloomLedger

extension PostgresBackend {
  /// What a database holds, seen without changing anything.
  package struct Look: Equatable, Sendable {
    /// The version of its tables; `nil` where there are none of ours.
    package var schemaVersion: Int64?
    /// The time of the last entry, seconds since 1970; `nil` without any.
    package var lastEntrySeconds: Int64?
    /// Whether entries or accounts are in it.
    package var isFilled = false

    /// An empty database.
    package init() {}
  }

  /// The newest schema this program knows.
  package static let schemaVersion = Int64(PostgresSchema.migrations.count)

  /// Looks at a database; blocks.
  ///
  /// - Throws: ``StoreError`` when it cannot be reached or read.
  package static func look(_ settings: String) throws -> Look {
    let connection = try PostgresConnection(settings)
    var look = Look()
    let meta = try connection.query("SELECT to_regclass('meta') IS NULL", [])
    guard meta.blob(0, 0) == [0] else { return look }
    look.schemaVersion = try connection.query(
      "SELECT value FROM meta WHERE name = 'schema'", []
    ).integer(0, 0)
    guard look.schemaVersion ?? 0 > 0 else { return look }
    let last = try connection.query(
      "SELECT time FROM entries ORDER BY sequence DESC LIMIT 1", [])
    if last.count == 1 { look.lastEntrySeconds = last.integer(0, 0) }
    let records = try connection.query("SELECT 1 FROM records LIMIT 1", [])
    look.isFilled = last.count + records.count > 0
    return look
  }

  /// Copies a database as of one moment into a new SQLite file, while others read and write it.
  ///
  /// The file is a whole ledger of its own: ``SQLiteBackend`` opens it. Blocks.
  ///
  /// - Throws: ``StoreError`` when the database cannot be read or the file not be written.
  package static func copy(_ settings: String, to path: String) throws {
    let connection = try PostgresConnection(settings)
    // One moment for all that is read: postgresql.org/docs/15/transaction-iso.html §13.2.2.
    try connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
    let file = try SQLiteSession(path: path)
    try PostgresQueries(connection).pieces { try file.commit($0) }
    try file.finish()
    try connection.execute("COMMIT")
  }

  /// Replaces all that a database holds by a SQLite file's ledger, in one transaction; blocks.
  ///
  /// A coordinator that writes to it meanwhile is deposed.
  ///
  /// - Throws: ``StoreError`` when either cannot be used; then the database is as it was.
  package static func fill(_ settings: String, from path: String) throws {
    let connection = try PostgresConnection(settings)
    try PostgresSchema.migrate(connection)
    // Left alone by an error: the server takes back what was not committed.
    try connection.execute("BEGIN")
    _ = try PostgresSchema.takeOver(connection)
    try connection.execute("TRUNCATE \(PostgresSchema.tables.joined(separator: ", "))")
    try SQLiteSession(path: path).pieces { try PostgresQueries(connection).write($0) }
    try connection.execute("COMMIT")
  }
}
