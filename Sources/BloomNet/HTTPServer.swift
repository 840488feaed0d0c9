internal import BloomBase
internal import BloomHTTP

/// Serves HTTP/1.1 and WebSockets until it is cancelled.
public final class HTTPServer: Sendable {
  struct State: Sendable {
    var addresses: [SocketAddress]?
    var failure: NetError?
    var addressWaiters: [CheckedContinuation<[SocketAddress]?, Never>] = []
    var isCancelled = false
    var cancelWaiter: CheckedContinuation<Void, Never>?
    var open = 0
    var refused = 0
    var openBySubscriber: [[UInt8]: Int] = [:]
    var emptyWaiter: CheckedContinuation<Void, Never>?
    var tls: TLSContext?
  }

  let configuration: Configuration
  let responder: any HTTPResponder
  let group: EventLoopGroup
  let state = Locked(State())
  private let workers: [ServerLoop]

  /// Makes a server; nothing is opened before ``run()``.
  ///
  /// - Parameters:
  ///   - configuration: Where to listen and what to accept.
  ///   - group: The loops that serve.
  ///   - responder: Answers the requests, usually a ``Router``.
  public init(
    _ configuration: Configuration, group: EventLoopGroup = .shared,
    responder: any HTTPResponder
  ) {
    self.configuration = configuration
    self.responder = responder
    self.group = group
    workers = group.loops.map { ServerLoop($0) }
  }

  /// Listens and serves until the task is cancelled; then drains.
  ///
  /// Draining closes listeners and unused connections at once, tells WebSockets to go away, lets
  /// running requests end within the drain time-out, and cancels the rest. Call once.
  /// - Throws: ``NetError`` when an address cannot be listened on, or a certificate is bad.
  public func run() async throws {
    do throws(NetError) {
      if let tls = configuration.tls {
        let context = try TLSContext(tls)
        state.withLock { $0.tls = context }
      }
      let addresses = try await listen()
      publish(addresses, nil)
    } catch {
      await stopListening()
      publish(nil, error)
      throw error
    }
    await untilCancelled()
    await drain()
  }

  /// The addresses that are listened on, in the order of the configuration.
  ///
  /// Suspends until they are known.
  /// - Throws: What ``run()`` throws when it cannot listen.
  public func boundAddresses() async throws -> [SocketAddress] {
    let addresses = await withCheckedContinuation { continuation in
      let known: [SocketAddress]?? = state.withLock { state in
        if let addresses = state.addresses { return addresses }
        if state.failure != nil { return .some(nil) }
        state.addressWaiters.append(continuation)
        return nil
      }
      if let known { continuation.resume(returning: known) }
    }
    if let addresses { return addresses }
    throw state.withLock { $0.failure } ?? NetError.closed
  }

  /// Connections that are open now.
  public var connectionCount: Int { state.withLock { $0.open } }

  /// Connections that were closed at once since the start, because of a limit.
  public var refusedConnectionCount: Int { state.withLock { $0.refused } }

  /// Reads the certificate and key again; new connections use them.
  ///
  /// The server does so itself from time to time, see ``Configuration/certificateTime``.
  /// - Throws: ``NetError/Code/badCertificate``; the old ones stay in use then.
  public func reloadCertificates() throws(NetError) {
    guard let tls = configuration.tls else { return }
    let context = try TLSContext(tls)
    state.withLock { $0.tls = context }
  }

  /// The public text of an error of HTTP, of a body too large or too slow; 500 for anything else.
  public static func defaultErrorResponse(_ error: any Error) -> Response {
    switch error {
    case let error as HTTPError:
      return .text(error.publicDescription + "\n", status: error.status)
    case let error as NetError where error.code == .tooLarge:
      return .text(error.publicDescription + "\n", status: .contentTooLarge)
    case let error as NetError where error.code == .timedOut:
      return .text(error.publicDescription + "\n", status: .requestTimeout)
    default: return .text("internal error\n", status: .internalServerError)
    }
  }

  // MARK: Listening

  private func listen() async throws(NetError) -> [SocketAddress] {
    var addresses: [SocketAddress] = []
    for place in configuration.listen {
      switch place {
      case .tcp(let host, let port):
        addresses.append(try await listenTCP(host, port))
      case .unix(let path):
        addresses.append(
          try await onLoop(workers[0]) { worker throws(NetError) in
            let listener = try Listener(unix: path, on: worker.loop) { socket in
              worker.accept(socket, usesTLS: false, self)
            }
            worker.listeners.append(listener)
            return listener.address
          })
      case .memory(let network):
        let worker = workers[0]
        try network.listen(
          MemoryNetwork.Acceptor(loop: worker.loop) { worker.accept($0, usesTLS: false, self) })
        addresses.append(.memory)
      }
    }
    return addresses
  }

  /// One listener a loop where the kernel spreads connections, otherwise one that hands them on.
  private func listenTCP(_ host: String, _ port: Int) async throws(NetError) -> SocketAddress {
    let usesTLS = configuration.tls != nil
    #if os(Linux)
    let listening = workers
    #else
    let listening = [workers[0]]
    #endif
    if listening.count > 1 { try Listener.checkFree(tcp: host, port: port) }
    var first: SocketAddress?
    for worker in listening {
      let port = first?.port ?? port
      let address = try await onLoop(worker) { worker throws(NetError) in
        let listener = try Listener(
          tcp: host, port: port, reusesPort: listening.count > 1, on: worker.loop
        ) { socket in
          if listening.count == self.workers.count {
            worker.accept(socket, usesTLS: usesTLS, self)
          } else {
            self.handOn(socket, usesTLS: usesTLS)
          }
        }
        worker.listeners.append(listener)
        return listener.address
      }
      first = first ?? address
    }
    return first ?? .memory
  }

  /// Moves a connection to the next loop; libuv handles cannot move, descriptors can.
  private func handOn(_ socket: Socket, usesTLS: Bool) {
    let loop = group.any()
    guard let worker = workers.first(where: { $0.loop === loop }), !loop.isCurrent,
      let descriptor = try? socket.duplicateDescriptor()
    else {
      workers.first { $0.loop.isCurrent }?.accept(socket, usesTLS: usesTLS, self)
      return
    }
    socket.close()
    loop.execute {
      // A connection that ended on the way is nothing to serve.
      guard let moved = try? Socket.adopt(descriptor: descriptor, isPipe: false, on: loop) else {
        return
      }
      worker.accept(moved, usesTLS: usesTLS, self)
    }
  }

  private func onLoop<R: Sendable>(
    _ worker: ServerLoop, _ body: @escaping @Sendable (ServerLoop) throws(NetError) -> R
  ) async throws(NetError) -> R {
    let result: Result<R, NetError> = await withCheckedContinuation { continuation in
      worker.loop.execute {
        continuation.resume(returning: Result { () throws(NetError) in try body(worker) })
      }
    }
    return try result.get()
  }

  private func stopListening() async {
    for place in configuration.listen {
      // Taking our own acceptor away cannot fail.
      if case .memory(let network) = place { try? network.listen(nil) }
    }
    for worker in workers {
      // The body does not throw.
      try? await onLoop(worker) { worker throws(NetError) in worker.stopListening() }
    }
  }

  private func publish(_ addresses: [SocketAddress]?, _ failure: NetError?) {
    let waiters = state.withLock { state in
      state.addresses = addresses
      state.failure = failure
      defer { state.addressWaiters = [] }
      return state.addressWaiters
    }
    for waiter in waiters { waiter.resume(returning: addresses) }
  }

  // MARK: Ending

  private func untilCancelled() async {
    await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        let isCancelled = state.withLock { state in
          if !state.isCancelled { state.cancelWaiter = continuation }
          return state.isCancelled
        }
        if isCancelled { continuation.resume() }
      }
    } onCancel: {
      let waiter = state.withLock { state in
        state.isCancelled = true
        defer { state.cancelWaiter = nil }
        return state.cancelWaiter
      }
      waiter?.resume()
    }
  }

  private func drain() async {
    await stopListening()
    for worker in workers { worker.loop.execute { worker.drain() } }
    // A task of its own: the caller's is cancelled, and its sleep would end at once.
    let limit = configuration.timeouts.drain
    let loop = workers[0].loop
    let workers = workers
    let killer = Task(executorPreference: loop) {
      try? await loop.sleep(for: limit)  // cancelled: everybody has ended in time
      if Task.isCancelled { return }
      for worker in workers { worker.loop.execute { worker.endAll() } }
    }
    await withCheckedContinuation { continuation in
      let isEmpty = state.withLock { state in
        if state.open > 0 { state.emptyWaiter = continuation }
        return state.open == 0
      }
      if isEmpty { continuation.resume() }
    }
    killer.cancel()
  }

  // MARK: Counting

  /// Whether one more connection may come; counts it then.
  func admit(_ peer: SocketAddress) -> Bool {
    state.withLock { state in
      guard state.open < configuration.maxConnections, !state.isCancelled else {
        state.refused += 1
        return false
      }
      if case .ip(let ip, _) = peer, !ip.isLoopback,
        let limit = configuration.maxConnectionsPerAddress
      {
        let count = state.openBySubscriber[ip.subscriber, default: 0]
        guard count < limit else {
          state.refused += 1
          return false
        }
        state.openBySubscriber[ip.subscriber] = count + 1
      }
      state.open += 1
      return true
    }
  }

  func leave(_ peer: SocketAddress) {
    let waiter = state.withLock { state in
      if case .ip(let ip, _) = peer, let count = state.openBySubscriber[ip.subscriber] {
        state.openBySubscriber[ip.subscriber] = count > 1 ? count - 1 : nil
      }
      state.open -= 1
      guard state.open == 0 else { return nil as CheckedContinuation<Void, Never>? }
      defer { state.emptyWaiter = nil }
      return state.emptyWaiter
    }
    waiter?.resume()
  }

  var tlsContext: TLSContext? { state.withLock { $0.tls } }
}
