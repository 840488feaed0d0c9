public import BloomHTTP

/// What a handler answers.
public struct Response: Sendable {
  /// How the body is made.
  public enum Body: Sendable {
    /// No body at all.
    case none
    /// Bytes with a Content-Length.
    case bytes([UInt8])
    /// Chunks written as they come into being.
    case stream(@Sendable (BodyWriter) async throws -> Void)
    /// The connection becomes a WebSocket.
    case webSocket(WebSocketOptions, @Sendable (WebSocket) async throws -> Void)
  }

  /// The outcome.
  public var status: HTTPStatus
  /// Header fields; framing, Date and Connection are added by the server.
  public var headers: HTTPFields
  /// The body.
  public var body: Body
  /// Whether the connection closes after this response.
  public var closesConnection = false

  /// Creates a response.
  public init(_ status: HTTPStatus, headers: HTTPFields = HTTPFields(), body: Body = .none) {
    self.status = status
    self.headers = headers
    self.body = body
  }

  /// Bytes of a media type.
  public static func bytes(
    _ bytes: [UInt8], type: HTTPFieldValue = "application/octet-stream", status: HTTPStatus = .ok
  ) -> Response {
    var headers = HTTPFields()
    headers.add(.contentType, type)
    return Response(status, headers: headers, body: .bytes(bytes))
  }

  /// JSON text that is encoded already.
  public static func json(_ text: [UInt8], status: HTTPStatus = .ok) -> Response {
    Response(status, headers: jsonFields, body: .bytes(text))
  }

  // Made once: most answers of a service are JSON.
  private static let jsonFields: HTTPFields = {
    var fields = HTTPFields()
    fields.add(.contentType, "application/json")
    return fields
  }()

  /// JSON text that is encoded already.
  public static func json(_ text: String, status: HTTPStatus = .ok) -> Response {
    json(Array(text.utf8), status: status)
  }

  /// Plain text, UTF-8.
  public static func text(_ text: String, status: HTTPStatus = .ok) -> Response {
    bytes(Array(text.utf8), type: "text/plain; charset=utf-8", status: status)
  }

  /// A body that is written piece by piece.
  ///
  /// The closure runs in the connection's task after the head was sent. When it throws the
  /// connection is cut, so that the client does not take the body for complete. It is cancelled
  /// when the client leaves.
  public static func stream(
    _ type: HTTPFieldValue, status: HTTPStatus = .ok,
    _ write: @escaping @Sendable (BodyWriter) async throws -> Void
  ) -> Response {
    var headers = HTTPFields()
    headers.add(.contentType, type)
    return Response(status, headers: headers, body: .stream(write))
  }

  /// Server-sent events.
  public static func sse(
    _ write: @escaping @Sendable (EventWriter) async throws -> Void
  ) -> Response {
    var response = stream("text/event-stream") { try await write(EventWriter($0)) }
    response.headers.add(.cacheControl, "no-cache")
    return response
  }

  /// The connection becomes a WebSocket, which closes when the closure returns or throws.
  ///
  /// A request that does not ask for an upgrade gets 426, one with a foreign Origin 403.
  public static func webSocket(
    _ options: WebSocketOptions = WebSocketOptions(),
    _ handler: @escaping @Sendable (WebSocket) async throws -> Void
  ) -> Response {
    Response(.switchingProtocols, body: .webSocket(options, handler))
  }
}
