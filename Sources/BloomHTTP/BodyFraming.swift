/// How the end of a body is known, RFC 9112 §6.
public enum BodyFraming: Sendable, Equatable {
  /// There is no body and no field about one.
  case none
  /// A Content-Length, in bytes.
  case length(Int)
  /// Transfer-Encoding: chunked.
  case chunked
  /// A response that ends with the connection.
  case untilClose
}

/// HTTP/1.0 or HTTP/1.1.
public enum HTTPVersion: Sendable, Equatable {
  /// HTTP/1.0: closes after each response unless both sides said `keep-alive`.
  case http10
  /// HTTP/1.1.
  case http11
}
