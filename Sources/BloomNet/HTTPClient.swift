internal import BloomBase
public import BloomHTTP

/// Sends requests over kept connections; safe from any task.
public final class HTTPClient: Sendable {
  private let configuration: Configuration
  private let group: EventLoopGroup
  private let pool: ConnectionPool
  private let tls: Locked<TLSContext?>

  /// Makes a client; nothing is opened before the first request.
  ///
  /// - Parameters:
  ///   - configuration: How to connect and what to accept.
  ///   - group: The loops where connections live.
  public init(_ configuration: Configuration = Configuration(), group: EventLoopGroup = .shared) {
    self.configuration = configuration
    self.group = group
    pool = ConnectionPool(
      maxIdle: configuration.maxIdleConnections, maxOpen: configuration.maxConnectionsPerHost,
      maxWaiting: configuration.maxWaitingPerHost, turnTimeout: configuration.turnTimeout)
    tls = Locked(nil)
  }

  deinit { pool.close() }

  /// Closes unused connections now and others when their response ends; later requests fail.
  public func close() { pool.close() }

  /// Sends a request and returns when the head of the response is there.
  ///
  /// A request on a kept connection that the server has just closed is sent again on a new one,
  /// when its method allows repeating and its body is not a stream. Cancelling the task closes
  /// the connection.
  /// - Parameters:
  ///   - request: What to send. A redirect is returned, not followed.
  ///   - timeout: From the sent request to the head; the configuration's when `nil`.
  /// - Returns: The head, and the body to be read.
  /// - Throws: ``NetError``, `HTTPError` when the response is malformed, `CancellationError`.
  @concurrent
  public func send(
    _ request: ClientRequest, timeout: Duration? = nil
  ) async throws -> ClientResponse {
    let place = Place(request)
    while true {
      let connection = try await checkOut(place)
      do {
        return try await connection.loop.run {
          try await connection.perform(
            request, timeout: timeout ?? self.configuration.responseTimeout)
        }
      } catch let error as NetError
        where error.code == .peerLeft && connection.isKept && request.isRepeatable
      {
        continue  // the server closed it while it was unused; every kept one is tried once
      }
    }
  }

  /// Opens a WebSocket on a connection of its own.
  ///
  /// - Parameters:
  ///   - url: A `ws` or `wss` URL; `http` and `https` mean the same.
  ///   - headers: More fields, for example Authorization.
  ///   - options: Limits and times.
  ///   - unixSocket: A socket file to connect to in place of the URL's host.
  /// - Returns: The open WebSocket.
  /// - Throws: ``NetError`` with `protocolViolation` when the server refuses, and as ``send(_:timeout:)``.
  @concurrent
  public func webSocket(
    _ url: HTTPURL, headers: HTTPFields = HTTPFields(),
    options: WebSocketOptions = WebSocketOptions(), unixSocket: String? = nil
  ) async throws -> WebSocket {
    let place = Place(url, unixSocket: unixSocket)
    let stream = try await connect(place)
    let timeout = configuration.responseTimeout
    return try await stream.loop.run {
      do {
        var random = SystemRandomNumberGenerator()
        let key = (0..<WebSocketHandshake.keyByteCount).map { _ in
          UInt8.random(in: 0...255, using: &random)
        }
        let offered = options.subprotocol.map { [$0] } ?? []
        let (head, text) = try WebSocketHandshake.request(
          url.target, key: key, subprotocols: offered, fields: headers)
        var output: [UInt8] = []
        HTTPWriter.append(head, host: url.authority, to: &output)
        try await stream.write(output)
        stream.setDeadline(.read("no response from the server"), after: timeout)
        var parser = ResponseParser(limits: self.configuration.limits)
        _ = parser.expect(.get, asksUpgrade: true)
        let answer = try await Self.readHead(stream, &parser)
        stream.clearDeadline(.read(""))
        guard answer.status == .switchingProtocols else {
          throw NetError(
            .protocolViolation, "the server refused the WebSocket with status \(answer.status.code)"
          )
        }
        let chosen = try WebSocketHandshake.check(answer, key: text, subprotocols: offered)
        return WebSocket(
          stream, role: .client, options, tls: stream.tlsInfo, subprotocol: chosen)
      } catch {
        stream.close()
        throw error
      }
    }
  }

  /// Reads up to the final head of a response.
  static func readHead(
    _ stream: ByteStream, _ parser: inout ResponseParser
  ) async throws -> ResponseHead {
    while true {
      var head: ResponseHead?
      let isOpen = try await stream.read { bytes in
        var offset = 0
        if case .head(let found)? = try parser.next(bytes, at: &offset) { head = found }
        return offset
      }
      if let head { return head }
      if !isOpen {
        _ = try parser.finish()
        throw NetError.peerLeft
      }
    }
  }

  // MARK: Connections

  /// Where a connection leads to; requests to the same place share connections.
  struct Place: Hashable, Sendable {
    let usesTLS: Bool
    let host: String
    let port: Int
    let unixSocket: String?

    init(_ url: HTTPURL, unixSocket: String?) {
      usesTLS = url.scheme.usesTLS
      host = url.authority.hostForResolution
      port = url.port
      self.unixSocket = unixSocket
    }

    init(_ request: ClientRequest) { self.init(request.url, unixSocket: request.unixSocket) }
  }

  private func checkOut(_ place: Place) async throws -> ClientConnection {
    if let kept = try await pool.checkOut(place, on: group.next()) { return kept }
    do {
      let stream = try await connect(place)
      let configuration = configuration
      let pool = pool
      return try await stream.loop.run {
        ClientConnection(stream, place, configuration, pool)
      }
    } catch {
      pool.giveUp(place)
      throw error
    }
  }

  private func connect(_ place: Place) async throws -> ByteStream {
    let loop = try configuration.memory?.serverLoop() ?? group.next()
    return try await loop.withTimeout(
      configuration.connectTimeout, "the server does not let us connect"
    ) {
      let stream = try await self.open(place, on: loop)
      do {
        stream.writeTimeout = self.configuration.writeTimeout
        if place.usesTLS {
          try await stream.startTLS(
            try self.tlsContext(), name: place.host, timeout: self.configuration.connectTimeout)
        }
        return stream
      } catch {
        stream.close()
        throw error
      }
    }
  }

  private func open(_ place: Place, on loop: EventLoop) async throws -> ByteStream {
    if let memory = configuration.memory { return try memory.connect() }
    if let path = place.unixSocket { return try await Socket.connect(.unix(path: path), on: loop) }
    let resolver = configuration.resolver ?? SystemResolver(group: group)
    let chosen = try configuration.proxy.choose(host: place.host, usesTLS: place.usesTLS)
    guard let proxy = chosen else {
      return try await Socket.connect(
        try await resolver.resolve(place.host), port: place.port, on: loop)
    }
    let stream = try await Socket.connect(
      try await resolver.resolve(proxy.host), port: proxy.port, on: loop)
    do {
      try await askProxy(proxy, place, stream)
      return stream
    } catch {
      stream.close()
      throw error
    }
  }

  /// Opens a tunnel, RFC 9110 §9.3.6.
  private func askProxy(
    _ proxy: ProxyConfiguration, _ place: Place, _ stream: ByteStream
  ) async throws {
    let host = place.host.utf8.contains(UInt8(ascii: ":")) ? "[\(place.host)]" : place.host
    guard let authority = Authority(host: host, port: place.port) else {
      throw NetError(.invalidArgument, "the host cannot be asked for at a proxy")
    }
    var fields = HTTPFields()
    if let value = proxy.authorization {
      fields.add(.proxyAuthorization, try HTTPFieldValue(value))
    }
    let head = RequestHead(.connect, RequestTarget(authority: authority), fields: fields)
    var output: [UInt8] = []
    HTTPWriter.append(head, host: authority, to: &output)
    try await stream.write(output)
    var parser = ResponseParser(limits: configuration.limits)
    _ = parser.expect(.connect)
    let answer = try await Self.readHead(stream, &parser)
    guard answer.status.code / 100 == 2 else {
      throw NetError(
        .proxyFailed, "the proxy refused with status \(answer.status.code): check its settings")
    }
  }

  private func tlsContext() throws(NetError) -> TLSContext {
    try tls.withLock { (known) throws(NetError) in
      if let known { return known }
      let context = try TLSContext(configuration.tls)
      known = context
      return context
    }
  }
}

extension ClientRequest {
  /// RFC 9110 §9.2.2: sending it twice does what sending it once does.
  var isRepeatable: Bool {
    if case .stream = body { return false }
    return [.get, .head, .put, .delete, .options].contains(method)
  }
}
