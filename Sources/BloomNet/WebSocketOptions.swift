public import BloomHTTP

/// How one end of a WebSocket behaves.
public struct WebSocketOptions: Sendable {
  /// What the peer may send at most.
  public var limits = WebSocketLimits()
  /// Servers: the subprotocol to choose when the client offers it. Clients: the one to offer.
  public var subprotocol: String?
  /// Servers: values of Origin that are let in, for example `https://example.org`; `nil` lets in
  /// requests without Origin (programs) and those whose Origin names the request's own Host.
  public var allowedOrigins: Set<String>?
  /// How often an idle peer is pinged; `nil` for never.
  public var pingInterval: Duration? = .seconds(30)
  /// How long nothing at all may come from the peer; `nil` for no limit.
  public var idleTimeout: Duration? = .seconds(90)
  /// How long ``WebSocket/close(_:_:)`` waits for the peer's close frame.
  public var closeTimeout = Duration.seconds(3)

  /// The defaults above.
  public init() {}
}

/// The opening handshake on the server.
enum WebSocketUpgrade {
  /// The answer to a request that cannot become a WebSocket; `nil` when it can.
  static func refusal(of head: RequestHead, _ options: WebSocketOptions) -> Response? {
    if WebSocketHandshake.isWrongVersion(head) || !head.asksUpgrade {
      var response = Response.text("this is a WebSocket\n", status: .upgradeRequired)
      response.headers.add(.upgrade, "websocket")
      response.headers.add(.secWebSocketVersion, "13")
      return response
    }
    guard (try? WebSocketHandshake.check(head)) != nil else {  // the text is the same for all
      return .text("this is not a valid WebSocket handshake\n", status: .badRequest)
    }
    guard isAllowed(head.fields.values(.origin), host: head.fields[.host], options) else {
      return .text("this origin may not connect\n", status: .forbidden)
    }
    return nil
  }

  private static func isAllowed(
    _ origins: [String], host: String?, _ options: WebSocketOptions
  ) -> Bool {
    guard let origin = origins.first else { return true }
    guard origins.count == 1 else { return false }
    if let allowed = options.allowedOrigins { return allowed.contains(origin) }
    guard let host, let start = origin.utf8.firstIndex(of: 0x2f) else { return false }
    return origin[start...].lowercased() == "//" + host.lowercased()
  }

  /// The bytes of the 101 response, and the subprotocol that was chosen.
  static func acceptance(
    of head: RequestHead, _ fields: HTTPFields, _ options: WebSocketOptions
  ) throws -> (bytes: [UInt8], subprotocol: String?) {
    let offer = try WebSocketHandshake.check(head)
    let chosen = options.subprotocol.flatMap { offer.subprotocols.contains($0) ? $0 : nil }
    var response = try WebSocketHandshake.response(to: offer, subprotocol: chosen)
    fields.forEach { name, value in
      // Fields of a response are valid already; they are only copied.
      if let name = try? HTTPFieldName(name), let value = try? HTTPFieldValue(value) {
        response.fields.add(name, value)
      }
    }
    var output: [UInt8] = []
    HTTPWriter.append(response, to: &output)
    return (output, chosen)
  }
}
