/// A host and an optional port, RFC 3986 §3.2 without user information.
public struct Authority: Sendable, Hashable, CustomStringConvertible {
  /// Lower case; an IPv6 literal has its brackets.
  public let host: String
  /// 1…65,535; `nil` when the text has none.
  public let port: Int?

  /// Checks a Host field, an authority-form target or the authority of a URL; `nil` when malformed.
  ///
  /// Accepts names of letters, digits, `-`, `_` and `.` of at most 253 bytes, dotted IPv4
  /// addresses and IPv6 addresses in brackets. User information, percent escapes, empty hosts and
  /// empty ports are refused.
  public init?(_ text: some StringProtocol) {
    let bytes = Array(text.utf8)
    self.init(bytes.span, 0..<bytes.count)
  }

  /// Wraps a host and a port; `nil` when either is malformed.
  public init?(host: String, port: Int?) {
    guard let plain = Authority(host), plain.port == nil else { return nil }
    if let port, !(1...65_535).contains(port) { return nil }
    self.host = plain.host
    self.port = port
  }

  init?(_ bytes: Span<UInt8>, _ range: Range<Int>) {
    guard let end = Self.hostEnd(bytes, range) else { return nil }
    if end < range.upperBound {
      guard let port = Self.port(bytes, (end + 1)..<range.upperBound) else { return nil }
      self.port = port
    } else {
      port = nil
    }
    var host: [UInt8] = []
    host.reserveCapacity(end - range.lowerBound)
    for index in range.lowerBound..<end { host.append(lowercased(bytes[index])) }
    self.host = String(decoding: host, as: UTF8.self)
  }

  /// Whether the bytes would make an authority; allocates nothing for names.
  static func isValid(_ bytes: Span<UInt8>, _ range: Range<Int>) -> Bool {
    guard let end = hostEnd(bytes, range) else { return false }
    return end == range.upperBound || port(bytes, (end + 1)..<range.upperBound) != nil
  }

  /// The host, and the port when there is one.
  public var description: String { port.map { "\(host):\($0)" } ?? host }

  /// The host without the brackets of an IPv6 literal: what name resolution takes.
  public var hostForResolution: String {
    host.hasPrefix("[") ? String(host.dropFirst().dropLast()) : host
  }

  /// Whether it names this machine: `localhost`, an address of 127.0.0.0/8, or `[::1]`.
  ///
  /// Names that only contain one of them, such as `localhost.example`, are others' machines.
  public var isLoopback: Bool {
    if host == "localhost" || host == "[::1]" { return true }
    let parts = host.split(separator: ".", omittingEmptySubsequences: false)
    return parts.count == 4 && parts[0] == "127"
      && parts.allSatisfy { part in UInt8(part).map { String($0) == part } ?? false }
  }

  var textWithPort: String { "\(host):\(port ?? 443)" }

  /// The end of a valid host: the end of the range, or the colon before the port.
  private static func hostEnd(_ bytes: Span<UInt8>, _ range: Range<Int>) -> Int? {
    guard let first = range.first else { return nil }
    if bytes[first] == 0x5b {
      guard let bracket = range.first(where: { bytes[$0] == 0x5d }) else { return nil }
      guard IPv6.isValid(bytes, (first + 1)..<bracket) else { return nil }
      let end = bracket + 1
      return end == range.upperBound || bytes[end] == 0x3a ? end : nil
    }
    var index = first
    var labelCount = 0
    while index < range.upperBound, bytes[index] != 0x3a {
      let byte = bytes[index]
      switch byte {
      case 0x2e:
        // An empty label; one dot at the very end names the root.
        if labelCount == 0 { return nil }
        labelCount = 0
      case 0x30...0x39, 0x41...0x5a, 0x61...0x7a, 0x2d, 0x5f:
        labelCount += 1
        if labelCount > 63 { return nil }
      default: return nil
      }
      index += 1
    }
    return (1...253).contains(index - first) ? index : nil
  }

  private static func port(_ bytes: Span<UInt8>, _ range: Range<Int>) -> Int? {
    guard (1...5).contains(range.count) else { return nil }
    var port = 0
    for index in range {
      guard (0x30...0x39).contains(bytes[index]) else { return nil }
      port = port * 10 + Int(bytes[index] - 0x30)
    }
    return (1...65_535).contains(port) ? port : nil
  }
}

/// The text form of an IPv6 address, RFC 4291 §2.2, without a zone.
enum IPv6 {
  static func isValid(_ bytes: Span<UInt8>, _ range: Range<Int>) -> Bool {
    var groups = 0
    var digits = 0
    var hasGap = false
    var groupStart = range.lowerBound
    var index = range.lowerBound
    while index < range.upperBound {
      let byte = bytes[index]
      if hexValue(byte) != nil {
        if digits == 0 { groupStart = index }
        digits += 1
        if digits > 4 { return false }
      } else if byte == 0x2e {
        // The last 32 bits may be written as an IPv4 address.
        guard digits > 0, isIPv4(bytes, groupStart..<range.upperBound) else { return false }
        return hasGap ? groups + 2 <= 7 : groups + 2 == 8
      } else if byte == 0x3a {
        let isDouble = index + 1 < range.upperBound && bytes[index + 1] == 0x3a
        if digits > 0 {
          groups += 1
        } else if !isDouble || index != range.lowerBound {
          return false
        }
        digits = 0
        if isDouble {
          if hasGap { return false }
          hasGap = true
          index += 1
        } else if index + 1 == range.upperBound {
          return false
        }
      } else {
        return false
      }
      index += 1
    }
    if digits > 0 { groups += 1 }
    return hasGap ? groups <= 7 : groups == 8
  }

  private static func isIPv4(_ bytes: Span<UInt8>, _ range: Range<Int>) -> Bool {
    var parts = 1
    var digits = 0
    var value = 0
    for index in range {
      let byte = bytes[index]
      if byte == 0x2e {
        guard digits > 0 else { return false }
        parts += 1
        digits = 0
        value = 0
      } else {
        guard (0x30...0x39).contains(byte), !(digits > 0 && value == 0) else { return false }
        value = value * 10 + Int(byte - 0x30)
        digits += 1
        guard value <= 255 else { return false }
      }
    }
    return parts == 4 && digits > 0
  }
}
