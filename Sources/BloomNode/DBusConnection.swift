#if os(Linux)
internal import BloomBase
internal import Glibc

/// A blocking D-Bus client for a few method calls; it connects again by itself.
///
/// Calls take at most a few hundred milliseconds and belong on a thread of one's own.
final class DBusConnection: Sendable {
  /// Between two tries to connect.
  private static let retry = Duration.seconds(10)

  private struct State: Sendable {
    var socket: LocalSocket?
    var serial: UInt32 = 0
    var triedAt: Instant?
  }

  private let address: (path: String, isAbstract: Bool)
  private let time: any TimeSource
  private let state = Locked(State())

  /// Names a bus.
  ///
  /// - Parameters:
  ///   - address: `unix:path=…` or `unix:abstract=…`, the first of a list; `nil` when it is
  ///     neither.
  ///   - time: For the pause between two tries.
  init?(address: String, time: any TimeSource = SystemTime()) {
    guard let first = address.split(separator: ";").first, first.hasPrefix("unix:") else {
      return nil
    }
    var found: (String, Bool)?
    for part in first.dropFirst(5).split(separator: ",") {
      if part.hasPrefix("path=") { found = (String(part.dropFirst(5)), false) }
      if part.hasPrefix("abstract=") { found = (String(part.dropFirst(9)), true) }
    }
    guard let found else { return nil }
    self.address = found
    self.time = time
  }

  /// The system's bus.
  static func system(environment: [String: String]) -> DBusConnection? {
    DBusConnection(
      address: environment["DBUS_SYSTEM_BUS_ADDRESS"] ?? "unix:path=/run/dbus/system_bus_socket")
  }

  /// The bus of the user's session.
  static func session(environment: [String: String]) -> DBusConnection? {
    (environment["DBUS_SESSION_BUS_ADDRESS"]
      ?? environment["XDG_RUNTIME_DIR"].map { "unix:path=\($0)/bus" })
      .flatMap { DBusConnection(address: $0) }
  }

  /// Calls a method and gives what it returned; `nil` when nobody answers or it is an error.
  func call(
    _ destination: String, _ path: String, _ interface: String, _ member: String,
    _ arguments: [String] = []
  ) -> [DBusValue]? {
    var files: [Int32] = []
    defer { for file in files { close(file) } }
    return call(destination, path, interface, member, arguments, files: &files)
  }

  /// The same, with the files that came along; the caller closes them.
  func call(
    _ destination: String, _ path: String, _ interface: String, _ member: String,
    _ arguments: [String], files: inout [Int32]
  ) -> [DBusValue]? {
    // The lock is held over a call to a local server: there is one caller.
    var got: [Int32] = []
    let reply = state.withLock { state -> DBusMessage? in
      if state.socket == nil {
        let now = time.now()
        if let tried = state.triedAt, now - tried < Self.retry { return nil }
        state.triedAt = now
        state.socket = connect()
        state.serial = 1
      }
      guard let socket = state.socket else { return nil }
      state.serial &+= 1
      let call = DBusWire.call(
        serial: state.serial, destination: destination, path: path, interface: interface,
        member: member, arguments: arguments)
      let reply = Self.exchange(socket, call, state.serial, &got)
      if reply == nil { state.socket = nil }
      return reply
    }
    files += got
    return reply.flatMap { $0.kind == 2 ? $0.body : nil }
  }

  /// D-Bus Specification, "Authentication Protocol".
  private func connect() -> LocalSocket? {
    guard let socket = LocalSocket(path: address.path, isAbstract: address.isAbstract) else {
      return nil
    }
    let user = Hex.encode(Array("\(getuid())".utf8))
    guard socket.send([0] + Array("AUTH EXTERNAL \(user)\r\n".utf8)),
      Self.line(socket)?.hasPrefix("OK ") == true,
      socket.send(Array("NEGOTIATE_UNIX_FD\r\n".utf8)),
      // A bus that cannot pass files answers ERROR, which is fine for all other calls.
      Self.line(socket) != nil, socket.send(Array("BEGIN\r\n".utf8))
    else { return nil }
    let bus = "org.freedesktop.DBus"
    let hello = DBusWire.call(
      serial: 1, destination: bus, path: "/org/freedesktop/DBus", interface: bus, member: "Hello")
    var files: [Int32] = []
    guard Self.exchange(socket, hello, 1, &files)?.kind == 2 else { return nil }
    return socket
  }

  private static func line(_ socket: LocalSocket) -> String? {
    var bytes: [UInt8] = []
    while bytes.count < 512, let next = socket.receive(1) {
      bytes += next
      if bytes.suffix(2) == [13, 10] { return String(decoding: bytes.dropLast(2), as: UTF8.self) }
    }
    return nil
  }

  /// Sends a call and waits for its reply; signals and others' replies are passed over.
  private static func exchange(
    _ socket: LocalSocket, _ call: [UInt8], _ serial: UInt32, _ files: inout [Int32]
  ) -> DBusMessage? {
    guard socket.send(call) else { return nil }
    for _ in 0..<256 {
      guard let head = socket.receive(DBusWire.headByteCount, files: &files),
        let rest = DBusWire.restByteCount(head), let tail = socket.receive(rest, files: &files),
        let message = DBusWire.message(head + tail)
      else { return nil }
      if message.replySerial == serial { return message }
    }
    return nil
  }
}
#endif
