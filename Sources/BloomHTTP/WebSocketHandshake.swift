internal import BloomBase

/// The opening handshake, RFC 6455 §4, in which no extension is ever offered or accepted.
public enum WebSocketHandshake: Sendable {
  /// The number of random bytes in a client's key.
  public static let keyByteCount = 16

  /// What a valid request asks for.
  public struct Offer: Sendable, Equatable {
    /// The client's key, as sent.
    public let key: String
    /// Subprotocols in the client's order of preference.
    public let subprotocols: [String]
  }

  /// The value of Sec-WebSocket-Accept for a key, §4.2.2.
  public static func accept(key: String) -> String {
    Base64.encode(SHA1.hash(Array((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").utf8)))
  }

  /// A client's request for a connection.
  ///
  /// - Parameters:
  ///   - target: Path and query.
  ///   - key: 16 random bytes, fresh for each connection.
  ///   - subprotocols: In order of preference.
  ///   - fields: More fields, for example Authorization.
  /// - Returns: The request and the text of its key, for ``check(_:key:subprotocols:)``.
  /// - Throws: ``HTTPError`` with `unsafeField` when a subprotocol is not a token.
  public static func request(
    _ target: RequestTarget, key: [UInt8], subprotocols: [String] = [],
    fields: HTTPFields = HTTPFields()
  ) throws(HTTPError) -> (head: RequestHead, key: String) {
    invariant(key.count == keyByteCount, "a WebSocket key has 16 bytes")
    let text = Base64.encode(key)
    var fields = fields
    fields.set(.upgrade, "websocket")
    fields.set(.secWebSocketVersion, "13")
    fields.set(.secWebSocketKey, try HTTPFieldValue(text))
    if !subprotocols.isEmpty {
      for name in subprotocols where name.isEmpty || !name.utf8.allSatisfy(isTokenByte) {
        throw HTTPError(.unsafeField)
      }
      fields.set(.secWebSocketProtocol, try HTTPFieldValue(subprotocols.joined(separator: ", ")))
    }
    var head = RequestHead(.get, target, fields: fields)
    head.asksUpgrade = true
    return (head, text)
  }

  /// Checks a client's request on the server, §4.2.1.
  ///
  /// Origin is the caller's to check.
  /// - Returns: What the client offers.
  /// - Throws: ``HTTPError`` with `badHandshake`; answer 426 with Sec-WebSocket-Version 13 when
  ///   ``isWrongVersion(_:)``, otherwise 400.
  public static func check(_ head: RequestHead) throws(HTTPError) -> Offer {
    let keys = head.fields.values(.secWebSocketKey)
    guard head.method == .get, head.asksUpgrade, head.framing == .none,
      head.fields.list(.upgrade, contains: "websocket"),
      head.fields.values(.secWebSocketVersion) == ["13"],
      keys.count == 1, let key = keys.first, Base64.decode(key)?.count == keyByteCount
    else { throw HTTPError(.badHandshake) }
    let lists = head.fields.values(.secWebSocketProtocol)
    let subprotocols = lists.flatMap { $0.split(separator: ",") }.map {
      String($0.drop { $0 == " " || $0 == "\t" }.prefix { $0 != " " && $0 != "\t" })
    }
    guard subprotocols.allSatisfy({ !$0.isEmpty && $0.utf8.allSatisfy(isTokenByte) }),
      Set(subprotocols).count == subprotocols.count
    else { throw HTTPError(.badHandshake) }
    return Offer(key: key, subprotocols: subprotocols)
  }

  /// Whether the request is a WebSocket handshake of another version than 13.
  public static func isWrongVersion(_ head: RequestHead) -> Bool {
    head.asksUpgrade && head.fields.list(.upgrade, contains: "websocket")
      && head.fields.values(.secWebSocketVersion) != ["13"]
  }

  /// The server's answer to an offer.
  ///
  /// - Parameters:
  ///   - offer: From ``check(_:)``.
  ///   - subprotocol: One of the offered ones, or `nil`.
  /// - Returns: A head with status 101.
  /// - Throws: ``HTTPError`` with `badHandshake` when the subprotocol was not offered.
  public static func response(
    to offer: Offer, subprotocol: String? = nil
  ) throws(HTTPError) -> ResponseHead {
    var fields = HTTPFields()
    fields.add(.upgrade, "websocket")
    fields.add(.secWebSocketAccept, try HTTPFieldValue(accept(key: offer.key)))
    if let subprotocol {
      guard offer.subprotocols.contains(subprotocol) else { throw HTTPError(.badHandshake) }
      fields.add(.secWebSocketProtocol, try HTTPFieldValue(subprotocol))
    }
    return ResponseHead(.switchingProtocols, fields: fields)
  }

  /// Checks a server's answer on the client, §4.1.
  ///
  /// - Parameters:
  ///   - head: The answer.
  ///   - key: The text sent as Sec-WebSocket-Key.
  ///   - subprotocols: What was offered.
  /// - Returns: The subprotocol the server chose.
  /// - Throws: ``HTTPError`` with `badHandshake`.
  public static func check(
    _ head: ResponseHead, key: String, subprotocols: [String] = []
  ) throws(HTTPError) -> String? {
    let chosen = head.fields.values(.secWebSocketProtocol)
    guard head.status == .switchingProtocols,
      head.fields.list(.connection, contains: "upgrade"),
      head.fields.values(.upgrade).map({ $0.lowercased() }) == ["websocket"],
      head.fields.values(.secWebSocketAccept) == [accept(key: key)],
      !head.fields.contains(.secWebSocketExtensions),
      chosen.count <= 1, chosen.allSatisfy(subprotocols.contains)
    else { throw HTTPError(.badHandshake) }
    return chosen.first
  }
}
