#if os(Linux)
internal import BloomBase
internal import Glibc

/// Asks the owner's X server, or XWayland, for the time since the last input.
///
/// Speaks the protocol itself: the X libraries end the whole process when the server goes. Calls
/// block for at most 200 ms each, so they belong on a thread of one's own.
final class X11Idle: Sendable {
  /// Between two tries to connect.
  private static let retry = Duration.seconds(10)

  private struct State: Sendable {
    var link: Link?
    var triedAt: Instant?
  }
  private struct Link: Sendable {
    var descriptor: Int32
    var root: UInt32
    var opcode: UInt8
  }

  private let path: String
  private let cookie: X11Wire.Cookie?
  private let state = Locked(State())

  /// Reads `DISPLAY` and `XAUTHORITY`; `nil` without a display on this machine.
  init?(environment: [String: String]) {
    guard let number = environment["DISPLAY"].flatMap(X11Wire.displayNumber) else { return nil }
    path = "/tmp/.X11-unix/X\(number)"
    let file = environment["XAUTHORITY"] ?? environment["HOME"].map { "\($0)/.Xauthority" }
    let parts = file?.split(separator: "/") ?? []
    let folder = "/" + parts.dropLast().joined(separator: "/")
    let bytes = parts.last.flatMap { name in
      // No cookie is tried then; a server that wants one refuses.
      try? StateFolder(existing: folder).read(String(name))
    }
    cookie = (bytes ?? nil).flatMap { X11Wire.cookie(display: number, authority: $0) }
  }

  deinit { if let link = state.withLock({ $0.link }) { close(link.descriptor) } }

  /// Time since the last input; `nil` while no server answers.
  func idle(now: Instant) -> Duration? {
    // The lock is held over a call to a local server: there is one caller.
    state.withLock { state in
      if state.link == nil {
        if let tried = state.triedAt, now - tried < Self.retry { return nil }
        state.triedAt = now
        state.link = connect()
      }
      guard let link = state.link else { return nil }
      let ask = X11Wire.queryInfo(opcode: link.opcode, root: link.root)
      guard let reply = Self.call(link.descriptor, ask),
        let milliseconds = X11Wire.idleMilliseconds(reply)
      else {
        close(link.descriptor)
        state.link = nil
        return nil
      }
      return .milliseconds(milliseconds)
    }
  }

  private func connect() -> Link? {
    let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    guard descriptor >= 0 else { return nil }
    guard Self.open(descriptor, path), Self.send(descriptor, X11Wire.setup(cookie)),
      let head = Self.receive(descriptor, 8), let rest = X11Wire.setupRest(head),
      let tail = Self.receive(descriptor, rest), let root = X11Wire.root(head + tail),
      let reply = Self.call(descriptor, X11Wire.queryExtension()),
      let opcode = X11Wire.opcode(reply)
    else {
      close(descriptor)
      return nil
    }
    return Link(descriptor: descriptor, root: root, opcode: opcode)
  }

  private static func open(_ descriptor: Int32, _ path: String) -> Bool {
    var wait = timeval(tv_sec: 0, tv_usec: 200_000)
    let size = socklen_t(MemoryLayout<timeval>.size)
    unsafe setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &wait, size)
    unsafe setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &wait, size)
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    let bytes = Array(path.utf8)
    let fits = unsafe withUnsafeMutableBytes(of: &address.sun_path) { memory in
      guard bytes.count < memory.count else { return false }
      unsafe memory.copyBytes(from: bytes)
      return true
    }
    guard fits else { return false }
    return unsafe withUnsafePointer(to: &address) { pointer in
      unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
        unsafe Glibc.connect(descriptor, address, socklen_t(MemoryLayout<sockaddr_un>.size)) == 0
      }
    }
  }

  /// Sends a request and gives its reply, passing over events.
  private static func call(_ descriptor: Int32, _ request: [UInt8]) -> [UInt8]? {
    guard send(descriptor, request) else { return nil }
    for _ in 0..<16 {
      guard let reply = receive(descriptor, X11Wire.replyByteCount) else { return nil }
      if reply[0] <= 1 { return reply }
    }
    return nil
  }

  private static func send(_ descriptor: Int32, _ bytes: [UInt8]) -> Bool {
    unsafe Glibc.send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL)) == bytes.count
  }

  private static func receive(_ descriptor: Int32, _ count: Int) -> [UInt8]? {
    var bytes: [UInt8] = []
    while bytes.count < count {
      var piece = [UInt8](repeating: 0, count: count - bytes.count)
      let got = unsafe recv(descriptor, &piece, piece.count, 0)
      guard got > 0 else { return nil }
      bytes.append(contentsOf: piece[..<got])
    }
    return bytes
  }
}
#endif
