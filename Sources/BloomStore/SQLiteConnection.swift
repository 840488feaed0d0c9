internal import BloomBase
internal import BloomPlatform
internal import CSQLite

/// One connection and its prepared statements.
///
/// Used by one thread at a time (SQLITE_OPEN_NOMUTEX).
@safe
final class SQLiteConnection {
  private let handle: OpaquePointer
  private var statements: [String: SQLiteStatement] = [:]
  /// Written by the log's hook, on the connection's own thread.
  private let walPageCount: UnsafeMutablePointer<Int32>

  /// Opens or creates a file; sqlite.org/c3ref/open.html.
  init(path: String, readOnly: Bool = false) throws {
    if !readOnly { try Self.keepPrivate(path) }
    var handle: OpaquePointer?
    let flags =
      SQLITE_OPEN_NOMUTEX
      | (readOnly ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE)
    let code = unsafe sqlite3_open_v2(path, &handle, flags, nil)
    guard let opened = unsafe handle else { throw StoreError(.unavailable, "sqlite3_open_v2") }
    unsafe self.handle = opened
    unsafe walPageCount = .allocate(capacity: 1)
    unsafe walPageCount.initialize(to: 0)
    if code != SQLITE_OK { throw Self.error(code, "sqlite3_open_v2") }
    unsafe sqlite3_busy_timeout(opened, 5000)
  }

  /// Mode 0600 before SQLite sees the file: its log and shared memory take the file's mode.
  private static func keepPrivate(_ path: String) throws {
    do {
      try PrivateFile.claim(path)
    } catch {
      throw StoreError(.unavailable, "open")
    }
    for suffix in ["-wal", "-shm"] { PrivateFile.restrict(path + suffix) }
  }

  deinit {
    statements = [:]
    unsafe sqlite3_close_v2(handle)
    unsafe walPageCount.deallocate()
  }

  /// Pages in the write-ahead log after this connection's last commit.
  ///
  /// Counted once ``countWALPages()`` was called.
  var walPages: Int32 { unsafe walPageCount.pointee }

  /// Counts the log's pages from now on, which also ends checkpoints within commits.
  ///
  /// sqlite.org/c3ref/wal_hook.html: the hook takes the place of the automatic checkpoint.
  func countWALPages() {
    _ = unsafe sqlite3_wal_hook(
      handle,
      { context, _, _, pages in
        unsafe context?.assumingMemoryBound(to: Int32.self).pointee = pages
        return SQLITE_OK
      }, walPageCount)
  }

  /// Runs statements without parameters and results.
  func execute(_ sql: String) throws {
    let code = unsafe sqlite3_exec(handle, sql, nil, nil, nil)
    if code != SQLITE_OK { throw Self.error(code, "sqlite3_exec") }
  }

  /// A prepared statement, kept for the connection's life.
  func prepare(_ sql: String) throws -> SQLiteStatement {
    if let known = statements[sql] { return known }
    var pointer: OpaquePointer?
    let code = unsafe sqlite3_prepare_v3(
      handle, sql, -1, UInt32(SQLITE_PREPARE_PERSISTENT), &pointer, nil)
    guard code == SQLITE_OK, let made = unsafe pointer else {
      throw Self.error(code, "sqlite3_prepare_v3")
    }
    let statement = unsafe SQLiteStatement(made)
    statements[sql] = statement
    return statement
  }

  /// The first column of the first row.
  func integer(_ sql: String) throws -> Int64? {
    var value: Int64?
    try prepare(sql).rows([]) { value = $0.integer(0) }
    return value
  }

  /// Copies the whole database to another file while this one is in use.
  ///
  /// Pages go over in steps (sqlite.org/c3ref/backup_finish.html), all as of the moment of the
  /// first: without a transaction around them each commit of another connection would begin the
  /// copy anew, and under steady writing it would never end. With a write-ahead log, readers keep
  /// no writer out.
  func backUp(to path: String) throws {
    let target = try SQLiteConnection(path: path)
    try execute("BEGIN")
    // Nothing was written within it.
    defer { try? execute("ROLLBACK") }
    // The moment is that of the first read.
    _ = try integer("SELECT count(*) FROM sqlite_master")
    guard let backup = unsafe sqlite3_backup_init(target.handle, "main", handle, "main") else {
      throw StoreError(.unavailable, "sqlite3_backup_init")
    }
    var code = SQLITE_OK
    repeat { code = unsafe sqlite3_backup_step(backup, 1024) } while code == SQLITE_OK
    unsafe sqlite3_backup_finish(backup)
    if code != SQLITE_DONE { throw Self.error(code, "sqlite3_backup_step") }
  }

  /// Turns a result code into ours. sqlite.org/rescode.html
  static func error(_ code: Int32, _ function: String) -> StoreError {
    switch code & 0xff {
    case SQLITE_CONSTRAINT, SQLITE_MISMATCH, SQLITE_TOOBIG, SQLITE_RANGE:
      StoreError(.rejected, "\(function): \(code)")
    case SQLITE_CORRUPT, SQLITE_NOTADB, SQLITE_SCHEMA:
      StoreError(.unreadable, "\(function): \(code)")
    default: StoreError(.unavailable, "\(function): \(code)")
    }
  }
}

/// A value bound to a statement.
enum SQLiteValue {
  case integer(Int64)
  case text(String)
  case blob([UInt8])
  case null
}

/// A prepared statement; lives no longer than its connection.
@safe
final class SQLiteStatement {
  private let pointer: OpaquePointer

  init(_ pointer: OpaquePointer) { unsafe self.pointer = pointer }

  deinit { unsafe sqlite3_finalize(pointer) }

  /// Runs a statement that returns no rows.
  func run(_ values: [SQLiteValue]) throws {
    try rows(values) { _ in }
  }

  /// Runs a statement and hands over each row; the row is valid within the call.
  func rows(_ values: [SQLiteValue], _ body: (SQLiteRow) throws -> Void) throws {
    defer { unsafe sqlite3_reset(pointer) }
    for (index, value) in values.enumerated() { try bind(value, Int32(index + 1)) }
    while true {
      let code = unsafe sqlite3_step(pointer)
      switch code {
      case SQLITE_ROW: try body(unsafe SQLiteRow(pointer))
      case SQLITE_DONE: return
      case let other: throw SQLiteConnection.error(other, "sqlite3_step")
      }
    }
  }

  /// The library copies texts and blobs: they need not outlive the call.
  private func bind(_ value: SQLiteValue, _ index: Int32) throws {
    let code =
      switch value {
      case .integer(let value): unsafe sqlite3_bind_int64(pointer, index, value)
      case .text(let value):
        unsafe csqlite_bind_text(pointer, index, value, Int32(value.utf8.count))
      case .blob(let value): unsafe csqlite_bind_blob(pointer, index, value, Int32(value.count))
      case .null: unsafe sqlite3_bind_null(pointer, index)
      }
    if code != SQLITE_OK { throw SQLiteConnection.error(code, "sqlite3_bind") }
  }
}

/// A row of a statement being run.
@safe
struct SQLiteRow: StoreRow {
  private let pointer: OpaquePointer

  init(_ pointer: OpaquePointer) { unsafe self.pointer = pointer }

  func integer(_ column: Int32) -> Int64 { unsafe sqlite3_column_int64(pointer, column) }

  func isNull(_ column: Int32) -> Bool {
    unsafe sqlite3_column_type(pointer, column) == SQLITE_NULL
  }

  func text(_ column: Int32) -> String { String(decoding: blob(column), as: UTF8.self) }

  func blob(_ column: Int32) -> [UInt8] {
    guard let start = unsafe sqlite3_column_blob(pointer, column) else { return [] }
    let count = unsafe Int(sqlite3_column_bytes(pointer, column))
    return unsafe Array(UnsafeRawBufferPointer(start: start, count: count))
  }
}
