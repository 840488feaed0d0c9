internal import BloomBase
internal import CLibuv

#if canImport(Glibc)
internal import Glibc
#else
internal import Darwin
#endif

/// Finds the addresses of a host name.
public protocol Resolver: Sendable {
  /// The addresses of a name in order of preference, at least one.
  ///
  /// - Throws: ``NetError/Code/nameNotFound``.
  func resolve(_ name: String) async throws -> [IPAddress]
}

/// The resolver of the operating system, getaddrinfo(3), on libuv's threads.
public struct SystemResolver: Resolver {
  private let group: EventLoopGroup

  /// - Parameter group: One of its loops waits.
  public init(group: EventLoopGroup = .shared) { self.group = group }

  /// Address literals are answered at once; names are checked first, RFC 1035 §2.3.4.
  @concurrent
  public func resolve(_ name: String) async throws -> [IPAddress] {
    if let literal = IPAddress(name) { return [literal] }
    guard Self.isValid(name) else {
      throw NetError(.nameNotFound, "this is not a valid host name")
    }
    let loop = group.next()
    return try await loop.run {
      let query = Query(loop)
      try query.start(name)
      await withTaskCancellationHandler {
        await query.wait()
      } onCancel: {
        loop.execute { query.cancel() }
      }
      try Task.checkCancellation()
      return try query.result.get()
    }
  }

  /// Whether a name may be asked for: 253 bytes at most, labels of 1…63 bytes.
  static func isValid(_ name: String) -> Bool {
    let plain = name.hasSuffix(".") ? name.dropLast() : name[...]
    guard (1...NetLimits.nameBytes).contains(plain.utf8.count) else { return false }
    return plain.utf8.split(separator: 0x2e, omittingEmptySubsequences: false).allSatisfy {
      (1...NetLimits.labelBytes).contains($0.count)
        && $0.allSatisfy { byte in
          switch byte {
          case 0x30...0x39, 0x41...0x5a, 0x61...0x7a, 0x2d, 0x5f: true
          default: false
          }
        }
    }
  }

  /// One request in flight. docs.libuv.org/en/v1.x/dns.html
  @safe
  private final class Query: @unchecked Sendable {
    // @unchecked: touched on its loop only.
    private let loop: EventLoop
    private var request: UnsafeMutablePointer<uv_getaddrinfo_t>?
    private var waiter: UnsafeContinuation<Void, Never>?
    private(set) var result: Result<[IPAddress], NetError> = .failure(.closed)
    private var isDone = false
    private var isCancelled = false

    init(_ loop: EventLoop) { self.loop = loop }

    func start(_ name: String) throws(NetError) {
      let request = UnsafeMutablePointer<uv_getaddrinfo_t>.allocate(capacity: 1)
      unsafe request.pointee.data = Unmanaged.passRetained(self).toOpaque()
      var hints = unsafe addrinfo()
      unsafe hints.ai_socktype = streamType
      unsafe hints.ai_flags = AI_ADDRCONFIG
      let code = unsafe uv_getaddrinfo(
        loop.uv, request,
        { request, status, list in
          guard let request = unsafe request else { return }
          let query = unsafe Unmanaged<Query>.fromOpaque(request.pointee.data).takeRetainedValue()
          unsafe request.deallocate()
          unsafe query.finish(status, list)
          unsafe uv_freeaddrinfo(list)
        }, name, nil, &hints)
      if code < 0 {
        unsafe Unmanaged.passUnretained(self).release()
        unsafe request.deallocate()
        throw UVCode.error(code)
      }
      unsafe self.request = request
    }

    /// Lets the waiting task go at once.
    ///
    /// A query that has begun cannot be stopped and may take a minute without a name server: its
    /// answer finds nobody.
    func cancel() {
      isCancelled = true
      if let request = unsafe request {
        unsafe uv_cancel(UnsafeMutableRawPointer(request).assumingMemoryBound(to: uv_req_t.self))
      }
      wake()
    }

    func wait() async {
      await unsafe withUnsafeContinuation {
        if isDone || isCancelled { unsafe $0.resume() } else { unsafe waiter = $0 }
      }
    }

    private func wake() {
      let waiting = unsafe waiter
      unsafe waiter = nil
      unsafe waiting?.resume()
    }

    private func finish(_ status: Int32, _ list: UnsafeMutablePointer<addrinfo>?) {
      unsafe request = nil
      isDone = true
      var found: [IPAddress] = []
      var next = unsafe list
      while let entry = unsafe next {
        if let address = unsafe entry.pointee.ai_addr.flatMap({ unsafe SocketAddress($0) }),
          case .ip(let ip, _) = address, !found.contains(ip)
        {
          found.append(ip)
        }
        unsafe next = entry.pointee.ai_next
      }
      if status < 0 || found.isEmpty {
        result = .failure(
          NetError(.nameNotFound, "the host name has no address: check it and the network"))
      } else {
        result = .success(found)
      }
      wake()
      loop.turn()
    }
  }
}

#if canImport(Glibc)
private let streamType = Int32(SOCK_STREAM.rawValue)
#else
private let streamType = SOCK_STREAM
#endif
