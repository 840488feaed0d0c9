package import BloomBase

/// A SQLite file used from the caller's thread: for copies, and where it is killed on purpose.
///
/// The same schema, statements and recovery as ``SQLiteBackend``. Nothing is synced: a killed process
/// loses no page that it wrote, only a machine without power does, and `ledger-crash` tests that.
/// Releasing it without an end is what a kill leaves behind. Not to be used from two threads.
package final class SQLiteSession {
  private let connection: SQLiteConnection
  private var numbers: AnswerNumbers?

  /// Opens or makes a file.
  ///
  /// - Parameter path: The database file; `-wal` and `-shm` files lie beside it.
  /// - Throws: ``StoreError`` when it cannot be opened or read.
  package init(path: String) throws {
    connection = try SQLiteConnection(path: path)
    try connection.execute("PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF")
    let version = try connection.integer("PRAGMA user_version") ?? 0
    for sql in SQLiteSchema.migrations.dropFirst(Int(version)) { try connection.execute(sql) }
    let newest = SQLiteBackend.schemaVersion
    if version < newest { try connection.execute("PRAGMA user_version = \(newest)") }
  }

  /// Everything that was committed, in pieces; ``StoreReading/pieces(_:)``.
  ///
  /// - Throws: ``StoreError``, or what `give` throws.
  package func pieces(_ give: (StoreChanges) throws -> Void) throws {
    try SQLiteQueries(connection).pieces(give)
  }

  /// Everything that was committed.
  ///
  /// - Throws: ``StoreError`` when it cannot be read.
  package func load(now: UnixTime) throws -> StoreSnapshot {
    try SQLiteQueries(connection).snapshot(now: now)
  }

  /// Writes all or nothing.
  ///
  /// - Throws: ``StoreError`` when it was not written.
  package func commit(_ changes: StoreChanges) throws {
    try begin(changes)
    try connection.execute("COMMIT")
  }

  /// Writes without an end: a kill now takes all of it back.
  ///
  /// - Throws: ``StoreError`` when it was not written.
  package func begin(_ changes: StoreChanges) throws {
    try connection.execute("BEGIN IMMEDIATE")
    let queries = SQLiteQueries(connection)
    var numbers = try numbers ?? queries.answerNumbers()
    try queries.write(changes, &numbers)
    self.numbers = numbers
  }

  /// Brings everything into the one file, so that it can be copied.
  ///
  /// - Throws: ``StoreError`` when it cannot be written.
  package func finish() throws { try connection.execute("PRAGMA journal_mode=DELETE") }
}
