public import BloomHTTP

extension HTTPServer {
  /// Where and how a server listens, and what it accepts.
  public struct Configuration: Sendable {
    /// Where to listen; more than one is served alike.
    ///
    /// TLS is for `.tcp` alone.
    public var listen: [Listen]
    /// TLS of the `.tcp` listeners; `nil` for plain HTTP.
    public var tls: TLSServerConfiguration?
    /// What heads and bodies may hold at most.
    ///
    /// A body limit of `nil` leaves it to the handlers.
    public var limits = HTTPLimits()
    /// Times.
    public var timeouts = Timeouts()
    /// Open connections at most, over all loops; further ones are closed at once.
    ///
    /// 1…1,000,000.
    public var maxConnections = 20_000
    /// Open connections of one IPv4 address or IPv6 /64; `nil` for no limit.
    ///
    /// Not for loopback.
    public var maxConnectionsPerAddress: Int? = 256
    /// Requests on one connection before it is closed.
    public var maxRequestsPerConnection = 1_000_000
    /// Bytes of an unread request body that are skipped to keep a connection.
    public var maxSkippedBodyBytes = 65_536
    /// How long a certificate is used before its files are read again, for new connections.
    public var certificateTime: Duration = NetLimits.tlsContextTime
    /// Called when files that are read again do not serve; the certificate of before stays in use.
    ///
    /// Called on the loop of a new connection; must not block.
    public var onBadCertificate: @Sendable (NetError) -> Void = { _ in }
    /// Turns an error of a handler into a response; the default tells no more than a status.
    public var errorResponse: @Sendable (any Error) -> Response = HTTPServer.defaultErrorResponse

    /// The defaults above.
    public init(_ listen: Listen...) { self.listen = listen }
  }

  /// One address to listen on.
  public enum Listen: Sendable {
    /// TCP. `::` serves both families; port 0 takes any free port.
    case tcp(host: String = "::", port: Int)
    /// A unix-domain socket, made with mode 0600; a stale file is replaced.
    case unix(path: String)
    /// The in-memory transport, for tests.
    case memory(MemoryNetwork)
  }

  /// How long a connection may take, kept in steps of 100 ms.
  public struct Timeouts: Sendable {
    /// From the first byte of a connection or request to the whole head.
    public var head = Duration.seconds(10)
    /// Between requests.
    public var idle = Duration.seconds(75)
    /// For the next bytes of a request body, while somebody waits for them.
    public var body = Duration.seconds(30)
    /// For the peer to take what was written.
    public var write = Duration.seconds(30)
    /// For the TLS handshake.
    public var handshake = Duration.seconds(10)
    /// For requests that run when the server drains; then they are cancelled.
    public var drain = Duration.seconds(30)

    /// The defaults above.
    public init() {}
  }
}
