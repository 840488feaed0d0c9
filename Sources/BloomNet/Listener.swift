internal import BloomBase
internal import CLibuv
internal import CTLS

/// A listening socket on one loop.
final class Listener: LoopHandle, @unchecked Sendable {
  // @unchecked: touched on `loop` only.
  private let loop: EventLoop
  private let isPipe: Bool
  private let onConnection: (Socket) -> Void
  private let path: String?
  let address: SocketAddress

  /// Listens.
  ///
  /// - Parameters:
  ///   - host: An address literal, or `localhost`.
  ///   - port: 0 for any free one.
  ///   - reusesPort: For one socket a loop on the same port; Linux spreads connections over them.
  ///   - loop: Where it lives.
  ///   - onConnection: Gets each accepted connection, on the loop.
  /// - Throws: ``NetError/Code/listenFailed``, saying what to do.
  init(
    tcp host: String, port: Int, reusesPort: Bool, on loop: EventLoop,
    _ onConnection: @escaping (Socket) -> Void
  ) throws(NetError) {
    guard let ip = host == "localhost" ? IPAddress.loopback : IPAddress(host),
      (0...65_535).contains(port)
    else {
      throw NetError(
        .invalidArgument, "listen on an address literal such as :: or 127.0.0.1 and a port")
    }
    let descriptor = unsafe ctls_listen(
      ip.description, Int32(port), reusesPort ? 1 : 0, NetLimits.backlog)
    if descriptor < 0 { throw Self.refusal(descriptor, "port \(port)") }
    self.loop = loop
    self.onConnection = onConnection
    isPipe = false
    path = nil
    address = .ip(ip, port: Int(ctls_bound_port(descriptor)))
    super.init()
    allocate(UV_TCP)
    let tcp = unsafe handle(uv_tcp_t.self)
    unsafe UVCode.check(uv_tcp_init(loop.uv, tcp))
    unsafe UVCode.check(uv_tcp_open(tcp, descriptor))
    try listen("port \(port)")
  }

  /// Listens on a socket file; removed when the listener closes.
  init(
    unix path: String, on loop: EventLoop, _ onConnection: @escaping (Socket) -> Void
  ) throws(NetError) {
    let descriptor = unsafe ctls_listen_unix(path, NetLimits.backlog)
    if descriptor < 0 { throw Self.refusal(descriptor, "socket file \(path)") }
    self.loop = loop
    self.onConnection = onConnection
    isPipe = true
    self.path = path
    address = .unix(path: path)
    super.init()
    allocate(UV_NAMED_PIPE)
    let pipe = unsafe handle(uv_pipe_t.self)
    unsafe UVCode.check(uv_pipe_init(loop.uv, pipe, 0))
    unsafe UVCode.check(uv_pipe_open(pipe, descriptor))
    try listen("socket file \(path)")
  }

  /// Throws when somebody else listens on the port.
  ///
  /// Sockets that share a port would not notice: the kernel would spread clients over two programs.
  static func checkFree(tcp host: String, port: Int) throws(NetError) {
    guard port > 0, let ip = host == "localhost" ? IPAddress.loopback : IPAddress(host) else {
      return
    }
    let descriptor = unsafe ctls_listen(ip.description, Int32(port), 0, 1)
    if descriptor < 0 { throw refusal(descriptor, "port \(port)") }
    ctls_close(descriptor)
  }

  private func listen(_ what: String) throws(NetError) {
    let code = unsafe uv_listen(handle(uv_stream_t.self), NetLimits.backlog) { server, status in
      guard let server = unsafe server, status == 0,
        let listener = unsafe LoopHandle.owner(server) as? Listener
      else { return }  // out of descriptors: libuv refuses the client with its spare one
      guard
        let socket = try? unsafe Socket.accept(
          server, isPipe: listener.isPipe, on: listener.loop)
      else { return }  // the client left while it waited
      listener.onConnection(socket)
      listener.loop.turn()
    }
    if code < 0 {
      close()
      throw Self.refusal(code, what)
    }
  }

  func close() {
    guard isOpen else { return }
    if let path { unsafe ctls_unlink(path) }
    closeHandle()
  }

  override func closeForStop() { close() }

  private static func refusal(_ code: Int32, _ what: String) -> NetError {
    let why =
      switch uv_errno_t(rawValue: code) {
      case UV_EADDRINUSE:
        "is in use by another program: stop it or choose another one"
      case UV_EACCES: "may not be used: choose a port from 1024 up or another folder"
      case UV_EADDRNOTAVAIL:
        "cannot be used: the address does not belong to this machine: listen on :: or on one "
          + "of its own"
      case UV_EEXIST: "cannot be used: a file that is no socket is there: choose another path"
      case UV_ENOENT: "cannot be made: its folder does not exist: make it or choose another"
      case UV_ENAMETOOLONG:
        "cannot be made: its path is longer than 107 bytes: choose a shorter one"
      default: "cannot be listened on: \(UVCode.text(code))"
      }
    return NetError(.listenFailed, "\(what) \(why)")
  }
}
