/// A request method, RFC 9110 §9; case-sensitive.
public struct HTTPMethod: Hashable, Sendable, CustomStringConvertible {
  /// The token as it is on the wire.
  public let name: String

  /// Checks that the name is a token of at most 32 bytes, RFC 9110 §5.6.2; `nil` otherwise.
  public init?(_ name: String) {
    guard (1...32).contains(name.utf8.count), name.utf8.allSatisfy(isTokenByte) else { return nil }
    self.name = name
  }

  init(unchecked name: String) { self.name = name }

  /// Reads a representation.
  public static let get = HTTPMethod(unchecked: "GET")
  /// Like GET, without the body.
  public static let head = HTTPMethod(unchecked: "HEAD")
  /// Processes the request's content.
  public static let post = HTTPMethod(unchecked: "POST")
  /// Replaces a resource.
  public static let put = HTTPMethod(unchecked: "PUT")
  /// Removes a resource.
  public static let delete = HTTPMethod(unchecked: "DELETE")
  /// Changes part of a resource, RFC 5789.
  public static let patch = HTTPMethod(unchecked: "PATCH")
  /// Asks for what is allowed.
  public static let options = HTTPMethod(unchecked: "OPTIONS")
  /// Opens a tunnel.
  public static let connect = HTTPMethod(unchecked: "CONNECT")

  /// The token.
  public var description: String { name }
}
