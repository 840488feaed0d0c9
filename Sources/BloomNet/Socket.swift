internal import BloomBase
internal import CLibuv
internal import CTLS

/// A TCP connection or unix-domain stream. docs.libuv.org/en/v1.x/stream.html
@safe
package final class Socket: ByteStream, @unchecked Sendable {
  // @unchecked: touched on `loop` only.

  /// The libuv handle; a second object because its lifetime is libuv's.
  private final class Handle: LoopHandle {
    // Not weak: a weak reference makes every retain of the socket take the slow path. The socket
    // clears it when it goes, on the loop, where the callbacks run.
    unowned(unsafe) var socket: Socket?
    // While the kernel has bytes of ours to send, or somebody waits, the socket must live.
    override func closeForStop() {
      if let socket = unsafe socket { socket.fail(.closed) } else { closeHandle() }
    }
  }

  private let handle = Handle()

  private init(_ loop: EventLoop, _ type: uv_handle_type) {
    super.init(loop)
    handle.allocate(type)
    unsafe handle.socket = self
  }

  deinit {
    unsafe handle.socket = nil
    handle.closeHandle()
  }

  var stream: UnsafeMutablePointer<uv_stream_t>? { unsafe handle.handle(uv_stream_t.self) }

  private static func of<T>(_ pointer: UnsafeMutablePointer<T>?) -> Socket? {
    unsafe (LoopHandle.owner(pointer) as? Handle)?.socket
  }

  // MARK: Making

  private static func tcp(on loop: EventLoop) -> Socket {
    let new = Socket(loop, UV_TCP)
    if let tcp = unsafe new.handle.handle(uv_tcp_t.self) {
      unsafe UVCode.check(uv_tcp_init(loop.uv, tcp))
    }
    return new
  }

  private static func pipe(on loop: EventLoop) -> Socket {
    let new = Socket(loop, UV_NAMED_PIPE)
    if let pipe = unsafe new.handle.handle(uv_pipe_t.self) {
      unsafe UVCode.check(uv_pipe_init(loop.uv, pipe, 0))
    }
    new.peer = .unix(path: "")
    return new
  }

  /// A unix-domain stream that `uv_spawn` will connect.
  static func unconnectedPipe(on loop: EventLoop) -> Socket { pipe(on: loop) }

  private func check(_ code: Int32) throws(NetError) {
    if code >= 0 { return }
    close()
    throw UVCode.error(code)
  }

  private func didConnectTCP() {
    guard let tcp = unsafe handle.handle(uv_tcp_t.self) else { return }
    unsafe uv_tcp_nodelay(tcp, 1)
    var storage = sockaddr_storage()
    var size = Int32(MemoryLayout<sockaddr_storage>.size)
    unsafe withUnsafeMutableBytes(of: &storage) { raw in
      guard let base = unsafe raw.baseAddress?.assumingMemoryBound(to: sockaddr.self) else {
        return
      }
      if unsafe uv_tcp_getpeername(tcp, base, &size) == 0, let peer = unsafe SocketAddress(base) {
        self.peer = peer
      }
    }
  }

  /// A connection that waits on a listening stream of this loop.
  static func accept(
    _ server: UnsafeMutablePointer<uv_stream_t>, isPipe: Bool, on loop: EventLoop
  ) throws(NetError) -> Socket {
    let new = isPipe ? pipe(on: loop) : tcp(on: loop)
    try unsafe new.check(uv_accept(server, new.stream))
    if !isPipe { new.didConnectTCP() }
    return new
  }

  /// Takes over a connected descriptor, for example one accepted on another loop, or inherited.
  ///
  /// The descriptor belongs to the socket from then on, also after an error.
  package static func adopt(
    descriptor: Int32, isPipe: Bool, on loop: EventLoop
  ) throws(NetError) -> Socket {
    let new = isPipe ? pipe(on: loop) : tcp(on: loop)
    let code =
      if isPipe {
        unsafe uv_pipe_open(new.handle.handle(uv_pipe_t.self), descriptor)
      } else {
        unsafe uv_tcp_open(new.handle.handle(uv_tcp_t.self), descriptor)
      }
    if code < 0 { ctls_close(descriptor) }
    try new.check(code)
    if !isPipe { new.didConnectTCP() }
    return new
  }

  /// A copy of the descriptor, for another loop.
  func duplicateDescriptor() throws(NetError) -> Int32 {
    var descriptor: uv_os_fd_t = -1
    guard let stream = unsafe handle.handle(uv_handle_t.self),
      unsafe uv_fileno(stream, &descriptor) == 0
    else { throw NetError.closed }
    let copy = ctls_duplicate(descriptor)
    if copy < 0 { throw UVCode.error(copy) }
    return copy
  }

  /// Connects to one address.
  ///
  /// - Throws: ``NetError/Code/connectFailed``, or `CancellationError`.
  package static func connect(
    _ address: SocketAddress, on loop: EventLoop
  ) async throws -> Socket {
    let new: Socket
    let request = UnsafeMutablePointer<uv_connect_t>.allocate(capacity: 1)
    let done: uv_connect_cb = { request, status in
      guard let request = unsafe request else { return }
      let box = unsafe Unmanaged<Connecting>.fromOpaque(request.pointee.data).takeRetainedValue()
      unsafe request.deallocate()
      box.finish(status)
    }
    let box: Connecting
    let code: Int32
    if case .unix(let path) = address {
      new = pipe(on: loop)
      box = Connecting(loop)
      unsafe request.pointee.data = Unmanaged.passRetained(box).toOpaque()
      guard path.utf8.count < 108, !path.utf8.contains(0) else {
        unsafe Unmanaged.passUnretained(box).release()
        unsafe request.deallocate()
        new.close()
        throw NetError(.invalidArgument, "the path of the socket file is too long")
      }
      // uv_pipe_connect reports every failure through its callback.
      unsafe uv_pipe_connect(request, new.handle.handle(uv_pipe_t.self), path, done)
      new.peer = address
      code = 0
    } else {
      new = tcp(on: loop)
      box = Connecting(loop)
      unsafe request.pointee.data = Unmanaged.passRetained(box).toOpaque()
      let tcp = unsafe new.handle.handle(uv_tcp_t.self)
      code =
        unsafe address.withSockaddr { unsafe uv_tcp_connect(request, tcp, $0, done) }
        ?? Int32(UV_EINVAL.rawValue)
      if code < 0 {
        unsafe Unmanaged.passUnretained(box).release()
        unsafe request.deallocate()
      }
    }
    try new.check(code)
    await withTaskCancellationHandler {
      await loop.wait { await box.wait() }
    } onCancel: {
      loop.execute { new.close() }  // the connect callback then says ECANCELED
    }
    try Task.checkCancellation()
    try new.check(box.status)
    if case .ip = address { new.didConnectTCP() }
    return new
  }

  /// One connect request in flight.
  @safe
  private final class Connecting: @unchecked Sendable {
    // @unchecked: touched on its loop only.
    private let loop: EventLoop
    private(set) var status: Int32 = 0
    private var isDone = false
    private var waiter: UnsafeContinuation<Void, Never>?

    init(_ loop: EventLoop) { self.loop = loop }

    func wait() async {
      await unsafe withUnsafeContinuation {
        if isDone { unsafe $0.resume() } else { unsafe waiter = $0 }
      }
    }

    func finish(_ status: Int32) {
      self.status = status
      isDone = true
      let waiting = unsafe waiter
      unsafe waiter = nil
      unsafe waiting?.resume()
      loop.turn()
    }
  }

  // MARK: Moving bytes

  override func startInput() throws(NetError) {
    guard let stream = unsafe stream else { throw NetError.closed }
    let code = unsafe uv_read_start(
      stream,
      { handle, _, buffer in
        guard let socket = unsafe Socket.of(handle) else { return }
        let scratch = unsafe socket.loop.scratch
        unsafe buffer?.pointee = uv_buf_init(
          scratch.baseAddress?.assumingMemoryBound(to: CChar.self), UInt32(scratch.count))
      },
      { handle, count, buffer in
        guard let socket = unsafe Socket.of(handle), count != 0 else { return }
        if count < 0 {
          let code = Int32(truncatingIfNeeded: count)
          return socket.didEnd(code == UVCode.end ? nil : UVCode.error(code))
        }
        guard let base = unsafe buffer?.pointee.base else { return }
        let bytes = unsafe UnsafeRawBufferPointer(start: base, count: count)
        unsafe socket.didReceive(bytes.bindMemory(to: UInt8.self))
      })
    if code < 0 { throw UVCode.error(code) }
  }

  override func stopInput() {
    if let stream = unsafe stream { unsafe uv_read_stop(stream) }
  }

  override func send(_ bytes: UnsafeRawBufferPointer) throws(NetError) -> Bool {
    guard let stream = unsafe stream else { throw NetError.closed }
    let base = unsafe UnsafeMutablePointer(
      mutating: bytes.baseAddress?.assumingMemoryBound(to: CChar.self))
    var buffer = unsafe uv_buf_init(base, UInt32(bytes.count))
    var sent = unsafe uv_try_write(stream, &buffer, 1)
    if sent == UVCode.again { sent = 0 }
    if sent < 0 { throw UVCode.error(sent) }
    let rest = bytes.count - Int(sent)
    if rest == 0 { return true }
    // One block: the request, then a copy of the bytes that are left.
    let header = unsafe MemoryLayout<uv_write_t>.stride
    let block = UnsafeMutableRawPointer.allocate(
      byteCount: header + rest, alignment: 16)
    let copy = unsafe UnsafeMutableRawBufferPointer(start: block + header, count: rest)
    unsafe copy.copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[Int(sent)...]))
    let request = unsafe block.assumingMemoryBound(to: uv_write_t.self)
    unsafe buffer = uv_buf_init(
      copy.baseAddress?.assumingMemoryBound(to: CChar.self), UInt32(rest))
    let code = unsafe uv_write(request, stream, &buffer, 1) { request, status in
      guard let request = unsafe request else { return }
      let socket = unsafe Socket.of(request.pointee.handle)
      unsafe UnsafeMutableRawPointer(request).deallocate()
      socket?.didSend(status < 0 ? UVCode.error(status) : nil)
    }
    if code < 0 {
      unsafe block.deallocate()
      throw UVCode.error(code)
    }
    return false
  }

  override func endOutput() {
    guard let stream = unsafe stream else { return }
    let request = UnsafeMutablePointer<uv_shutdown_t>.allocate(capacity: 1)
    let code = unsafe uv_shutdown(request, stream) { request, _ in
      unsafe request?.deallocate()
    }
    if code < 0 { unsafe request.deallocate() }
  }

  override func closeTransport() { handle.closeHandle() }
}

/// Two connected unix-domain streams.
package enum SocketPair: Sendable {
  /// Makes a pair on the loop that runs the caller.
  package static func make(on loop: EventLoop) throws(NetError) -> (ByteStream, ByteStream) {
    var ends: [Int32] = [-1, -1]
    let code = unsafe ctls_pair(&ends)
    if code < 0 { throw UVCode.error(code) }
    let first: Socket
    do throws(NetError) {
      first = try Socket.adopt(descriptor: ends[0], isPipe: true, on: loop)
    } catch {
      ctls_close(ends[1])
      throw error
    }
    do throws(NetError) {
      return (first, try Socket.adopt(descriptor: ends[1], isPipe: true, on: loop))
    } catch {
      first.close()
      throw error
    }
  }
}
