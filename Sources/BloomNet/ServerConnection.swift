internal import BloomBase
internal import BloomHTTP

/// One connection of a server: reads requests, calls the responder, writes responses.
final class ServerConnection: @unchecked Sendable {
  // @unchecked: touched on the stream's loop only.
  let stream: ByteStream
  private let worker: ServerLoop
  let server: HTTPServer
  private var parser: RequestParser
  private var info: ConnectionInfo
  private var requestCount = 0
  private var isBusy = false
  private var webSocket: WebSocket?
  /// The task that runs ``run(_:)``; cancelled when the peer leaves, by this object alone.
  var task: Task<Void, Never>?

  // The request at hand.
  private var isBodyEnded = true
  private var owesContinue = false

  private var timeouts: HTTPServer.Timeouts { server.configuration.timeouts }

  init(_ stream: ByteStream, _ worker: ServerLoop, _ server: HTTPServer) {
    self.stream = stream
    self.worker = worker
    self.server = server
    parser = RequestParser(limits: server.configuration.limits)
    info = ConnectionInfo(peer: stream.peer, loop: stream.loop)
    stream.writeTimeout = server.configuration.timeouts.write
    stream.onPeerLeft = { self.cancel() }  // the cycle ends when the stream closes
  }

  /// Serves until either side closes, or until a request becomes a WebSocket.
  ///
  /// - Returns: What to give to ``serve(_:)``; `nil` when the stream is closed.
  func run(_ tls: TLSContext?) async -> Upgrade? {
    do {
      if let tls {
        try await stream.startTLS(tls, name: nil, timeout: timeouts.handshake)
        info = ConnectionInfo(peer: stream.peer, tls: stream.tlsInfo, loop: stream.loop)
      }
      while true {
        switch try await serveOne() {
        case .next: continue
        case .close: break
        case .upgrade(let upgrade):
          isBusy = true
          return upgrade
        }
        break
      }
      // Only a peer that is still sending can be hurt by a plain close.
      if !isBodyEnded || stream.hasInput { await stream.closeGently() }
    } catch let error as HTTPError {
      // The position in the stream is not known any more: answer and close.
      if (try? await stream.write(HTTPWriter.refusal(error, date: worker.date))) != nil {
        await stream.closeGently()
      }
    } catch {
      // The peer left, or was too slow: nobody is there to be told.
    }
    stream.close()
    return nil
  }

  /// The server drains: end when nothing is under way, or after the request at hand.
  func drain() {
    if let webSocket {
      webSocket.goAway()
    } else if !isBusy {
      stream.fail(.closed)
    }
  }

  /// The time to drain is over.
  func end() {
    cancel()
    stream.fail(.closed)
  }

  private func cancel() {
    task?.cancel()
    stream.interrupt()  // a wait for the next head has no cancellation handler
  }

  // MARK: Requests

  /// What follows after a request.
  private enum Outcome {
    case next
    case close
    case upgrade(Upgrade)
  }

  /// A request that becomes a WebSocket.
  ///
  /// Handed out of ``run(_:)``, so that an idle WebSocket keeps neither its frames nor the head.
  struct Upgrade: Sendable {
    let response: [UInt8]
    let subprotocol: String?
    let options: WebSocketOptions
    let handler: @Sendable (WebSocket) async throws -> Void
  }

  /// Serves one request.
  private func serveOne() async throws -> Outcome {
    guard let head = try await nextHead() else { return .close }
    isBusy = true
    defer { isBusy = false }
    requestCount += 1
    owesContinue = head.expectsContinue
    isBodyEnded = false
    if head.framing == .none { try pollEnd() }
    let body =
      isBodyEnded ? Self.emptyBody : MessageBody(ServerBody(self))
    var response: Response
    do {
      response = try await server.responder.respond(to: Request(head, body, info))
    } catch {
      response = try answer(to: error)
    }
    var keepsAlive =
      head.keepsAlive && !worker.isDraining && !response.closesConnection
      && requestCount < server.configuration.maxRequestsPerConnection
    if !isBodyEnded, owesContinue { keepsAlive = false }
    switch response.body {
    case .webSocket(let options, let handler):
      guard let refusal = WebSocketUpgrade.refusal(of: head, options) else {
        let (bytes, subprotocol) = try WebSocketUpgrade.acceptance(
          of: head, response.headers, options)
        return .upgrade(
          Upgrade(
            response: bytes, subprotocol: subprotocol, options: options, handler: handler))
      }
      response = refusal
      try await send(response, to: head, &keepsAlive)
    default: try await send(response, to: head, &keepsAlive)
    }
    return try await skipBody() && keepsAlive ? .next : .close
  }

  private static let emptyBody = MessageBody()

  /// What to send for an error of the handler; rethrows when nobody is there to read it.
  private func answer(to error: any Error) throws -> Response {
    if stream.isClosed || error is CancellationError && Task.isCancelled { throw error }
    if error is HTTPError, !isBodyEnded { throw error }  // the body itself is malformed
    return server.configuration.errorResponse(error)
  }

  private func nextHead() async throws -> RequestHead? {
    let isFirst = requestCount == 0
    var isInside = isFirst
    stream.setDeadline(
      .read("no request"), after: isFirst ? timeouts.head : timeouts.idle)
    while true {
      var head: RequestHead?
      let isOpen = try await stream.readAsOwner { bytes in
        var offset = 0
        head = try parser.nextHead(bytes, at: &offset)
        return offset
      }
      if !isOpen {
        try parser.finish()
        return nil
      }
      if let head {
        stream.clearDeadline(.read(""))
        return head
      }
      if !isInside {
        isInside = true
        stream.setDeadline(.read("the request head does not end"), after: timeouts.head)
      }
      if worker.isDraining, parser.isBetweenRequests { return nil }
    }
  }

  /// Lets the parser end a body that needs no more bytes.
  private func pollEnd() throws {
    var offset = 0
    let nothing: [UInt8] = []
    if case .end? = try parser.next(nothing.span, at: &offset) { isBodyEnded = true }
  }

  /// The next bytes of the request's body; `nil` at its end.
  fileprivate func nextChunk() async throws -> [UInt8]? {
    if !isBodyEnded { try pollEnd() }
    if isBodyEnded { return nil }
    if owesContinue {
      owesContinue = false
      try await stream.write(ResponseHead.continueLine)
    }
    stream.setDeadline(.read("the request body does not come"), after: timeouts.body)
    defer { stream.clearDeadline(.read("")) }
    while true {
      var chunk: [UInt8]?
      let isOpen = try await stream.read { bytes in
        var offset = 0
        switch try parser.next(bytes, at: &offset) {
        case .body(let range): chunk = bytes.copy(range)
        case .end: isBodyEnded = true
        case .head, nil: break
        }
        return offset
      }
      if !isOpen {
        try parser.finish()
        throw NetError.peerLeft
      }
      if let chunk {
        if stream.spend(chunk.count) { await Task.yield() }
        return chunk
      }
      if isBodyEnded { return nil }
    }
  }

  /// Skips what the handler did not read; `false` when that is too much.
  private func skipBody() async throws -> Bool {
    if !isBodyEnded { try pollEnd() }
    if isBodyEnded { return true }
    if owesContinue { return false }
    var skipped = 0
    while skipped < server.configuration.maxSkippedBodyBytes {
      guard let chunk = try await nextChunk() else { return true }
      skipped += chunk.count
    }
    return false
  }

  // MARK: Responses

  private func send(
    _ response: Response, to request: RequestHead, _ keepsAlive: inout Bool
  ) async throws {
    var head = ResponseHead(response.status, fields: response.headers)
    let hasBody = request.method != .head && !response.status.hasNoBody
    switch response.body {
    case .none, .webSocket: head.framing = .none
    case .bytes(let bytes): head.framing = .length(bytes.count)
    case .stream:
      head.framing = request.version == .http11 ? .chunked : .untilClose
      if request.version == .http10 { keepsAlive = false }
    }
    head.version = request.version
    head.keepsAlive = keepsAlive
    var output: [UInt8] = []
    if hasBody, case .bytes(let bytes) = response.body, bytes.count <= NetLimits.yieldBytes {
      output.reserveCapacity(256 + bytes.count)
      HTTPWriter.append(head, date: worker.date, to: &output)
      output += bytes
      return try await stream.write(output)
    }
    output.reserveCapacity(256)
    HTTPWriter.append(head, date: worker.date, to: &output)
    guard hasBody else { return try await stream.write(output) }
    switch response.body {
    case .none, .webSocket: try await stream.write(output)
    case .bytes(let bytes):
      try await stream.write(output)
      try await stream.write(bytes)
    case .stream(let write):
      let sink = BodySink(stream, head: output, framing: head.framing)
      do {
        try await write(BodyWriter(sink: sink))
        _ = try await sink.end()
      } catch {
        sink.invalidate()
        // Half a body must not look whole: no last chunk, and a hard end of the connection.
        stream.fail(.closed)
        throw error
      }
    }
  }

  /// Runs the handler of a WebSocket, and closes.
  func serve(_ upgrade: Upgrade) async {
    defer { stream.close() }
    // The peer may have left already.
    guard (try? await stream.write(upgrade.response)) != nil else { return }
    let socket = WebSocket(
      stream, role: .server, upgrade.options, tls: info.tls, subprotocol: upgrade.subprotocol)
    webSocket = socket
    if worker.isDraining { socket.goAway() }
    do {
      try await upgrade.handler(socket)
      await socket.close(.normal)
    } catch {
      await socket.close(.internalError)
    }
    webSocket = nil
  }

  /// The body of the request at hand; a late reader of an earlier one gets nothing.
  private final class ServerBody: BodySource, @unchecked Sendable {
    // @unchecked: constant after init.
    private let connection: ServerConnection
    private let number: Int

    init(_ connection: ServerConnection) {
      self.connection = connection
      number = connection.requestCount
    }

    @concurrent
    override func next() async throws -> [UInt8]? {
      let connection = connection
      let number = number
      return try await connection.stream.loop.run {
        guard connection.requestCount == number, connection.isBusy else { throw NetError.closed }
        return try await connection.nextChunk()
      }
    }
  }
}

extension Span<UInt8> {
  /// The bytes of a range as an array.
  func copy(_ range: Range<Int>) -> [UInt8] {
    unsafe extracting(range).withUnsafeBufferPointer { unsafe Array($0) }
  }
}
