internal import CLibuv

#if canImport(Glibc)
internal import Glibc
#else
internal import Darwin
#endif

/// Where a socket is bound or connected.
public enum SocketAddress: Hashable, Sendable, CustomStringConvertible {
  /// An IPv4 or IPv6 address and a port.
  case ip(IPAddress, port: Int)
  /// A unix-domain socket by path; empty for the connecting side.
  case unix(path: String)
  /// The in-memory transport.
  case memory

  /// The port; `nil` for other kinds.
  public var port: Int? {
    if case .ip(_, let port) = self { port } else { nil }
  }

  /// For people and `host:port` settings, with brackets around IPv6.
  public var description: String {
    switch self {
    case .ip(let address, let port):
      address.isV6 ? "[\(address)]:\(port)" : "\(address):\(port)"
    case .unix(let path): "unix:\(path)"
    case .memory: "memory"
    }
  }
}

/// An IPv4 or IPv6 address without port. IPv4-mapped IPv6 addresses are IPv4.
public struct IPAddress: Hashable, Sendable, CustomStringConvertible {
  /// 4 or 16 bytes in network order.
  public let bytes: [UInt8]

  /// Creates an address from 4 or 16 bytes; `nil` for any other count.
  public init?(bytes: [UInt8]) {
    guard bytes.count == 4 || bytes.count == 16 else { return nil }
    let isMapped =
      bytes.count == 16 && bytes[..<10].allSatisfy { $0 == 0 } && bytes[10] == 255
      && bytes[11] == 255
    self.bytes = isMapped ? Array(bytes[12...]) : bytes
  }

  /// Reads a literal such as `127.0.0.1` or `::1`; `nil` for names and anything else.
  public init?(_ text: some StringProtocol) {
    var bytes = [UInt8](repeating: 0, count: 16)
    let text = String(text)
    let isV6 = text.utf8.contains(UInt8(ascii: ":"))
    let code = unsafe bytes.withUnsafeMutableBytes { raw in
      unsafe uv_inet_pton(isV6 ? AF_INET6 : AF_INET, text, raw.baseAddress)
    }
    guard code == 0, let address = IPAddress(bytes: isV6 ? bytes : Array(bytes[..<4])) else {
      return nil
    }
    self = address
  }

  /// The IPv4 loopback address.
  public static let loopback = IPAddress(v4: (127, 0, 0, 1))

  private init(v4: (UInt8, UInt8, UInt8, UInt8)) { bytes = [v4.0, v4.1, v4.2, v4.3] }

  /// Whether it is IPv6.
  public var isV6: Bool { bytes.count == 16 }

  /// Whether it names this machine: 127.0.0.0/8 or `::1`.
  public var isLoopback: Bool {
    isV6 ? bytes[..<15].allSatisfy { $0 == 0 } && bytes[15] == 1 : bytes[0] == 127
  }

  /// What one subscriber usually holds: the address itself, or an IPv6 /64. For limits.
  public var subscriber: [UInt8] { isV6 ? Array(bytes[..<8]) : bytes }

  /// The usual text, RFC 5952 for IPv6.
  public var description: String {
    var text = [CChar](repeating: 0, count: 64)
    let code = unsafe bytes.withUnsafeBytes { raw in
      unsafe text.withUnsafeMutableBufferPointer { text in
        unsafe uv_inet_ntop(
          isV6 ? AF_INET6 : AF_INET, raw.baseAddress, text.baseAddress, text.count)
      }
    }
    guard code == 0 else { return "?" }
    let used = text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
    return String(decoding: used, as: UTF8.self)
  }
}

extension SocketAddress {
  /// Lends the C form of an IP address; `nil` for other kinds.
  func withSockaddr<R>(_ body: (UnsafePointer<sockaddr>) -> R) -> R? {
    guard case .ip(let address, let port) = self else { return nil }
    var storage = sockaddr_storage()
    return unsafe withUnsafeMutableBytes(of: &storage) { raw in
      guard let base = raw.baseAddress else { return nil }
      let code =
        if address.isV6 {
          unsafe uv_ip6_addr(
            address.description, Int32(port), base.assumingMemoryBound(to: sockaddr_in6.self))
        } else {
          unsafe uv_ip4_addr(
            address.description, Int32(port), base.assumingMemoryBound(to: sockaddr_in.self))
        }
      guard code == 0 else { return nil }
      return unsafe body(UnsafePointer(base.assumingMemoryBound(to: sockaddr.self)))
    }
  }

  /// Reads the C form; `nil` for families other than IP.
  init?(_ pointer: UnsafePointer<sockaddr>) {
    let raw = unsafe UnsafeRawPointer(pointer)
    switch Int32(unsafe pointer.pointee.sa_family) {
    case AF_INET:
      let v4 = unsafe raw.assumingMemoryBound(to: sockaddr_in.self).pointee
      let bytes = unsafe withUnsafeBytes(of: v4.sin_addr) { unsafe Array($0) }
      guard let address = IPAddress(bytes: bytes) else { return nil }
      self = .ip(address, port: Int(UInt16(bigEndian: v4.sin_port)))
    case AF_INET6:
      let v6 = unsafe raw.assumingMemoryBound(to: sockaddr_in6.self).pointee
      let bytes = unsafe withUnsafeBytes(of: v6.sin6_addr) { unsafe Array($0) }
      guard let address = IPAddress(bytes: bytes) else { return nil }
      self = .ip(address, port: Int(UInt16(bigEndian: v6.sin6_port)))
    default: return nil
    }
  }
}
