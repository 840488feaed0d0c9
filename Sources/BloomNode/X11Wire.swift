#if os(Linux)
/// The few messages of the X11 protocol that tell how long the owner has been idle; pure.
///
/// X Window System Protocol, X11R7.7 §8, and the MIT-SCREEN-SAVER extension, version 1.1.
enum X11Wire: Sendable {
  /// A cookie of `.Xauthority`.
  struct Cookie: Sendable, Equatable {
    var name: [UInt8]
    var data: [UInt8]
  }

  static let replyByteCount = 32
  private static let extensionName = Array("MIT-SCREEN-SAVER".utf8)
  private static let cookieName = Array("MIT-MAGIC-COOKIE-1".utf8)

  /// The display's number in `:0`, `unix:1.0`; `nil` for displays of other machines.
  static func displayNumber(_ text: String) -> Int? {
    let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
    guard parts.count == 2, parts[0].isEmpty || parts[0] == "unix" else { return nil }
    return parts[1].split(separator: ".").first.flatMap { Int($0) }
  }

  /// The cookie for a display in the bytes of `.Xauthority`, Xau(3).
  static func cookie(display: Int, authority bytes: [UInt8]) -> Cookie? {
    var rest = bytes[...]
    func field() -> [UInt8]? {
      guard rest.count >= 2 else { return nil }
      let count = Int(rest[rest.startIndex]) << 8 | Int(rest[rest.startIndex + 1])
      guard rest.count >= 2 + count else { return nil }
      defer { rest = rest.dropFirst(2 + count) }
      return Array(rest.dropFirst(2).prefix(count))
    }
    while rest.count > 2 {
      rest = rest.dropFirst(2)
      guard field() != nil, let number = field(), let name = field(), let data = field() else {
        return nil
      }
      let isThis = number.isEmpty || number == Array("\(display)".utf8)
      if isThis, name == cookieName { return Cookie(name: name, data: data) }
    }
    return nil
  }

  /// The first message of a client, least significant byte first.
  static func setup(_ cookie: Cookie?) -> [UInt8] {
    let (name, data) = (cookie?.name ?? [], cookie?.data ?? [])
    return [0x6c, 0, 11, 0, 0, 0] + two(name.count) + two(data.count) + [0, 0] + padded(name)
      + padded(data)
  }

  /// Bytes that follow the first eight of the server's answer; `nil` when it refused.
  static func setupRest(_ head: [UInt8]) -> Int? {
    guard head.count == 8, head[0] == 1 else { return nil }
    return 4 * (Int(head[6]) | Int(head[7]) << 8)
  }

  /// The first screen's root window, from all bytes of the server's answer.
  static func root(_ answer: [UInt8]) -> UInt32? {
    guard answer.count >= 40, answer[28] > 0 else { return nil }
    let vendor = Int(answer[24]) | Int(answer[25]) << 8
    return four(answer, at: 40 + (vendor + 3) / 4 * 4 + 8 * Int(answer[29]))
  }

  /// Asks for the extension's number.
  static func queryExtension() -> [UInt8] {
    [98, 0] + two(2 + extensionName.count / 4) + two(extensionName.count) + [0, 0] + extensionName
  }

  /// The extension's number; `nil` when the server has none or gave an error.
  static func opcode(_ reply: [UInt8]) -> UInt8? {
    guard reply.count == replyByteCount, reply[0] == 1, reply[8] == 1 else { return nil }
    return reply[9]
  }

  /// Asks how long the owner has been idle.
  static func queryInfo(opcode: UInt8, root: UInt32) -> [UInt8] {
    [opcode, 1, 2, 0] + (0..<4).map { UInt8(truncatingIfNeeded: root >> (8 * UInt32($0))) }
  }

  /// Milliseconds since the owner's last input; `nil` for an error.
  static func idleMilliseconds(_ reply: [UInt8]) -> Int? {
    guard reply.count == replyByteCount, reply[0] == 1 else { return nil }
    return four(reply, at: 16).map { Int($0) }
  }

  private static func two(_ value: Int) -> [UInt8] {
    [UInt8(truncatingIfNeeded: value), UInt8(truncatingIfNeeded: value >> 8)]
  }

  private static func four(_ bytes: [UInt8], at offset: Int) -> UInt32? {
    guard bytes.count >= offset + 4 else { return nil }
    return (0..<4).reduce(0) { $0 | UInt32(bytes[offset + $1]) << (8 * UInt32($1)) }
  }

  private static func padded(_ bytes: [UInt8]) -> [UInt8] {
    bytes + [UInt8](repeating: 0, count: (4 - bytes.count % 4) % 4)
  }
}
#endif
