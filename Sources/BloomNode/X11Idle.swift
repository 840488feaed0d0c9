#if os(Linux)
internal import BloomBase

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
    var socket: LocalSocket
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
      guard let reply = Self.call(link.socket, ask),
        let milliseconds = X11Wire.idleMilliseconds(reply)
      else {
        state.link = nil
        return nil
      }
      return .milliseconds(milliseconds)
    }
  }

  private func connect() -> Link? {
    guard let socket = LocalSocket(path: path), socket.send(X11Wire.setup(cookie)),
      let head = socket.receive(8), let rest = X11Wire.setupRest(head),
      let tail = socket.receive(rest), let root = X11Wire.root(head + tail),
      let reply = Self.call(socket, X11Wire.queryExtension()),
      let opcode = X11Wire.opcode(reply)
    else { return nil }
    return Link(socket: socket, root: root, opcode: opcode)
  }

  /// Sends a request and gives its reply, passing over events.
  private static func call(_ socket: LocalSocket, _ request: [UInt8]) -> [UInt8]? {
    guard socket.send(request) else { return nil }
    for _ in 0..<16 {
      guard let reply = socket.receive(X11Wire.replyByteCount) else { return nil }
      if reply[0] <= 1 { return reply }
    }
    return nil
  }
}
#endif
