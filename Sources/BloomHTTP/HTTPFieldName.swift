internal import BloomBase

/// The name of a header field: a token, compared without regard to case, RFC 9110 §5.1.
public struct HTTPFieldName: Hashable, Sendable, ExpressibleByStringLiteral,
  CustomStringConvertible
{
  /// The name as it is written to the wire.
  public let text: String

  /// Checks that the text is a token of at most 256 bytes.
  ///
  /// - Throws: ``HTTPError`` with `unsafeField`.
  public init(_ text: some StringProtocol) throws(HTTPError) {
    guard (1...256).contains(text.utf8.count), text.utf8.allSatisfy(isTokenByte) else {
      throw HTTPError(.unsafeField)
    }
    self.text = String(text)
  }

  /// A name written in the source; one that is not a token is a programming error.
  public init(stringLiteral value: StaticString) {
    let text = "\(value)"
    invariant(!text.isEmpty && text.utf8.allSatisfy(isTokenByte), "not a field name")
    self.text = text
  }

  /// Whether the names differ at most in the case of letters.
  public static func == (a: HTTPFieldName, b: HTTPFieldName) -> Bool {
    equalIgnoringCase(a.text.utf8, b.text.utf8)
  }

  /// Feeds the lower-case bytes.
  public func hash(into hasher: inout Hasher) {
    for byte in text.utf8 { hasher.combine(lowercased(byte)) }
  }

  /// The name as it is written to the wire.
  public var description: String { text }
}

extension HTTPFieldName {
  /// `Accept`.
  public static let accept: HTTPFieldName = "Accept"
  /// `Access-Control-Allow-Origin`.
  public static let accessControlAllowOrigin: HTTPFieldName = "Access-Control-Allow-Origin"
  /// `Allow`.
  public static let allow: HTTPFieldName = "Allow"
  /// `Authorization`.
  public static let authorization: HTTPFieldName = "Authorization"
  /// `Cache-Control`.
  public static let cacheControl: HTTPFieldName = "Cache-Control"
  /// `Connection`; the writers make it themselves.
  public static let connection: HTTPFieldName = "Connection"
  /// `Content-Disposition`.
  public static let contentDisposition: HTTPFieldName = "Content-Disposition"
  /// `Content-Length`; the writers make it themselves.
  public static let contentLength: HTTPFieldName = "Content-Length"
  /// `Content-Type`.
  public static let contentType: HTTPFieldName = "Content-Type"
  /// `Cookie`.
  public static let cookie: HTTPFieldName = "Cookie"
  /// `Date`; the response writer makes it itself.
  public static let date: HTTPFieldName = "Date"
  /// `ETag`.
  public static let etag: HTTPFieldName = "ETag"
  /// `Expect`.
  public static let expect: HTTPFieldName = "Expect"
  /// `Host`; the request writer makes it itself.
  public static let host: HTTPFieldName = "Host"
  /// `If-None-Match`.
  public static let ifNoneMatch: HTTPFieldName = "If-None-Match"
  /// `Location`.
  public static let location: HTTPFieldName = "Location"
  /// `Origin`.
  public static let origin: HTTPFieldName = "Origin"
  /// `Proxy-Authorization`.
  public static let proxyAuthorization: HTTPFieldName = "Proxy-Authorization"
  /// `Range`.
  public static let range: HTTPFieldName = "Range"
  /// `Retry-After`.
  public static let retryAfter: HTTPFieldName = "Retry-After"
  /// `Sec-WebSocket-Accept`.
  public static let secWebSocketAccept: HTTPFieldName = "Sec-WebSocket-Accept"
  /// `Sec-WebSocket-Extensions`.
  public static let secWebSocketExtensions: HTTPFieldName = "Sec-WebSocket-Extensions"
  /// `Sec-WebSocket-Key`.
  public static let secWebSocketKey: HTTPFieldName = "Sec-WebSocket-Key"
  /// `Sec-WebSocket-Protocol`.
  public static let secWebSocketProtocol: HTTPFieldName = "Sec-WebSocket-Protocol"
  /// `Sec-WebSocket-Version`.
  public static let secWebSocketVersion: HTTPFieldName = "Sec-WebSocket-Version"
  /// `Transfer-Encoding`; the writers make it themselves.
  public static let transferEncoding: HTTPFieldName = "Transfer-Encoding"
  /// `Upgrade`.
  public static let upgrade: HTTPFieldName = "Upgrade"
  /// `User-Agent`.
  public static let userAgent: HTTPFieldName = "User-Agent"
  /// `Vary`.
  public static let vary: HTTPFieldName = "Vary"
  /// `WWW-Authenticate`.
  public static let wwwAuthenticate: HTTPFieldName = "WWW-Authenticate"
}
