internal import BloomBase
public import BloomHTTP

/// One end of a WebSocket connection, RFC 6455.
///
/// Safe from any task; one task at a time receives.
///
/// Pings of the peer are answered while somebody receives, so a receiver should always wait.
public final class WebSocket: AsyncSequence, Sendable {
  /// A text or binary message.
  public typealias Element = WebSocketMessage

  /// How a connection ended.
  public struct Closure: Sendable, Equatable {
    /// The peer's code; `nil` when it sent none or just left.
    public let code: WebSocketCloseCode?
    /// The peer's reason, at most 123 bytes.
    public let reason: String

    /// Wraps what the peer said.
    public init(code: WebSocketCloseCode?, reason: String) {
      self.code = code
      self.reason = reason
    }
  }

  /// What TLS proved of the peer, its `tls-exporter` value included; `nil` on plain connections.
  public let tls: TLSInfo?
  /// The other end.
  public let peer: SocketAddress
  /// The subprotocol both ends agreed on.
  public let subprotocol: String?
  /// The loop of the connection, for timers and child tasks.
  public let loop: EventLoop
  private let core: Core

  init(
    _ stream: ByteStream, role: WebSocketRole, _ options: WebSocketOptions, tls: TLSInfo?,
    subprotocol: String?
  ) {
    self.tls = tls
    self.subprotocol = subprotocol
    peer = stream.peer
    loop = stream.loop
    core = Core(stream, role, options)
    core.startKeepAlive()
  }

  deinit {
    let core = core
    loop.execute { core.abandon() }
  }

  /// Sends a message; returns when the kernel has taken it.
  ///
  /// Suspends while the peer does not read. Messages of concurrent callers keep their order of
  /// call. Cancelling a send that has begun closes the connection.
  /// - Throws: ``NetError`` with `peerLeft`, `closed` or `timedOut`; `CancellationError`.
  @concurrent
  public func send(_ message: WebSocketMessage) async throws {
    guard loop.isHome else {
      return try await loop.run { try await self.core.send(message) }
    }
    try await core.send(message)
  }

  /// Sends a binary message.
  @concurrent
  public func send(_ bytes: [UInt8]) async throws { try await send(.binary(bytes)) }

  /// Sends binary messages in as few writes as their size allows.
  @concurrent
  package func send(_ messages: [[UInt8]]) async throws {
    guard loop.isHome else {
      return try await loop.run { try await self.core.send(messages) }
    }
    try await core.send(messages)
  }

  /// Sends a text message.
  @concurrent
  public func send(_ text: String) async throws { try await send(.text(text)) }

  /// The next message; `nil` once the peer has closed in order.
  ///
  /// - Throws: ``NetError`` when the connection broke or was silent too long, `WebSocketError`
  ///   when the peer broke the protocol, `CancellationError`.
  @concurrent
  public func receive() async throws -> WebSocketMessage? {
    guard loop.isHome else { return try await loop.run { try await self.core.receive() } }
    return try await core.receive()
  }

  /// All messages that have come, at least one; `nil` once the peer has closed in order.
  ///
  /// One read of a busy connection holds a hundred messages: together they cost one wait.
  ///
  /// - Throws: As ``receive()``, once the messages before the error were given.
  @concurrent
  package func receiveAll() async throws -> [WebSocketMessage]? {
    guard loop.isHome else { return try await loop.run { try await self.core.receiveAll() } }
    return try await core.receiveAll()
  }

  /// Measures the way to the peer and back.
  ///
  /// Somebody must be receiving at the same time.
  ///
  /// - Throws: ``NetError/Code/timedOut`` without a pong within `timeout`, or the connection's end.
  @concurrent
  public func ping(timeout: Duration = .seconds(10)) async throws -> Duration {
    let start = ContinuousClock.now
    try await loop.withTimeout(timeout, "no pong from the peer") { try await self.core.ping() }
    return ContinuousClock.now - start
  }

  /// Closes in order: sends a close frame, waits a short while for the peer's, and closes.
  ///
  /// Messages that come meanwhile are dropped. Safe to call twice.
  /// - Parameters:
  ///   - code: Why.
  ///   - reason: Cut at 123 bytes.
  @concurrent
  public func close(_ code: WebSocketCloseCode = .normal, _ reason: String = "") async {
    // A task of its own: the farewell must not be lost when the caller is cancelled.
    let core = core
    await Task(executorPreference: loop) { await core.close(code, reason) }.value
  }

  /// How the peer closed; `nil` while it has not.
  @concurrent
  public func closure() async -> Closure? {
    let core = core
    return try? await loop.run { core.closure }  // the body does not throw
  }

  /// The server drains.
  func goAway() { core.goAway() }

  /// Starts to receive.
  public func makeAsyncIterator() -> Iterator { Iterator(socket: self) }

  /// Receives message after message.
  public struct Iterator: AsyncIteratorProtocol {
    let socket: WebSocket

    /// The next message; `nil` once the peer has closed in order.
    public mutating func next() async throws -> WebSocketMessage? { try await socket.receive() }
  }
}

@available(*, unavailable)
extension WebSocket.Iterator: Sendable {}

extension WebSocket {
  /// What lives on the loop.
  @safe
  final class Core: WheelEntry, @unchecked Sendable {
    // @unchecked: touched on the stream's loop only.
    private let stream: ByteStream
    private var parser: WebSocketFrameParser
    private let role: WebSocketRole
    private let options: WebSocketOptions
    private var masks = SystemRandomNumberGenerator()
    private(set) var closure: Closure?
    private var hasSentClose = false
    private var isReceiving = false
    /// What one read brought and nobody has taken yet, and the error behind it.
    private var events: ArraySlice<WebSocketFrameParser.Event> = []
    private var failure: WebSocketError?
    private var isDraining = false  // `close` reads on, to the peer's close frame
    private var pingNumber: UInt64 = 0
    private var pongWaiters = unsafe [
      (number: UInt64, continuation: UnsafeContinuation<Void, Never>)
    ]()
    private var receivedPong: UInt64 = 0
    private var nextPing: UInt64?
    private var heardAt: UInt64 = 0

    init(_ stream: ByteStream, _ role: WebSocketRole, _ options: WebSocketOptions) {
      self.stream = stream
      self.role = role
      self.options = options
      parser = WebSocketFrameParser(role: role, limits: options.limits)
    }

    private var mask: UInt32? { role == .client ? masks.next() : nil }

    func send(_ message: WebSocketMessage) async throws {
      guard !hasSentClose else { throw NetError.closed }
      var output: [UInt8] = []
      WebSocketWriter.append(message, mask: mask, to: &output)
      try await stream.write(output)
      if stream.spend(output.count) { await Task.yield() }
    }

    func send(_ messages: [[UInt8]]) async throws {
      var output: [UInt8] = []
      for message in messages {
        guard !hasSentClose else { throw NetError.closed }
        WebSocketWriter.append(.binary(message), mask: mask, to: &output)
        if output.count < NetLimits.yieldBytes { continue }
        try await stream.write(output)
        if stream.spend(output.count) { await Task.yield() }
        output = []
      }
      guard !output.isEmpty else { return }
      try await stream.write(output)
      if stream.spend(output.count) { await Task.yield() }
    }

    func receiveAll() async throws -> [WebSocketMessage]? {
      guard let first = try await receive() else { return nil }
      var messages = [first]
      while case .message(let message)? = events.first {
        events.removeFirst()
        messages.append(message)
      }
      return messages
    }

    func receive() async throws -> WebSocketMessage? {
      // A receiver that was busy with a message while another task closed: nothing is left for it.
      guard !isDraining else { return nil }
      return try await nextMessage()
    }

    private func nextMessage() async throws -> WebSocketMessage? {
      invariant(!isReceiving, "two tasks receive from one WebSocket")
      isReceiving = true
      defer { isReceiving = false }
      while true {
        if closure != nil { return nil }
        guard let event = events.popFirst() else {
          events = []  // a slice keeps the memory of what was taken from it
          if let failure {
            await farewell(failure.closeCode, failure.publicDescription)
            stream.close()
            throw failure
          }
          guard try await readEvents() else {
            if !hasSentClose { throw NetError.peerLeft }
            closure = Closure(code: nil, reason: "")
            return nil
          }
          heardAt = stream.loop.tick
          continue
        }
        switch event {
        case .message(let message): return message
        case .ping(let bytes): try await pong(bytes)
        case .pong(let bytes): didReceivePong(bytes)
        case .close(let code, let reason):
          closure = Closure(code: code, reason: reason)
          await farewell(code ?? .normal, "")
          return nil
        }
      }
    }

    /// Parses what one read brings; `false` at the end of the stream.
    private func readEvents() async throws -> Bool {
      try await stream.read { bytes in
        var offset = 0
        do throws(WebSocketError) {
          while let event = try parser.next(bytes, at: &offset) { events.append(event) }
        } catch {
          failure = error
        }
        return bytes.count  // nothing is read behind an error
      }
    }

    private func pong(_ bytes: [UInt8]) async throws {
      guard !hasSentClose else { return }
      var output: [UInt8] = []
      WebSocketWriter.appendPong(bytes, mask: mask, to: &output)
      try await stream.write(output)
    }

    func ping() async throws {
      pingNumber += 1
      let number = pingNumber
      try await sendPing(number)
      await withTaskCancellationHandler {
        await unsafe withUnsafeContinuation { continuation in
          if receivedPong >= number || stream.isClosed || Task.isCancelled {
            unsafe continuation.resume()
          } else {
            unsafe pongWaiters.append((number, continuation))
          }
        }
      } onCancel: {
        stream.loop.execute { self.wake { $0 == number } }
      }
      try Task.checkCancellation()
      if receivedPong < number { throw NetError.peerLeft }
    }

    private func sendPing(_ number: UInt64) async throws {
      var output: [UInt8] = []
      WebSocketWriter.appendPing(Array("\(number)".utf8), mask: mask, to: &output)
      try await stream.write(output)
    }

    private func didReceivePong(_ bytes: [UInt8]) {
      guard let number = UInt64(String(decoding: bytes, as: UTF8.self)), number <= pingNumber else {
        return  // unasked for, RFC 6455 §5.5.3
      }
      receivedPong = Swift.max(receivedPong, number)
      wake { $0 <= number }
    }

    private func wake(_ isDue: (UInt64) -> Bool) {
      let due = unsafe pongWaiters.filter { isDue(unsafe $0.number) }
      unsafe pongWaiters.removeAll { isDue(unsafe $0.number) }
      unsafe due.forEach { unsafe $0.continuation.resume() }
    }

    // MARK: Keep-alive

    func startKeepAlive() {
      heardAt = stream.loop.tick
      stream.onClose = { [weak self] in
        guard let self else { return }
        self.nextPing = nil
        self.wake { _ in true }
      }
      if let interval = options.pingInterval ?? options.idleTimeout {
        nextPing = stream.loop.tick(after: interval)
        stream.loop.schedule(self)
      }
    }

    override var nextDeadline: UInt64? { nextPing }

    override func expired(at tick: UInt64) {
      if let limit = options.idleTimeout, isReceiving,
        tick - Swift.min(tick, heardAt) >= stream.loop.tick(after: limit) - stream.loop.tick
      {
        nextPing = nil
        return stream.fail(.timedOut("the WebSocket peer is silent"))
      }
      guard let interval = options.pingInterval ?? options.idleTimeout else { return }
      nextPing = stream.loop.tick(after: interval)
      guard options.pingInterval != nil, !hasSentClose else { return }
      Task(executorPreference: stream.loop) {
        self.pingNumber += 1
        try? await self.sendPing(self.pingNumber)  // a dead connection is seen by its reader
      }
    }

    // MARK: Closing

    /// Sends the close frame once; errors do not matter any more.
    private func farewell(_ code: WebSocketCloseCode, _ reason: String) async {
      guard !hasSentClose, !stream.isClosed else { return }
      hasSentClose = true
      var output: [UInt8] = []
      WebSocketWriter.appendClose(code, reason: reason, mask: mask, to: &output)
      try? await stream.write(output)  // the peer may be gone
    }

    func close(_ code: WebSocketCloseCode, _ reason: String) async {
      await farewell(code, reason)
      guard !stream.isClosed else { return }
      stream.setDeadline(.read("no close frame"), after: options.closeTimeout)
      // A receiver elsewhere gets the peer's close frame itself, and the deadline ends it.
      if !isReceiving {
        isDraining = true
        while closure == nil, let message = try? await nextMessage() { _ = message }
      }
      if closure != nil || !isReceiving {
        nextPing = nil
        if closure != nil { stream.close() } else { await stream.closeGently() }
      }
    }

    func goAway() {
      Task(executorPreference: stream.loop) { await self.close(.goingAway, "") }
    }

    /// Nobody holds the WebSocket any more.
    func abandon() {
      nextPing = nil
      stream.close()
    }
  }
}
