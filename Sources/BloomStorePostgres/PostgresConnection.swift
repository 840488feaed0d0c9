internal import BloomBase
internal import BloomStore
internal import CPostgres

#if canImport(Glibc)
internal import Glibc
#else
internal import Darwin
#endif

/// A parameter of a statement, in PostgreSQL's text or binary form.
enum PostgresValue {
  case integer(Int64)
  case text(String)
  case blob([UInt8])
  case null
}

/// One connection.
///
/// Used by one thread at a time; each call blocks that thread.
@safe
final class PostgresConnection {
  private let handle: OpaquePointer
  private var patience: Duration
  private var prepared: [String: String] = [:]

  /// Connects. postgresql.org/docs/15/libpq-connect.html
  ///
  /// Ten seconds at most for each address of the server, unless the settings say otherwise. A server
  /// that vanishes without a word is missed within 20 seconds, a lock that nobody lets go of within
  /// 30, one that stands still with its disk after `patience`: no caller waits for ever. What the
  /// library says in words may hold addresses, so it is asked only for the kind of failure.
  ///
  /// - Parameters:
  ///   - settings: `host=… dbname=…` or a `postgresql://` address.
  ///   - patience: How long the server may be silent while it owes an answer.
  /// - Throws: ``StoreError`` when the server cannot be reached or refuses.
  init(_ settings: String, patience: Duration = PostgresBackend.patience) throws {
    self.patience = patience
    // What comes later wins: the settings, and what they hold.
    let parameters = [
      ("connect_timeout", "10"), ("keepalives_idle", "10"), ("keepalives_interval", "5"),
      ("keepalives_count", "3"), ("tcp_user_timeout", "20000"),
      ("fallback_application_name", "darkbloom-coordinator"), ("dbname", settings),
    ]
    let opened = unsafe Self.withParameters(parameters) { names, values in
      unsafe PQconnectdbParams(names, values, 1)
    }
    guard let handle = unsafe opened else {
      throw StoreError(.unavailable, "PQconnectdbParams")
    }
    unsafe self.handle = handle
    // Otherwise the library writes what the server says to standard error.
    _ = unsafe PQsetNoticeProcessor(handle, { _, _ in }, nil)
    guard unsafe PQstatus(handle) == CONNECTION_OK else {
      let answer = unsafe Self.withParameters(parameters) { names, values in
        unsafe PQpingParams(names, values, 1)
      }
      throw Self.error(answer)
    }
    // Otherwise a call returns when the server has answered, however long that is.
    guard unsafe PQsetnonblocking(handle, 1) == 0 else {
      throw StoreError(.unavailable, "PQsetnonblocking")
    }
    try execute(
      "SET client_min_messages = warning; SET synchronous_commit = on; SET lock_timeout = '30s'")
  }

  /// Why no connection came, by how the server answers. libpq-connect.html#LIBPQ-PQPINGPARAMS
  private static func error(_ answer: PGPing) -> StoreError {
    switch answer {
    case PQPING_OK: StoreError(.refused, "postgresql")
    case PQPING_REJECT: StoreError(.unavailable, "the PostgreSQL server is starting or stopping")
    case PQPING_NO_ATTEMPT: StoreError(.refused, "the address is none of PostgreSQL's")
    default: StoreError(.unavailable, "no PostgreSQL server answers")
    }
  }

  private static func withParameters<R>(
    _ parameters: [(name: String, value: String)],
    _ body: (UnsafePointer<UnsafePointer<CChar>?>, UnsafePointer<UnsafePointer<CChar>?>) -> R
  ) -> R {
    let names = unsafe parameters.map { unsafe strdup($0.name) }
    let values = unsafe parameters.map { unsafe strdup($0.value) }
    defer { unsafe (names + values).forEach { unsafe free($0) } }
    let end: [UnsafePointer<CChar>?] = unsafe [nil]
    return unsafe body(
      unsafe names.map { unsafe UnsafePointer($0) } + end,
      unsafe values.map { unsafe UnsafePointer($0) } + end)
  }

  deinit { unsafe PQfinish(handle) }

  /// Runs statements without parameters and results.
  ///
  /// - Parameters:
  ///   - sql: The statements.
  ///   - patience: For those that take longer than others.
  /// - Throws: ``StoreError`` when they fail, the connection is lost or the server is silent.
  func execute(_ sql: String, patience: Duration? = nil) throws {
    let usual = self.patience
    defer { self.patience = usual }
    self.patience = patience ?? usual
    try result("PQsendQuery", unsafe PQsendQuery(handle, sql))
  }

  /// Prepares a statement once in the connection's life; its short name.
  ///
  /// The server compares 63 bytes of a name, so the text itself cannot be the name.
  func prepare(_ sql: String) throws -> String {
    if let name = prepared[sql] { return name }
    let name = "s\(prepared.count)"
    try result("PQsendPrepare", unsafe PQsendPrepare(handle, name, sql, 0, nil))
    prepared[sql] = name
    return name
  }

  /// Runs a statement, prepared at its first use, and waits for its rows.
  func query(_ sql: String, _ values: [PostgresValue]) throws -> PostgresResult {
    try result("PQsendQueryPrepared", send(try prepare(sql), values))
  }

  /// Sends a batch in one round trip; all of it happens or, after the first error, none.
  ///
  /// Pipeline mode, postgresql.org/docs/15/libpq-pipeline-mode.html: statements between two syncs
  /// are one implicit transaction, committed at the sync.
  func pipeline(_ statements: [(name: String, values: [PostgresValue])]) throws {
    guard unsafe PQenterPipelineMode(handle) == 1 else {
      throw StoreError(.unavailable, "PQenterPipelineMode")
    }
    for statement in statements {
      guard send(statement.name, statement.values) == 1 else {
        throw StoreError(.unavailable, "PQsendQueryPrepared")
      }
    }
    guard unsafe PQpipelineSync(handle) == 1 else {
      throw StoreError(.unavailable, "PQpipelineSync")
    }
    try flush()
    var failure: StoreError?
    var isSynced = false
    var isBetween = false
    while !isSynced {
      guard let result = try nextResult() else {
        // Ends one statement's results. Of a lost connection it comes again and again, and the
        // status may go on to say that all is well.
        guard !isBetween, unsafe PQstatus(handle) == CONNECTION_OK else {
          throw StoreError(.unavailable, "connection lost")
        }
        isBetween = true
        continue
      }
      isBetween = false
      if result.status == PGRES_PIPELINE_SYNC {
        isSynced = true
      } else if result.status != PGRES_PIPELINE_ABORTED, failure == nil {
        failure = result.failure("pipeline")
      }
    }
    guard unsafe PQexitPipelineMode(handle) == 1 else {
      throw StoreError(.unavailable, "PQexitPipelineMode")
    }
    if let failure { throw failure }
  }

  private func send(_ name: String, _ values: [PostgresValue]) -> Int32 {
    unsafe withParameters(values) { count, pointers, lengths, formats in
      unsafe PQsendQueryPrepared(handle, name, count, pointers, lengths, formats, 1)
    }
  }

  /// The result of what was sent: of several statements the last one's, which is the error's if
  /// there was one.
  @discardableResult
  private func result(_ function: String, _ isSent: Int32) throws -> PostgresResult {
    guard isSent == 1 else { throw StoreError(.unavailable, function) }
    try flush()
    var last: PostgresResult?
    while let result = try nextResult() { last = result }
    guard let last else { throw StoreError(.unavailable, "connection lost") }
    try last.check(function)
    return last
  }

  // MARK: Waiting, postgresql.org/docs/15/libpq-async.html

  private func flush() throws {
    while true {
      switch unsafe PQflush(handle) {
      case 0: return
      case 1: try wait(for: POLLIN | POLLOUT)
      default: throw StoreError(.unavailable, "connection lost")
      }
    }
  }

  private func nextResult() throws -> PostgresResult? {
    while unsafe PQisBusy(handle) == 1 { try wait(for: POLLIN) }
    guard let pointer = unsafe PQgetResult(handle) else { return nil }
    return unsafe PostgresResult(pointer)
  }

  private func wait(for events: Int32) throws {
    var descriptor = pollfd(
      fd: unsafe PQsocket(handle), events: Int16(events), revents: 0)
    var ready: Int32
    repeat {
      ready = unsafe poll(&descriptor, 1, Int32(patience / .milliseconds(1)))
    } while ready < 0 && errno == EINTR
    guard ready > 0 else { throw StoreError(.unavailable, "the PostgreSQL server is silent") }
    guard unsafe PQconsumeInput(handle) == 1 else {
      throw StoreError(.unavailable, "connection lost")
    }
  }

  private func withParameters<R>(
    _ values: [PostgresValue],
    _ body: (
      Int32, UnsafePointer<UnsafePointer<CChar>?>, UnsafePointer<Int32>, UnsafePointer<Int32>
    ) -> R
  ) -> R {
    // All parameters in one buffer, each ended by a zero byte: integers and texts go as text.
    var bytes: [CChar] = []
    var offsets: [Int?] = []
    var lengths: [Int32] = []
    var formats: [Int32] = []
    for value in values {
      offsets.append(bytes.count)
      switch value {
      case .integer(let number):
        formats.append(0)
        bytes += "\(number)".utf8.map { CChar(bitPattern: $0) }
      case .text(let text):
        formats.append(0)
        bytes += text.utf8.map { CChar(bitPattern: $0) }
      case .blob(let blob):
        formats.append(1)
        bytes += blob.map { CChar(bitPattern: $0) }
      case .null:
        formats.append(0)
        offsets[offsets.count - 1] = nil
      }
      lengths.append(Int32(bytes.count - (offsets.last.flatMap { $0 } ?? bytes.count)))
      bytes.append(0)
    }
    return unsafe bytes.withUnsafeBufferPointer { buffer in
      let pointers = unsafe offsets.map { offset in
        unsafe offset.flatMap { unsafe buffer.baseAddress?.advanced(by: $0) }
      }
      return unsafe body(Int32(values.count), pointers, lengths, formats)
    }
  }
}

/// The result of a statement, with binary columns.
@safe
final class PostgresResult {
  private let pointer: OpaquePointer?

  init(_ pointer: OpaquePointer?) { unsafe self.pointer = pointer }

  deinit { unsafe PQclear(pointer) }

  var status: ExecStatusType { unsafe PQresultStatus(pointer) }
  var count: Int { Int(unsafe PQntuples(pointer)) }
  var rows: [PostgresRow] { (0..<count).map { PostgresRow(self, $0) } }

  func check(_ function: String) throws {
    if let failure = failure(function) { throw failure }
  }

  /// The error, by its SQLSTATE class. postgresql.org/docs/15/errcodes-appendix.html
  func failure(_ function: String) -> StoreError? {
    if status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK { return nil }
    // PG_DIAG_SQLSTATE is a character constant, which Swift does not import.
    let field = unsafe PQresultErrorField(pointer, Int32(UInt8(ascii: "C")))
    let state = unsafe field.map { unsafe String(cString: $0) } ?? "none"
    if state == "22012" { return StoreError(.deposed, "postgres") }
    let isRejected = ["22", "23"].contains(String(state.prefix(2)))
    return StoreError(isRejected ? .rejected : .unavailable, "\(function): \(state)")
  }

  func isNull(_ row: Int, _ column: Int32) -> Bool {
    unsafe PQgetisnull(pointer, Int32(row), column) == 1
  }

  func blob(_ row: Int, _ column: Int32) -> [UInt8] {
    guard let start = unsafe PQgetvalue(pointer, Int32(row), column) else { return [] }
    let count = unsafe Int(PQgetlength(pointer, Int32(row), column))
    return unsafe Array(UnsafeRawBufferPointer(start: start, count: count))
  }

  func text(_ row: Int, _ column: Int32) -> String {
    String(decoding: blob(row, column), as: UTF8.self)
  }

  /// A binary integer of any width, big-endian.
  func integer(_ row: Int, _ column: Int32) -> Int64 {
    let bytes = blob(row, column)
    let isNegative = (bytes.first ?? 0) >= 0x80
    return bytes.reduce(isNegative ? -1 : 0) { $0 << 8 | Int64($1) }
  }
}

/// A row of a result.
struct PostgresRow: StoreRow {
  private let result: PostgresResult
  private let number: Int

  init(_ result: PostgresResult, _ number: Int) {
    self.result = result
    self.number = number
  }

  func integer(_ column: Int32) -> Int64 { result.integer(number, column) }
  func isNull(_ column: Int32) -> Bool { result.isNull(number, column) }
  func text(_ column: Int32) -> String { result.text(number, column) }
  func blob(_ column: Int32) -> [UInt8] { result.blob(number, column) }
}
