/// Reads requests off a connection: bytes in, events out, RFC 9112.
///
/// Strict on purpose: any doubt about where a message ends is an error, after which the server
/// answers ``HTTPError/status`` and closes. The events are the same however the input is cut.
/// Bodies are not copied: a body event names a range of the span that was just passed.
public struct RequestParser: ~Copyable, Sendable {
  /// What was found.
  public enum Event: Sendable, Equatable {
    /// A whole head. A server may stop here and take the rest of the bytes over (an upgrade).
    case head(RequestHead)
    /// Bytes of the body, as a range of the span given to this call; never empty.
    case body(Range<Int>)
    /// The request is complete; what follows belongs to the next one.
    case end
  }

  private enum State: Sendable {
    case head
    case length(remaining: Int)
    case chunked(ChunkedDecoder)
    case failed(HTTPError)
  }

  private var state = State.head
  private var scanner: HeadScanner
  private let limits: HTTPLimits

  /// A parser at the start of a connection.
  public init(limits: HTTPLimits = HTTPLimits()) {
    self.limits = limits
    scanner = HeadScanner(maxBytes: limits.maxHeadBytes)
  }

  /// Whether nothing of a next request has come: where a connection may be closed without loss.
  public var isBetweenRequests: Bool {
    if case .head = state { return !scanner.isInsideHead }
    return false
  }

  /// The next event; `nil` when every byte was taken and more are needed.
  ///
  /// Call again with the same span and offset until it returns `nil`.
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
      case .head: return try scanHead(input, at: &offset).map { .head($0) }
      case .length(let remaining):
        if remaining == 0 {
          state = .head
          return .end
        }
        let count = min(remaining, input.count - offset)
        if count == 0 { return nil }
        state = .length(remaining: remaining - count)
        offset += count
        return .body(offset - count..<offset)
      case .chunked(var decoder):
        let event = try decoder.next(input, at: &offset)
        if event == .end { state = .head } else { state = .chunked(decoder) }
        switch event {
        case nil: return nil
        case .data(let range): return .body(range)
        case .end: return .end
        }
      case .failed(let error): throw error
      }
    } catch {
      state = .failed(error)
      throw error
    }
  }

  /// Says that the peer will send nothing more.
  ///
  /// - Throws: ``HTTPError`` with `truncated` inside a request.
  public mutating func finish() throws(HTTPError) {
    switch state {
    case .failed(let error): throw error
    case .head where !scanner.isInsideHead: return
    case .head, .length, .chunked:
      state = .failed(HTTPError(.truncated))
      throw HTTPError(.truncated)
    }
  }

  /// The next head, where a caller knows that one follows; otherwise as ``next(_:at:)``.
  ///
  /// Saves a busy server the copies of an event.
  package mutating func nextHead(
    _ input: Span<UInt8>, at offset: inout Int
  ) throws(HTTPError) -> RequestHead? {
    guard case .head = state else {
      guard case .head(let head)? = try next(input, at: &offset) else { return nil }
      return head
    }
    do throws(HTTPError) {
      return try scanHead(input, at: &offset)
    } catch {
      state = .failed(error)
      throw error
    }
  }

  private mutating func scanHead(
    _ input: Span<UInt8>, at offset: inout Int
  ) throws(HTTPError) -> RequestHead? {
    guard offset < input.count else { return nil }
    if !scanner.isInsideHead {
      // Anything that cannot start a method (TLS, noise, an empty line) is refused at its first
      // byte. RFC 9112 §2.2 would let a server skip an empty line; no client here sends one.
      let first = input[offset]
      guard isTokenByte(first) else { throw HTTPError(.malformedStartLine) }
    }
    guard let bytes = try scanner.next(input, at: &offset) else { return nil }
    let head = try Self.parse(bytes, limits)
    switch head.framing {
    case .none, .untilClose: state = .length(remaining: 0)
    case .length(let count): state = .length(remaining: count)
    case .chunked: state = .chunked(ChunkedDecoder(limits: limits))
    }
    return head
  }
}

extension RequestParser {
  /// Parses one whole head, its empty line included.
  static func parse(_ bytes: [UInt8], _ limits: HTTPLimits) throws(HTTPError) -> RequestHead {
    let span = bytes.span
    var index = 0
    while isTokenByte(span[index]) { index += 1 }
    guard (1...32).contains(index), span[index] == 0x20 else {
      throw HTTPError(.malformedStartLine)
    }
    let method = method(span, index)
    let targetStart = index + 1
    index = targetStart
    while span[index] > 0x20 { index += 1 }
    let target = targetStart..<index
    guard target.count <= limits.maxTargetBytes else { throw HTTPError(.targetTooLong) }
    guard span[index] == 0x20 else { throw HTTPError(.malformedStartLine) }
    let version = try version(span, index + 1)
    guard span[index + 9] == 0x0d else { throw HTTPError(.malformedStartLine) }
    let parsedTarget = try RequestTarget(span, target, method: method)
    let block = try FieldBlock(span, from: index + 11, maxFields: limits.maxFields)
    try checkHost(block, span, parsedTarget, version)

    var framing = BodyFraming.none
    if block.isChunked {
      guard version == .http11 else { throw HTTPError(.ambiguousFraming) }
      framing = .chunked
    } else if let length = block.contentLength {
      if let limit = limits.maxBodyBytes, length > limit { throw HTTPError(.bodyTooLarge) }
      framing = .length(length)
    }
    // Content in CONNECT has no meaning, and bytes after it belong to the tunnel.
    if method == .connect, framing != .none { throw HTTPError(.ambiguousFraming) }
    return RequestHead(
      method: method, target: parsedTarget, version: version,
      fields: HTTPFields(bytes: bytes, entries: block.entries), framing: framing,
      keepsAlive: block.keepsAlive(version),
      expectsContinue: block.expectsContinue && version == .http11 && framing != .none,
      asksUpgrade: block.saysUpgrade && block.hasUpgrade && version == .http11)
  }

  private static func method(_ bytes: Span<UInt8>, _ count: Int) -> HTTPMethod {
    switch count {
    case 3:
      if bytes[0] == 0x47, bytes[1] == 0x45, bytes[2] == 0x54 { return .get }
    case 4:
      if bytes[0] == 0x50, bytes[1] == 0x4f, bytes[2] == 0x53, bytes[3] == 0x54 { return .post }
    default: break
    }
    return HTTPMethod(unchecked: String(decoding: [UInt8](bytes, 0..<count), as: UTF8.self))
  }

  /// Exactly one valid Host in 1.1, at most one in 1.0, and none that contradicts the target.
  private static func checkHost(
    _ block: FieldBlock, _ bytes: Span<UInt8>, _ target: RequestTarget, _ version: HTTPVersion
  ) throws(HTTPError) {
    guard let range = block.host else {
      if version == .http11 { throw HTTPError(.badHost) }
      return
    }
    guard Authority.isValid(bytes, range) else { throw HTTPError(.badHost) }
    // A proxy in front may route by one and we by the other, so they must agree.
    if let wanted = target.authority, Authority(bytes, range) != wanted {
      throw HTTPError(.badHost)
    }
  }
}

/// Reads `HTTP/1.1` or `HTTP/1.0`.
func version(_ bytes: Span<UInt8>, _ start: Int) throws(HTTPError) -> HTTPVersion {
  guard start + 8 <= bytes.count, bytes[start] == 0x48, bytes[start + 1] == 0x54,
    bytes[start + 2] == 0x54, bytes[start + 3] == 0x50, bytes[start + 4] == 0x2f,
    (0x30...0x39).contains(bytes[start + 5]), bytes[start + 6] == 0x2e,
    (0x30...0x39).contains(bytes[start + 7])
  else { throw HTTPError(.malformedStartLine) }
  guard bytes[start + 5] == 0x31 else { throw HTTPError(.unsupportedVersion) }
  switch bytes[start + 7] {
  case 0x30: return .http10
  case 0x31: return .http11
  default: throw HTTPError(.unsupportedVersion)
  }
}
