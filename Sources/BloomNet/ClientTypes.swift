public import BloomHTTP

/// A request to be sent by ``HTTPClient``.
public struct ClientRequest: Sendable {
  /// What is sent after the head.
  public enum Body: Sendable {
    /// Nothing.
    case none
    /// Bytes with a Content-Length.
    case bytes([UInt8])
    /// Written as it comes into being; chunked when `length` is `nil`.
    case stream(length: Int?, @Sendable (BodyWriter) async throws -> Void)
  }

  /// The method.
  public var method: HTTPMethod
  /// Where to.
  ///
  /// The scheme decides on TLS.
  public var url: HTTPURL
  /// Header fields; Host, framing and Connection are added.
  public var headers = HTTPFields()
  /// The body.
  public var body = Body.none
  /// A unix-domain socket to connect to in place of the URL's host; no proxy then.
  public var unixSocket: String?

  /// A request without a body.
  public init(
    _ method: HTTPMethod, _ url: HTTPURL, headers: HTTPFields = HTTPFields(), body: Body = .none
  ) {
    self.method = method
    self.url = url
    self.headers = headers
    self.body = body
  }

  /// A GET of a URL's text.
  ///
  /// - Throws: `HTTPError` with `badURL`.
  public static func get(_ url: String) throws(HTTPError) -> ClientRequest {
    ClientRequest(.get, try HTTPURL(url))
  }

  /// A POST of bytes to a URL's text.
  ///
  /// - Throws: `HTTPError` with `badURL`.
  public static func post(
    _ url: String, _ bytes: [UInt8], type: HTTPFieldValue = "application/json"
  ) throws(HTTPError) -> ClientRequest {
    var headers = HTTPFields()
    headers.add(.contentType, type)
    return ClientRequest(.post, try HTTPURL(url), headers: headers, body: .bytes(bytes))
  }
}

/// A response whose head has come; the body comes as it is read.
///
/// A body that is neither read to its end nor dropped keeps its connection.
public struct ClientResponse: Sendable {
  /// The outcome.
  public let status: HTTPStatus
  /// The header fields.
  public let headers: HTTPFields
  /// The body.
  public let body: MessageBody
  /// What TLS proved of the server; `nil` on plain connections.
  public let tls: TLSInfo?
}

/// A proxy that is asked to CONNECT.
public struct ProxyConfiguration: Sendable, Hashable {
  /// The proxy's name or address.
  public var host: String
  /// Its port.
  public var port: Int
  /// The value of Proxy-Authorization, for example `Basic …`; `nil` for none.
  public var authorization: String?

  /// Names the proxy.
  public init(host: String, port: Int, authorization: String? = nil) {
    self.host = host
    self.port = port
    self.authorization = authorization
  }
}

extension HTTPClient {
  /// How a client connects and what it accepts.
  public struct Configuration: Sendable {
    /// TLS of `https` and `wss` URLs.
    public var tls = TLSClientConfiguration()
    /// The proxy of TCP connections, by the place that they lead to; none unless set.
    public var proxy = ProxyChoice.none
    /// What heads of responses may hold at most.
    ///
    /// Bodies are limited by their readers.
    public var limits = HTTPLimits()
    /// Name resolution, TCP, proxy and TLS together.
    public var connectTimeout = Duration.seconds(15)
    /// From the sent request to the head of the response, unless `send` says otherwise.
    public var responseTimeout = Duration.seconds(120)
    /// For the next bytes of a response body, while somebody waits for them.
    public var bodyTimeout = Duration.seconds(120)
    /// For the server to take what was written.
    public var writeTimeout = Duration.seconds(30)
    /// How long an unused connection is kept.
    public var idleTimeout = Duration.seconds(60)
    /// Unused connections kept for one server.
    public var maxIdleConnections = 8
    /// Connections to one server; a request beyond them waits its turn, first come first served.
    public var maxConnectionsPerHost = 256
    /// For the turn of a request beyond ``maxConnectionsPerHost``; then
    /// ``NetError/Code/timedOut``.
    ///
    /// A connection is in use until the body of its response has been read.
    public var turnTimeout = Duration.seconds(15)
    /// Requests that wait their turn for one server; the next one gets ``NetError/Code/busy``.
    public var maxWaitingPerHost = 4_096
    /// Finds addresses of names; the system's when `nil`.
    public var resolver: (any Resolver)?
    /// Connects everything to this in-memory network, for tests.
    public var memory: MemoryNetwork?

    /// The defaults above.
    public init() {}
  }
}
