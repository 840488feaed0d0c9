internal import BloomHTTP

/// Writes a body of unknown length, of a response or of a client's request.
///
/// Safe from any task; two writers never interleave inside one call.
public struct BodyWriter: Sendable {
  let sink: BodySink

  /// Sends bytes now.
  ///
  /// Suspends while the peer does not read; empty bytes are nothing.
  /// - Throws: ``NetError`` with `peerLeft` or `timedOut` once the peer is gone or stays slow,
  ///   `CancellationError` when the task is cancelled.
  @concurrent
  public func write(_ bytes: [UInt8]) async throws {
    if bytes.isEmpty { return }
    try await sink.write(bytes)
  }

  /// Sends the head now, when it should reach the peer before the first bytes of the body.
  @concurrent
  public func flush() async throws { try await sink.flushHead() }

  /// Sends text as UTF-8.
  @concurrent
  public func write(_ text: String) async throws { try await write(Array(text.utf8)) }
}

/// Writes server-sent events; each is sent at once.
public struct EventWriter: Sendable {
  private let body: BodyWriter

  init(_ body: BodyWriter) { self.body = body }

  /// Sends one event.
  ///
  /// - Parameters:
  ///   - data: Any text; its lines become `data:` lines.
  ///   - event: The type; must hold no line end. `nil` for the default type.
  ///   - id: The event's id; must hold no line end.
  /// - Throws: As ``BodyWriter/write(_:)-([UInt8])``.
  @concurrent
  public func send(_ data: String, event: String? = nil, id: String? = nil) async throws {
    try await send(Array(data.utf8), event: event, id: id)
  }

  /// Sends one event whose data is UTF-8 text.
  @concurrent
  public func send(_ data: [UInt8], event: String? = nil, id: String? = nil) async throws {
    var output: [UInt8] = []
    output.reserveCapacity(data.count + 32)
    SSEEncoder.append(data: data.span, type: event, id: id, to: &output)
    try await body.write(output)
  }

  /// Sends a comment, which keeps proxies from closing an idle stream.
  @concurrent
  public func comment(_ text: String = "") async throws {
    var output: [UInt8] = []
    SSEEncoder.appendComment(text, to: &output)
    try await body.write(output)
  }

  /// Sends bytes that are whole events already.
  @concurrent
  public func raw(_ bytes: [UInt8]) async throws { try await body.write(bytes) }
}

/// Where a body goes.
final class BodySink: @unchecked Sendable {
  // @unchecked: touched on the stream's loop only.
  private let stream: ByteStream
  private let isChunked: Bool
  private var pending: [UInt8]
  private(set) var isEnded = false
  /// Bytes still to come of a body with a length; `nil` for chunked ones.
  private var remaining: Int?

  /// - Parameters:
  ///   - stream: Where to.
  ///   - head: Sent in front of the first bytes.
  ///   - framing: Of the body.
  init(_ stream: ByteStream, head: [UInt8], framing: BodyFraming) {
    self.stream = stream
    pending = head
    isChunked = framing == .chunked
    if case .length(let count) = framing { remaining = count }
  }

  @concurrent
  func write(_ bytes: [UInt8]) async throws {
    guard stream.loop.isHome else {
      return try await stream.loop.run { try await self.write(bytes) }
    }
    guard !isEnded else { throw NetError.closed }
    if let remaining {
      guard bytes.count <= remaining else {
        throw NetError(.invalidArgument, "the body is longer than its Content-Length")
      }
      self.remaining = remaining - bytes.count
    }
    var output = pending
    pending = []
    if isChunked {
      output.reserveCapacity(output.count + bytes.count + 16)
      HTTPWriter.appendChunk(bytes.span, to: &output)
    } else if output.isEmpty {
      output = bytes
    } else {
      output += bytes
    }
    try await stream.write(output)
    if stream.spend(output.count) { await Task.yield() }
  }

  /// Sends the head if nothing was written yet, so that a peer sees it before the first bytes.
  @concurrent
  func flushHead() async throws {
    guard stream.loop.isHome else {
      return try await stream.loop.run { try await self.flushHead() }
    }
    let output = pending
    pending = []
    if !output.isEmpty { try await stream.write(output) }
  }

  /// Ends the body; `false` when a promised length was not reached.
  func end() async throws -> Bool {
    isEnded = true
    var output = pending
    pending = []
    if isChunked { HTTPWriter.appendLastChunk(to: &output) }
    if !output.isEmpty { try await stream.write(output) }
    return (remaining ?? 0) == 0
  }

  /// Later writes fail.
  func invalidate() { isEnded = true }
}
