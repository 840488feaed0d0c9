internal import BloomBase
internal import BloomHTTP

/// One connection of a client: one request at a time, kept between them.
final class ClientConnection: @unchecked Sendable {
  // @unchecked: touched on `loop` only, but for the constants and `isKept`, which is set before
  // the connection is handed to the next request through the pool's lock.
  let place: HTTPClient.Place
  let loop: EventLoop
  /// Whether it has served a request before.
  private(set) var isKept = false
  private let stream: ByteStream
  private let configuration: HTTPClient.Configuration
  private let pool: ConnectionPool
  private var parser: ResponseParser
  private var number = 0
  private var isBodyEnded = true
  private var keepsAlive = true
  private var upload: Task<Void, any Error>?

  init(
    _ stream: ByteStream, _ place: HTTPClient.Place, _ configuration: HTTPClient.Configuration,
    _ pool: ConnectionPool
  ) {
    self.stream = stream
    self.place = place
    self.configuration = configuration
    self.pool = pool
    loop = stream.loop
    parser = ResponseParser(limits: configuration.limits)
    // Strong: counts in the pool must be given back however the stream ends.
    stream.onClose = { pool.didClose(self) }
  }

  func close() { stream.close() }

  /// Sends a request and reads the head of its response.
  func perform(_ request: ClientRequest, timeout: Duration) async throws -> ClientResponse {
    do {
      if stream.isClosed { throw NetError.peerLeft }
      stream.onPeerLeft = nil
      stream.clearDeadline(.read(""))
      number += 1
      isBodyEnded = false
      guard parser.expect(request.method) else { throw NetError.closed }
      try await send(request)
      stream.setDeadline(.read("no response from the server"), after: timeout)
      let head = try await readHead()
      stream.clearDeadline(.read(""))
      keepsAlive = head.keepsAlive && head.status != .switchingProtocols
      if head.status == .switchingProtocols {
        throw NetError(.protocolViolation, "the server switches protocols unasked")
      }
      try pollEnd()
      if isBodyEnded { release() }
      return ClientResponse(
        status: head.status, headers: head.fields,
        body: isBodyEnded ? MessageBody() : MessageBody(ClientBody(self, number)),
        tls: stream.tlsInfo)
    } catch {
      upload?.cancel()
      stream.close()
      throw error
    }
  }

  private func send(_ request: ClientRequest) async throws {
    var head = RequestHead(request.method, request.url.target, fields: request.headers)
    switch request.body {
    case .none:
      let wantsLength = [.post, .put, .patch].contains(request.method)
      head.framing = wantsLength ? .length(0) : .none
    case .bytes(let bytes): head.framing = .length(bytes.count)
    case .stream(let length, _): head.framing = length.map { .length($0) } ?? .chunked
    }
    var output: [UInt8] = []
    HTTPWriter.append(head, host: request.url.authority, to: &output)
    switch request.body {
    case .none: try await stream.write(output)
    case .bytes(let bytes):
      if bytes.count <= NetLimits.yieldBytes {
        try await stream.write(output + bytes)
      } else {
        try await stream.write(output)
        try await stream.write(bytes)
      }
    case .stream(_, let write):
      let sink = BodySink(stream, head: output, framing: head.framing)
      // Beside the reader, since a server may answer before the body ends.
      upload = Task(executorPreference: loop) {
        do {
          try await sink.flushHead()
          try await write(BodyWriter(sink: sink))
          guard try await sink.end() else {
            throw NetError(.invalidArgument, "the body is shorter than its Content-Length")
          }
          self.upload = nil
        } catch {
          sink.invalidate()
          // An answer that is on its way tells more than the failed write.
          if let error = error as? NetError, error.code == .peerLeft { throw error }
          let ended = "the request's body ended early: \(error.safeDescription)"
          self.stream.fail(error as? NetError ?? NetError(.closed, ended))
          throw error
        }
      }
    }
  }

  private func readHead() async throws -> ResponseHead {
    while true {
      var head: ResponseHead?
      let isOpen = try await stream.read { bytes in
        var offset = 0
        if case .head(let found)? = try parser.next(bytes, at: &offset) { head = found }
        return offset
      }
      if let head { return head }
      if !isOpen {
        if isKept { throw NetError.peerLeft }
        _ = try parser.finish()
        throw NetError.peerLeft
      }
    }
  }

  private func pollEnd() throws {
    var offset = 0
    let nothing: [UInt8] = []
    if case .end? = try parser.next(nothing.span, at: &offset) { isBodyEnded = true }
  }

  private func nextChunk() async throws -> [UInt8]? {
    if isBodyEnded { return nil }
    stream.setDeadline(.read("the response body does not come"), after: configuration.bodyTimeout)
    do {
      while true {
        var chunk: [UInt8]?
        let isOpen = try await stream.read { bytes in
          var offset = 0
          switch try parser.next(bytes, at: &offset) {
          case .body(let range): chunk = bytes.copy(range)
          case .end: isBodyEnded = true
          case .head, .interim, nil: break
          }
          return offset
        }
        if isOpen {
          try pollEnd()
        } else if case .end? = try parser.finish() {
          isBodyEnded = true
          keepsAlive = false
        }
        if isBodyEnded { release() }
        if let chunk {
          // How long the reader takes for it is not the server's fault.
          if !isBodyEnded { stream.clearDeadline(.read("")) }
          return chunk
        }
        if isBodyEnded { return nil }
        if !isOpen { throw NetError.peerLeft }
      }
    } catch {
      upload?.cancel()
      stream.close()
      throw error
    }
  }

  /// The response has ended: keep the connection, or close it.
  private func release() {
    stream.clearDeadline(.read(""))
    guard keepsAlive, upload == nil, !stream.isClosed, !stream.hasInput else {
      upload?.cancel()
      return stream.close()
    }
    isKept = true
    stream.onPeerLeft = { [weak self] in self?.close() }
    stream.setDeadline(.read("unused"), after: configuration.idleTimeout)
    if !pool.checkIn(self) { stream.close() }
  }

  /// The reader of a body let it go: the rest of the response is not wanted.
  private func abandon(_ number: Int) {
    if number == self.number, !isBodyEnded {
      upload?.cancel()
      stream.close()
    }
  }

  private final class ClientBody: BodySource, @unchecked Sendable {
    // @unchecked: constant after init.
    private let connection: ClientConnection
    private let number: Int

    init(_ connection: ClientConnection, _ number: Int) {
      self.connection = connection
      self.number = number
    }

    deinit {
      let connection = connection
      let number = number
      connection.loop.execute { connection.abandon(number) }
    }

    @concurrent
    override func next() async throws -> [UInt8]? {
      let connection = connection
      let number = number
      return try await connection.loop.run {
        guard connection.number == number else { return nil }
        return try await connection.nextChunk()
      }
    }
  }
}
