import BloomBase
import BloomHTTP
import BloomNet
import Testing

@Suite(.timeLimit(.minutes(1))) struct WebSocketTests {
  @Test(arguments: [3, 65_536])
  func `messages of any size come back as they were`(deliveryBytes: Int) async throws {
    try await withMemoryServer(deliveryBytes: deliveryBytes, HTTPServerTests.router()) {
      _, client in
      let socket = try await client.webSocket(try HTTPURL("ws://test/ws"))
      var random = SeededGenerator(seed: 7)
      let top = deliveryBytes < 100 ? 5_000 : 400_000
      for round in 0..<30 {
        let count =
          round < 4 ? [0, 125, 126, 65_536 % top][round] : Int(random.next() % UInt64(top))
        let bytes = (0..<count).map { _ in UInt8(truncatingIfNeeded: random.next()) }
        try await socket.send(bytes)
        #expect(try await socket.receive() == .binary(bytes))
      }
      try await socket.send("täxt")
      #expect(try await socket.receive() == .text("täxt"))
      await socket.close()
    }
  }

  @Test func `both ends see an orderly close with its code`() async throws {
    let serverSaw = Locked<WebSocket.Closure?>(nil)
    let handler = Handler { _ in
      .webSocket { socket in
        while try await socket.receive() != nil {}
        let closure = await socket.closure()
        serverSaw.withLock { $0 = closure }
      }
    }
    try await withMemoryServer(handler) { _, client in
      let socket = try await client.webSocket(try HTTPURL("ws://test/"))
      let code = try #require(WebSocketCloseCode(rawValue: 4_001))
      await socket.close(code, "bye")
      #expect(try await eventually { serverSaw.withLock { $0 } != nil })
      #expect(serverSaw.withLock { $0 } == WebSocket.Closure(code: code, reason: "bye"))
      await #expect(throws: NetError.self) { try await socket.send("late") }
    }
  }

  @Test func `a receiver that was busy while another task closed gets the end`() async throws {
    let mayClose = AsyncStream.makeStream(of: Void.self)
    let handler = Handler { _ in
      .webSocket { socket in
        try await socket.send("first")
        for await _ in mayClose.stream { break }
        while try await socket.receive() != nil {}
      }
    }
    try await withMemoryServer(handler) { _, client in
      let socket = try await client.webSocket(try HTTPURL("ws://test/"))
      #expect(try await socket.receive() == .text("first"))
      let closing = Task { await socket.close() }
      // The peer does not answer the close frame yet, so the closing task goes on reading.
      await #expect(throws: NetError.self) {
        while true { try await socket.send("x") }
      }
      #expect(try await socket.receive() == nil)
      mayClose.continuation.finish()
      await closing.value
    }
  }

  @Test func `messages that come together are received together, before the error behind them`()
    async throws
  {
    let seen = Locked<[[WebSocketMessage]]>([])
    let failure = Locked<(any Error)?>(nil)
    let handler = Handler { _ in
      .webSocket { socket in
        do {
          while let batch = try await socket.receiveAll() { seen.withLock { $0.append(batch) } }
        } catch {
          failure.withLock { $0 = error }
        }
      }
    }
    try await withServer(.init(loopbackListen()), handler) { _, addresses in
      let client = try await RawClient.connect(addresses[0])
      try await client.send(
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
          + "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
      _ = try await client.read(until: "\r\n\r\n")
      // Two messages whose mask is zero, then a frame without a mask, in one write.
      let message: [UInt8] = [0x82, 0x81, 0, 0, 0, 0]
      try await client.send(message + [1] + message + [2] + [0x82, 0x01, 3])
      #expect(try await eventually { failure.withLock { $0 } != nil })
      await client.close()
    }
    #expect(seen.withLock { $0 } == [[.binary([1]), .binary([2])]])
    #expect(failure.withLock { ($0 as? WebSocketError)?.code } == .malformedFrame)
  }

  @Test func `a batch arrives whole and in order, over TLS records and without`() async throws {
    let identity = try TLSIdentity.selfSigned(names: ["127.0.0.1"])
    var secure = HTTPServer.Configuration(loopbackListen())
    secure.tls = .init(identity: identity)
    for configuration in [HTTPServer.Configuration(loopbackListen()), secure] {
      let got = Locked<[[UInt8]]>([])
      let isOver = Locked(false)
      let handler = Handler { _ in
        .webSocket { socket in
          while let batch = try await socket.receiveAll() {
            for case .binary(let bytes) in batch { got.withLock { $0.append(bytes) } }
          }
          isOver.withLock { $0 = true }
        }
      }
      try await withServer(configuration, handler) { _, addresses in
        var options = HTTPClient.Configuration()
        options.tls.roots = .custom(identity.certificate)
        let client = HTTPClient(options)
        let scheme = configuration.tls == nil ? "ws" : "wss"
        let socket = try await client.webSocket(
          try HTTPURL("\(scheme)://127.0.0.1:\(addresses[0].port ?? 0)/"))
        let sent = (0..<300).map { [UInt8](repeating: UInt8($0 % 251), count: $0 * 3) }
        try await socket.send(sent)
        await socket.close()
        #expect(try await eventually { isOver.withLock { $0 } })
        #expect(got.withLock { $0 } == sent)
      }
    }
  }

  @Test func `a peer that vanishes is an error, not an orderly end`() async throws {
    let handler = Handler { _ in
      .webSocket { socket in
        _ = try await socket.receive()
        throw NetError(.system, "gone")
      }
    }
    try await withServer(.init(loopbackListen()), handler) { server, addresses in
      let client = try await RawClient.connect(addresses[0])
      try await client.send(
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
          + "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
      let head = try await client.read(until: "\r\n\r\n")
      #expect(head.hasPrefix("HTTP/1.1 101 "))
      #expect(head.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="))
      await client.close()
      #expect(try await eventually { server.connectionCount == 0 })
    }
  }

  @Test func `two senders never mix their messages`() async throws {
    try await withServer(.init(loopbackListen()), HTTPServerTests.router()) { _, addresses in
      let client = HTTPClient()
      let socket = try await client.webSocket(
        try HTTPURL("ws://127.0.0.1:\(addresses[0].port ?? 0)/ws"))
      try await withThrowingTaskGroup(of: Void.self) { group in
        for sender in 0..<2 {
          group.addTask {
            for _ in 0..<4 {
              try await socket.send([UInt8](repeating: UInt8(sender), count: 1_048_576))
            }
          }
        }
        var counts = [0, 0]
        for _ in 0..<8 {
          guard case .binary(let bytes)? = try await socket.receive() else { continue }
          #expect(bytes.count == 1_048_576)
          let first = bytes[0]
          #expect(bytes.allSatisfy { $0 == first })
          counts[Int(first)] += 1
        }
        #expect(counts == [4, 4])
        try await group.waitForAll()
      }
      await socket.close()
    }
  }

  @Test func `ping measures while somebody receives`() async throws {
    try await withMemoryServer(HTTPServerTests.router()) { _, client in
      let socket = try await client.webSocket(try HTTPURL("ws://test/ws"))
      let receiver = Task { while try await socket.receive() != nil {} }
      _ = try await socket.ping()
      _ = try await socket.ping()
      await socket.close()
      _ = await receiver.result
    }
  }

  @Test func `a silent peer is given up`() async throws {
    var options = WebSocketOptions()
    options.pingInterval = nil
    options.idleTimeout = .milliseconds(200)
    let seen = Locked<NetError?>(nil)
    let fixed = options
    let handler = Handler { _ in
      .webSocket(fixed) { socket in
        do {
          _ = try await socket.receive()
        } catch let error as NetError {
          seen.withLock { $0 = error }
        }
      }
    }
    try await withMemoryServer(handler) { _, client in
      let socket = try await client.webSocket(try HTTPURL("ws://test/"))
      #expect(try await eventually { seen.withLock { $0?.code } == .timedOut })
      await socket.close()
    }
  }

  @Test func `what is no handshake or comes from a foreign page is refused`() async throws {
    try await withMemoryServer(HTTPServerTests.router()) { _, client in
      let plain = try await client.send(.get("http://test/ws"))
      #expect(plain.status == .upgradeRequired)
      var headers = HTTPFields()
      headers.add(.origin, "https://evil.example")
      let foreign = headers
      let error = await #expect(throws: NetError.self) {
        try await client.webSocket(try HTTPURL("ws://test/ws"), headers: foreign)
      }
      #expect(error?.publicDescription.contains("403") == true)
      var own = HTTPFields()
      own.add(.origin, "http://test")
      let socket = try await client.webSocket(try HTTPURL("ws://test/ws"), headers: own)
      await socket.close()
    }
  }

  @Test func `drain tells WebSockets to go away`() async throws {
    let network = MemoryNetwork()
    let server = HTTPServer(.init(.memory(network)), responder: HTTPServerTests.router())
    let running = Task { try await server.run() }
    _ = try await server.boundAddresses()
    var configuration = HTTPClient.Configuration()
    configuration.memory = network
    let client = HTTPClient(configuration)
    let socket = try await client.webSocket(try HTTPURL("ws://test/ws"))
    running.cancel()
    #expect(try await socket.receive() == nil)
    #expect(await socket.closure()?.code == .goingAway)
    try await running.value
  }
}
