internal import BloomBase
internal import CLibuv
internal import CTLS

#if canImport(Glibc)
internal import Glibc
#else
internal import Darwin
#endif

/// A child process with one two-way channel on its descriptor 3.
///
/// The end of the channel is the sign of death in both directions: a child must leave when its
/// channel ends, and ``receive()`` gives `nil` when the child is gone.
public final class Subprocess: Sendable {
  /// What to start and what the child inherits.
  public struct Options: Sendable {
    /// The program's path.
    public var path: String
    /// Arguments after the program's name.
    public var arguments: [String]
    /// The whole environment, `NAME=value`; that of this process when `nil`.
    public var environment: [String]?
    /// Open descriptors that become 4, 5, … in the child; they stay open here.
    public var descriptors: [Int32] = []
    /// The working folder; that of this process when `nil`.
    public var folder: String?
    /// Whether the child is out of reach of the terminal's Ctrl-C: its parent ends it in order.
    ///
    /// setsid(2).
    public var isDetached = false
    /// Whether standard output and error are this process's; otherwise they are dropped.
    public var inheritsOutput = true

    /// Names a program.
    public init(_ path: String, _ arguments: [String] = []) {
      self.path = path
      self.arguments = arguments
    }
  }

  /// How a child ended.
  public struct Exit: Sendable, Equatable {
    /// The exit code; 0 when a signal ended it.
    public let code: Int
    /// The signal; 0 when it exited by itself.
    public let signal: Int32

    /// Names an end.
    public init(code: Int, signal: Int32) {
      self.code = code
      self.signal = signal
    }
  }

  /// The child's process number.
  public let processID: Int32
  private let process: Process
  private let channel: ByteStream
  private let loop: EventLoop

  private init(_ process: Process, _ channel: ByteStream, _ loop: EventLoop) {
    self.process = process
    self.channel = channel
    self.loop = loop
    processID = process.processID
  }

  deinit {
    let channel = channel
    loop.execute { channel.close() }
  }

  /// Starts a child.
  ///
  /// - Parameters:
  ///   - options: What to start.
  ///   - group: One of its loops watches the child.
  /// - Returns: The running child.
  /// - Throws: ``NetError/Code/spawnFailed``, saying what to do.
  @concurrent
  public static func start(
    _ options: Options, group: EventLoopGroup = .shared
  ) async throws -> Subprocess {
    let loop = group.next()
    return try await loop.run {
      let channel = Socket.unconnectedPipe(on: loop)
      do {
        return Subprocess(try Process(options, channel, loop), channel, loop)
      } catch {
        channel.close()
        throw error
      }
    }
  }

  /// Sends bytes to the child; suspends while it does not read.
  ///
  /// - Throws: ``NetError/Code/peerLeft`` when the child is gone.
  @concurrent
  public func send(_ bytes: [UInt8]) async throws {
    try await loop.run { try await self.channel.write(bytes) }
  }

  /// The next bytes from the child as they come; `nil` at the end of the channel.
  @concurrent
  public func receive() async throws -> [UInt8]? {
    try await loop.run { try await self.channel.readChunk() }
  }

  /// Ends the channel, which asks the child to leave.
  @concurrent
  public func closeChannel() async {
    try? await loop.run { self.channel.close() }  // the body does not throw
  }

  /// Sends a signal, for example 15; nothing when the child has ended.
  public func signal(_ number: Int32) {
    loop.execute { self.process.kill(number) }
  }

  /// Waits for the end of the child.
  ///
  /// - Throws: `CancellationError`; the child goes on then.
  @concurrent
  public func exit() async throws -> Exit {
    try await loop.run { try await self.process.wait() }
  }

  /// One `uv_process_t`. docs.libuv.org/en/v1.x/process.html
  @safe
  private final class Process: LoopHandle, @unchecked Sendable {
    // @unchecked: touched on its loop only, but for `processID`.
    private let loop: EventLoop
    private(set) var processID: Int32 = 0
    private var ended: Exit?
    private var nextWaiter = 0
    private var waiters = unsafe [Int: UnsafeContinuation<Void, Never>]()

    init(_ options: Options, _ channel: Socket, _ loop: EventLoop) throws(NetError) {
      self.loop = loop
      super.init()
      allocate(UV_PROCESS)
      let code = spawn(options, channel)
      if code < 0 {
        closeHandle()
        throw Self.refusal(code, options.path)
      }
    }

    private func spawn(_ options: Options, _ channel: Socket) -> Int32 {
      guard let process = unsafe handle(uv_process_t.self) else { return 0 }
      var stdio = unsafe [uv_stdio_container_t](
        repeating: uv_stdio_container_t(), count: 4 + options.descriptors.count)
      unsafe stdio[0].flags = UV_IGNORE
      for index in 1...2 {
        unsafe stdio[index].flags = options.inheritsOutput ? UV_INHERIT_FD : UV_IGNORE
        unsafe stdio[index].data.fd = Int32(index)
      }
      unsafe stdio[3].flags = uv_stdio_flags(
        rawValue: UV_CREATE_PIPE.rawValue | UV_READABLE_PIPE.rawValue | UV_WRITABLE_PIPE.rawValue)
      unsafe stdio[3].data.stream = channel.stream
      for (index, descriptor) in options.descriptors.enumerated() {
        unsafe stdio[4 + index].flags = UV_INHERIT_FD
        unsafe stdio[4 + index].data.fd = descriptor
      }
      var arguments = unsafe Self.copies([options.path] + options.arguments)
      var environment = unsafe options.environment.map { unsafe Self.copies($0) }
      let path = unsafe strdup(options.path)
      let folder = unsafe options.folder.flatMap { unsafe strdup($0) }
      defer {
        unsafe (arguments + (environment ?? [])).forEach { unsafe free($0) }
        unsafe free(path)
        unsafe free(folder)
      }
      var request = unsafe uv_process_options_t()
      unsafe request.file = UnsafePointer(path)
      unsafe request.cwd = UnsafePointer(folder)
      unsafe request.stdio_count = Int32(stdio.count)
      if options.isDetached { unsafe request.flags = UV_PROCESS_DETACHED.rawValue }
      unsafe request.exit_cb = { process, status, signal in
        unsafe (LoopHandle.owner(process) as? Process)?.didExit(
          Exit(code: Int(status), signal: signal))
      }
      let loop = loop
      let code = unsafe stdio.withUnsafeMutableBufferPointer { stdio in
        unsafe request.stdio = stdio.baseAddress
        return unsafe arguments.withUnsafeMutableBufferPointer { arguments in
          unsafe request.args = arguments.baseAddress
          guard unsafe environment != nil else {
            return unsafe uv_spawn(loop.uv, process, &request)
          }
          return unsafe environment?.withUnsafeMutableBufferPointer { environment in
            unsafe request.env = environment.baseAddress
            return unsafe uv_spawn(loop.uv, process, &request)
          } ?? 0
        }
      }
      if code == 0 { processID = unsafe process.pointee.pid }
      return code
    }

    private static func copies(_ texts: [String]) -> [UnsafeMutablePointer<CChar>?] {
      unsafe texts.map { unsafe strdup($0) } + [nil]
    }

    private static func refusal(_ code: Int32, _ path: String) -> NetError {
      let name = path.split(separator: "/").last.map(String.init) ?? path
      let why =
        switch uv_errno_t(rawValue: code) {
        case UV_ENOENT: "it is missing: build or install it"
        case UV_EACCES: "it may not be executed: check its mode"
        default: UVCode.text(code)
        }
      return NetError(.spawnFailed, "cannot start \(name): \(why)")
    }

    private func didExit(_ exit: Exit) {
      ended = exit
      closeHandle()
      wakeAll()
      loop.turn()
    }

    override func closeForStop() {
      ended = ended ?? Exit(code: 0, signal: 0)
      closeHandle()
      wakeAll()
    }

    private func wakeAll() {
      let due = unsafe waiters
      unsafe waiters = [:]
      unsafe due.values.forEach { unsafe $0.resume() }
    }

    func kill(_ number: Int32) {
      guard ended == nil, let process = unsafe handle(uv_process_t.self) else { return }
      unsafe uv_process_kill(process, number)
    }

    func wait() async throws -> Exit {
      nextWaiter += 1
      let id = nextWaiter
      await withTaskCancellationHandler {
        await unsafe withUnsafeContinuation { continuation in
          if ended != nil || Task.isCancelled {
            unsafe continuation.resume()
          } else {
            unsafe waiters[id] = continuation
          }
        }
      } onCancel: {
        loop.execute { unsafe self.waiters.removeValue(forKey: id)?.resume() }
      }
      try Task.checkCancellation()
      guard let ended else { throw NetError.closed }
      return ended
    }
  }
}

/// The child's end of the channel that ``Subprocess`` makes.
public final class ParentChannel: Sendable {
  private let stream: ByteStream

  private init(_ stream: ByteStream) { self.stream = stream }

  deinit {
    let stream = stream
    stream.loop.execute { stream.close() }
  }

  /// Takes over an inherited descriptor.
  ///
  /// - Parameters:
  ///   - descriptor: A connected unix-domain stream; 3 in a child of ``Subprocess``.
  ///   - group: One of its loops moves the bytes.
  /// - Returns: The channel.
  /// - Throws: ``NetError`` when it is no stream.
  @concurrent
  public static func open(
    descriptor: Int32 = 3, group: EventLoopGroup = .shared
  ) async throws -> ParentChannel {
    let loop = group.next()
    return try await loop.run {
      ParentChannel(try Socket.adopt(descriptor: descriptor, isPipe: true, on: loop))
    }
  }

  /// Sends bytes to the parent; suspends while it does not read.
  @concurrent
  public func send(_ bytes: [UInt8]) async throws {
    try await stream.loop.run { try await self.stream.write(bytes) }
  }

  /// The next bytes from the parent; `nil` when it is gone: leave then.
  @concurrent
  public func receive() async throws -> [UInt8]? {
    try await stream.loop.run { try await self.stream.readChunk() }
  }
}

extension ByteStream {
  /// The bytes that are there as an array, waiting for the first; `nil` at the end.
  final func readChunk() async throws -> [UInt8]? {
    var chunk: [UInt8]?
    let isOpen = try await read { bytes in
      chunk = bytes.copy(0..<bytes.count)
      return bytes.count
    }
    return isOpen ? chunk : nil
  }
}
