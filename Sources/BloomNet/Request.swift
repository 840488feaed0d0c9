public import BloomBase
public import BloomHTTP

/// A request as a handler sees it.
public struct Request: Sendable {
  /// Method, target, header fields and framing as they came.
  public var head: RequestHead
  /// The body; read it at most once.
  public var body: RequestBody
  /// What is known of the connection.
  public let connection: ConnectionInfo
  /// What the router matched, for example `id` of `/v1/models/:id`.
  ///
  /// Percent-decoded.
  public var parameters: PathParameters
  /// What middleware passes on, for example the account that was authenticated.
  public var values: RequestValues

  /// Creates a request, for tests of responders without any transport.
  ///
  /// - Throws: `HTTPError` when the target is malformed.
  public init(
    _ method: HTTPMethod, _ target: String, headers: HTTPFields = HTTPFields(),
    body: [UInt8] = [], connection: ConnectionInfo = ConnectionInfo()
  ) throws(HTTPError) {
    head = RequestHead(
      method, try RequestTarget(origin: target), fields: headers,
      framing: body.isEmpty ? .none : .length(body.count))
    self.body = RequestBody(body)
    self.connection = connection
    parameters = PathParameters()
    values = RequestValues()
  }

  init(_ head: RequestHead, _ body: RequestBody, _ connection: ConnectionInfo) {
    self.head = head
    self.body = body
    self.connection = connection
    parameters = PathParameters()
    values = RequestValues()
  }

  /// The method.
  public var method: HTTPMethod { head.method }
  /// The path as sent, percent-encoded.
  public var path: String { head.target.path }
  /// The header fields.
  public var headers: HTTPFields { head.fields }

  /// The first value of a query parameter, decoded; `nil` when missing or badly escaped.
  public func query(_ name: String) -> String? {
    (try? head.target.queryItems())?.first { $0.name == name }?.value  // bad escapes: no value
  }
}

/// Where a connection came from.
///
/// One object for all requests of a connection.
public final class ConnectionInfo: Sendable {
  /// The other end.
  public let peer: SocketAddress
  /// What TLS proved; `nil` on plain connections.
  public let tls: TLSInfo?
  /// The loop of the connection, for timers and child tasks; `nil` without a transport.
  public let loop: EventLoop?

  /// Wraps the facts.
  public init(peer: SocketAddress = .memory, tls: TLSInfo? = nil, loop: EventLoop? = nil) {
    self.peer = peer
    self.tls = tls
    self.loop = loop
  }
}

/// What a completed TLS handshake tells about a connection.
public struct TLSInfo: Sendable, Equatable {
  /// Whether the protocol is TLS 1.3, otherwise it is 1.2.
  public let isTLS13: Bool
  /// Whether an earlier session was resumed.
  public let isResumed: Bool
  /// The name the client asked for (SNI); `nil` when it sent none.
  public let serverName: String?
  /// The peer's certificate, DER; `nil` when it sent none.
  public let peerCertificate: [UInt8]?
  /// SHA-256 of the SubjectPublicKeyInfo of ``peerCertificate``.
  public let peerKeyDigest: Digest?
  /// The `tls-exporter` channel binding, 32 bytes, RFC 9266; equal at both ends of a connection.
  ///
  /// `nil` on TLS 1.2 without the extended master secret, where it is not defined.
  public let exporter: [UInt8]?
}

/// Named parts of a matched path.
public struct PathParameters: Sendable, Equatable {
  private var pairs: [(name: String, value: String)] = []

  /// No parts.
  public init() {}

  /// The decoded part; `nil` for a name the route does not have.
  public subscript(name: String) -> String? { pairs.first { $0.name == name }?.value }

  mutating func append(_ name: String, _ value: String) { pairs.append((name, value)) }

  /// Whether names and values are equal in order.
  public static func == (a: PathParameters, b: PathParameters) -> Bool {
    a.pairs.elementsEqual(b.pairs) { $0.name == $1.name && $0.value == $1.value }
  }
}

/// Names a value that middleware leaves for handlers.
public protocol RequestKey: Sendable {
  /// The type of the value.
  associatedtype Value: Sendable
}

/// What middleware passes on, by key type.
public struct RequestValues: Sendable {
  private var storage: [ObjectIdentifier: any Sendable] = [:]

  /// Nothing.
  public init() {}

  /// The value left under a key; `nil` when there is none.
  public subscript<Key: RequestKey>(key: Key.Type) -> Key.Value? {
    get { storage[ObjectIdentifier(key)] as? Key.Value }
    set { storage[ObjectIdentifier(key)] = newValue }
  }
}
