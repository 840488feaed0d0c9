/// Reads responses off a connection: bytes in, events out, RFC 9112.
///
/// As strict as ``RequestParser``. The caller says which request comes next, since HEAD and
/// CONNECT decide whether a body follows.
public struct ResponseParser: ~Copyable, Sendable {
  /// What was found.
  public enum Event: Sendable, Equatable {
    /// A 1xx response other than 101; the final one follows.
    case interim(ResponseHead)
    /// The final head. After 101, or 2xx to CONNECT, the bytes that follow are not HTTP.
    case head(ResponseHead)
    /// Bytes of the body, as a range of the span given to this call; never empty.
    case body(Range<Int>)
    /// The response is complete.
    case end
  }

  private enum State: Sendable {
    case idle
    case head(method: HTTPMethod, asksUpgrade: Bool, interims: Int)
    case length(remaining: Int)
    case chunked(ChunkedDecoder)
    case untilClose(bytes: Int)
    case tunnel
    case failed(HTTPError)
  }

  private var state = State.idle
  private var scanner: HeadScanner
  private let limits: HTTPLimits

  /// A parser at the start of a connection.
  public init(limits: HTTPLimits = HTTPLimits()) {
    self.limits = limits
    scanner = HeadScanner(maxBytes: limits.maxHeadBytes)
  }

  /// Whether no response is due.
  public var isIdle: Bool {
    if case .idle = state { return true }
    return false
  }

  /// Says which request the next response answers.
  ///
  /// - Parameters:
  ///   - method: Its method.
  ///   - asksUpgrade: Whether it has an Upgrade field; 101 is refused otherwise.
  /// - Returns: `false` when the one before is not complete; then nothing changes.
  public mutating func expect(_ method: HTTPMethod, asksUpgrade: Bool = false) -> Bool {
    guard case .idle = state else { return false }
    state = .head(method: method, asksUpgrade: asksUpgrade, interims: 0)
    return true
  }

  /// The next event; `nil` when more bytes are needed, or after the head of a tunnel.
  ///
  /// - Parameters:
  ///   - input: The bytes that came.
  ///   - offset: Where to read on; moves behind what was taken.
  /// - Returns: The event, or `nil`.
  /// - Throws: ``HTTPError``; the same one at every later call.
  public mutating func next(
    _ input: Span<UInt8>, at offset: inout Int
  ) throws(HTTPError) -> Event? {
    do throws(HTTPError) {
      switch state {
      case .idle:
        // Bytes before a request are a desynchronised or hostile server.
        if offset < input.count { throw HTTPError(.unexpectedResponse) }
        return nil
      case .head(let method, let asksUpgrade, let interims):
        return try nextHead(input, at: &offset, method, asksUpgrade, interims)
      case .length(let remaining):
        if remaining == 0 {
          state = .idle
          return .end
        }
        let count = min(remaining, input.count - offset)
        if count == 0 { return nil }
        state = .length(remaining: remaining - count)
        offset += count
        return .body(offset - count..<offset)
      case .chunked(var decoder):
        let event = try decoder.next(input, at: &offset)
        if event == .end { state = .idle } else { state = .chunked(decoder) }
        switch event {
        case nil: return nil
        case .data(let range): return .body(range)
        case .end: return .end
        }
      case .untilClose(let bytes):
        let count = input.count - offset
        if count == 0 { return nil }
        if let limit = limits.maxBodyBytes, bytes + count > limit {
          throw HTTPError(.bodyTooLarge)
        }
        state = .untilClose(bytes: bytes + count)
        offset += count
        return .body(offset - count..<offset)
      case .tunnel: return nil
      case .failed(let error): throw error
      }
    } catch {
      state = .failed(error)
      throw error
    }
  }

  /// Says that the peer closed.
  ///
  /// - Returns: ``Event/end`` when the close ends a body; `nil` when nothing was due.
  /// - Throws: ``HTTPError`` with `truncated` inside a response.
  public mutating func finish() throws(HTTPError) -> Event? {
    switch state {
    case .idle, .tunnel: return nil
    case .untilClose:
      state = .idle
      return .end
    case .length(remaining: 0):
      state = .idle
      return .end
    case .failed(let error): throw error
    case .head, .length, .chunked:
      state = .failed(HTTPError(.truncated))
      throw HTTPError(.truncated)
    }
  }

  private mutating func nextHead(
    _ input: Span<UInt8>, at offset: inout Int, _ method: HTTPMethod, _ asksUpgrade: Bool,
    _ interims: Int
  ) throws(HTTPError) -> Event? {
    guard offset < input.count else { return nil }
    guard scanner.isInsideHead || input[offset] == 0x48 else {
      throw HTTPError(.malformedStartLine)
    }
    guard let bytes = try scanner.next(input, at: &offset) else { return nil }
    let head = try Self.parse(bytes, method, limits)
    if head.status.isInterim {
      guard interims < limits.maxInterimResponses else { throw HTTPError(.unexpectedResponse) }
      state = .head(method: method, asksUpgrade: asksUpgrade, interims: interims + 1)
      return .interim(head)
    }
    if head.status == .switchingProtocols, !asksUpgrade { throw HTTPError(.unexpectedResponse) }
    if head.status == .switchingProtocols || (method == .connect && head.status.code / 100 == 2) {
      state = .tunnel
      return .head(head)
    }
    if method == .head || head.status.hasNoBody {
      state = .length(remaining: 0)
      return .head(head)
    }
    switch head.framing {
    case .none: state = .length(remaining: 0)
    case .length(let count): state = .length(remaining: count)
    case .chunked: state = .chunked(ChunkedDecoder(limits: limits))
    case .untilClose: state = .untilClose(bytes: 0)
    }
    return .head(head)
  }
}

extension ResponseParser {
  /// Parses one whole head, its empty line included.
  static func parse(
    _ bytes: [UInt8], _ method: HTTPMethod, _ limits: HTTPLimits
  ) throws(HTTPError) -> ResponseHead {
    let span = bytes.span
    let version = try version(span, 0)
    guard span.count > 14, span[8] == 0x20 else { throw HTTPError(.malformedStartLine) }
    var code = 0
    for index in 9..<12 {
      guard (0x30...0x39).contains(span[index]) else { throw HTTPError(.malformedStartLine) }
      code = code * 10 + Int(span[index] - 0x30)
    }
    guard code >= 100, span[12] == 0x20 || span[12] == 0x0d else {
      throw HTTPError(.malformedStartLine)
    }
    var index = 12
    while isFieldValueByte(span[index]) { index += 1 }
    guard span[index] == 0x0d else { throw HTTPError(.malformedStartLine) }
    let status = HTTPStatus(parsed: code)
    let block = try FieldBlock(span, from: index + 2, maxFields: limits.maxFields)
    var keepsAlive = block.keepsAlive(version)
    let framing: BodyFraming
    if block.isChunked {
      guard version == .http11, code >= 200, code != 204 else {
        throw HTTPError(.ambiguousFraming)
      }
      framing = .chunked
    } else if let length = block.contentLength {
      framing = .length(length)
    } else if status.hasNoBody || method == .head {
      framing = .none
    } else {
      framing = .untilClose
      keepsAlive = false
    }
    if case .length(let length) = framing, let limit = limits.maxBodyBytes, length > limit,
      method != .head, !status.hasNoBody
    {
      throw HTTPError(.bodyTooLarge)
    }
    return ResponseHead(
      status: status, version: version,
      fields: HTTPFields(bytes: bytes, entries: block.entries), framing: framing,
      keepsAlive: keepsAlive)
  }
}
