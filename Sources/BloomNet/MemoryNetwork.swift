internal import BloomBase

/// Connections inside the process, for tests of servers and clients without sockets.
///
/// A server listens on it with `.memory(network)`, a client is given it in its configuration.
/// Heads, bodies, limits, time-outs and WebSockets work as over TCP.
public final class MemoryNetwork: Sendable {
  struct Acceptor: Sendable {
    let loop: EventLoop
    let accept: @Sendable (ByteStream) -> Void
  }

  private let acceptor = Locked<Acceptor?>(nil)
  /// Bytes of one delivery at most; small values cut messages at many places.
  ///
  /// 1…65,536.
  public let deliveryBytes: Int

  /// A network without a server yet.
  public init(deliveryBytes: Int = 65_536) {
    self.deliveryBytes = min(65_536, max(1, deliveryBytes))
  }

  func listen(_ new: Acceptor?) throws(NetError) {
    let isFree = acceptor.withLock { current in
      guard new == nil || current == nil else { return false }
      current = new
      return true
    }
    guard isFree else { throw NetError(.listenFailed, "the memory network has a server already") }
  }

  /// The loop of the server; connections live there.
  func serverLoop() throws(NetError) -> EventLoop {
    guard let acceptor = acceptor.withLock({ $0 }) else {
      throw NetError(.connectFailed, "connection refused: the memory network has no server")
    }
    return acceptor.loop
  }

  /// Connects to the server; must run on ``serverLoop()``.
  func connect() throws(NetError) -> ByteStream {
    guard let acceptor = acceptor.withLock({ $0 }) else {
      throw NetError(.connectFailed, "connection refused: the memory network has no server")
    }
    let (client, server) = MemoryStream.pair(on: acceptor.loop, deliveryBytes: deliveryBytes)
    acceptor.accept(server)
    return client
  }
}

/// One end of a pair of streams in memory.
///
/// Both ends live on the same loop.
package final class MemoryStream: ByteStream, @unchecked Sendable {
  // @unchecked: touched on `loop` only.
  private var other: MemoryStream?
  private let deliveryBytes: Int
  private var inbox: [UInt8] = []
  private var isInboxEnded = false
  private var isDelivering = false
  private var isPumpDue = false
  private var isPeerBlocked = false

  private init(_ loop: EventLoop, deliveryBytes: Int) {
    self.deliveryBytes = deliveryBytes
    super.init(loop)
  }

  /// Two connected ends.
  package static func pair(
    on loop: EventLoop, deliveryBytes: Int = 65_536
  ) -> (MemoryStream, MemoryStream) {
    let a = MemoryStream(loop, deliveryBytes: deliveryBytes)
    let b = MemoryStream(loop, deliveryBytes: deliveryBytes)
    a.other = b
    b.other = a
    return (a, b)
  }

  override func startInput() throws(NetError) {
    isDelivering = true
    pumpSoon()
  }

  override func stopInput() { isDelivering = false }

  override func send(_ bytes: UnsafeRawBufferPointer) throws(NetError) -> Bool {
    guard let other, !other.isClosed, !other.isInboxEnded else { throw NetError.peerLeft }
    unsafe other.inbox.append(contentsOf: bytes)
    other.pumpSoon()
    if other.inbox.count <= NetLimits.memoryWindowBytes { return true }
    other.isPeerBlocked = true
    return false
  }

  override func endOutput() {
    other?.isInboxEnded = true
    other?.pumpSoon()
  }

  override func closeTransport() {
    guard let other else { return }
    self.other = nil
    other.isInboxEnded = true
    other.pumpSoon()
    if isPeerBlocked {
      isPeerBlocked = false
      loop.execute { other.didSend(.peerLeft) }
    }
  }

  private func pumpSoon() {
    if isPumpDue { return }
    isPumpDue = true
    loop.execute { self.pump() }
  }

  private func pump() {
    isPumpDue = false
    guard isDelivering, !isClosed else { return }
    if !inbox.isEmpty {
      let part = Array(inbox.prefix(deliveryBytes))
      inbox.removeFirst(part.count)
      didReceive(copy: part)
      if isPeerBlocked, inbox.count <= NetLimits.memoryWindowBytes {
        isPeerBlocked = false
        other?.didSend(nil)
      }
      if isDelivering, !inbox.isEmpty || isInboxEnded { pumpSoon() }
    } else if isInboxEnded {
      didEnd(nil)
    }
  }
}
