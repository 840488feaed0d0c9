import BloomBase
import BloomHTTP
import BloomNet
import Testing

@Suite(.timeLimit(.minutes(1))) struct HTTPServerTests {
  static func router() -> Router {
    var router = Router()
    router.get("/hello") { _ in .text("hello") }
    router.get("/v1/models/:id") { .text($0.parameters["id"] ?? "-") }
    router.get("/files/*path") { .text($0.parameters["path"] ?? "-") }
    router.post("/echo") { request in
      .bytes(try await request.body.collect(upTo: 4 << 20))
    }
    router.post("/ignore") { _ in .text("ignored") }
    router.get("/count/:n") { request in
      let count = Int(request.parameters["n"] ?? "") ?? 0
      return .sse { writer in
        for index in 0..<count { try await writer.send("event \(index)") }
      }
    }
    router.get("/fail") { _ in throw NetError(.system, "secret inner text") }
    router.get("/broken-stream") { _ in
      .stream("text/plain") { writer in
        try await writer.write("half")
        throw NetError(.system, "broken")
      }
    }
    router.get("/ws") { _ in
      .webSocket { socket in
        for try await message in socket { try await socket.send(message) }
      }
    }
    return router
  }

  @Test(arguments: [1, 7, 65_536])
  func `requests work over memory however bytes are cut`(deliveryBytes: Int) async throws {
    try await withMemoryServer(deliveryBytes: deliveryBytes, Self.router()) { _, client in
      for _ in 0..<3 {
        let response = try await client.send(.get("http://test/hello"))
        #expect(response.status == .ok)
        #expect(try await response.body.collect(upTo: 100) == Array("hello".utf8))
      }
      let payload = (0..<10_000).map { UInt8(truncatingIfNeeded: $0) }
      let echo = try await client.send(.post("http://test/echo", payload))
      #expect(try await echo.body.collect(upTo: 1 << 20) == payload)
      let events = try await client.send(.get("http://test/count/50"))
      let text = String(decoding: try await events.body.collect(upTo: 1 << 20), as: UTF8.self)
      #expect(text.split(separator: "\n\n", omittingEmptySubsequences: true).count == 50)
    }
  }

  @Test func `requests work over TCP and keep the connection`() async throws {
    try await withServer(.init(loopbackListen()), Self.router()) { server, addresses in
      let client = HTTPClient()
      defer { client.close() }
      let base = "\(loopback):\(addresses[0].port ?? 0)"
      for _ in 0..<20 {
        let response = try await client.send(.get(base + "/hello"))
        #expect(try await response.body.collect(upTo: 100) == Array("hello".utf8))
      }
      #expect(server.connectionCount == 1)
      let large = [UInt8](repeating: 7, count: 3_000_000)
      let echo = try await client.send(.post(base + "/echo", large))
      #expect(try await echo.body.collect(upTo: 4 << 20) == large)
    }
  }

  @Test func `the router finds paths, parameters, methods and what is missing`() async throws {
    try await withMemoryServer(Self.router()) { _, client in
      func get(_ path: String, _ method: HTTPMethod = .get) async throws -> (
        Int, String, HTTPFields
      ) {
        let url = try HTTPURL("http://test" + path)
        let response = try await client.send(ClientRequest(method, url))
        let body = try await response.body.collect(upTo: 10_000)
        return (response.status.code, String(decoding: body, as: UTF8.self), response.headers)
      }
      #expect(try await get("/v1/models/a%20b").1 == "a b")
      #expect(try await get("/files/a/b/c").1 == "a/b/c")
      #expect(try await get("/nothing").0 == 404)
      let refused = try await get("/hello", .post)
      #expect(refused.0 == 405)
      #expect(refused.2[.allow] == "GET, HEAD, OPTIONS")
      let head = try await get("/hello", .head)
      #expect(head.0 == 200 && head.1.isEmpty)
      #expect(head.2[.contentLength] == "5")
      #expect(try await get("/hello", .options).0 == 204)
      #expect(try await get("/v1/models/%2e%2e").0 == 400)
    }
  }

  @Test func `an error of a handler tells the client nothing of itself`() async throws {
    try await withMemoryServer(Self.router()) { _, client in
      let response = try await client.send(.get("http://test/fail"))
      #expect(response.status == .internalServerError)
      let text = String(decoding: try await response.body.collect(upTo: 1_000), as: UTF8.self)
      #expect(!text.contains("secret"))
    }
  }

  @Test func `half a streamed body never looks whole`() async throws {
    try await withMemoryServer(Self.router()) { _, client in
      let response = try await client.send(.get("http://test/broken-stream"))
      await #expect(throws: (any Error).self) { try await response.body.collect(upTo: 1_000) }
    }
  }

  @Test func `malformed requests get an answer and a close`() async throws {
    try await withServer(.init(loopbackListen()), Self.router()) { _, addresses in
      let table = [
        ("GET / HTTP/1.1\r\n\r\n", "400"),
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "400"),
        (
          "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
          "400"
        ),
        ("GET / HTTP/1.1\nHost: a\n\n", "400"),
        ("GET / HTTP/3.0\r\nHost: a\r\n\r\n", "505"),
        ("\u{16}\u{3}\u{1}", "400"),
        ("GET /\(String(repeating: "a", count: 10_000)) HTTP/1.1\r\nHost: a\r\n\r\n", "414"),
        ("GET / HTTP/1.1\r\nHost: a\r\nX: \(String(repeating: "a", count: 40_000))\r\n\r\n", "431"),
      ]
      for (request, status) in table {
        let client = try await RawClient.connect(addresses[0])
        try await client.send(request)
        let answer = try await client.readAll()
        #expect(answer.hasPrefix("HTTP/1.1 \(status) "), "\(request.prefix(40))")
        #expect(answer.contains("Connection: close"))
      }
    }
  }

  @Test func `pipelined requests are answered in order`() async throws {
    try await withServer(.init(loopbackListen()), Self.router()) { _, addresses in
      let client = try await RawClient.connect(addresses[0])
      let one = "GET /v1/models/1 HTTP/1.1\r\nHost: a\r\n\r\n"
      let two = "POST /ignore HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"
      let three = "GET /v1/models/3 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
      try await client.send(one + two + three)
      let answer = try await client.readAll()
      let bodies = ["\r\n\r\n1HTTP", "\r\n\r\nignoredHTTP", "\r\n\r\n3"]
      #expect(bodies.allSatisfy { answer.contains($0) }, "\(answer)")
    }
  }

  @Test func `an early refusal reaches a client that is still sending`() async throws {
    var configuration = HTTPServer.Configuration(loopbackListen())
    configuration.limits.maxBodyBytes = 1_000
    try await withServer(configuration, Self.router()) { _, addresses in
      for _ in 0..<20 {
        let client = try await RawClient.connect(addresses[0])
        try await client.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n")
        try await client.send([UInt8](repeating: 1, count: 200_000))
        #expect(try await client.readAll().hasPrefix("HTTP/1.1 413 "))
      }
    }
  }

  @Test func `a body beyond the handler's limit is 413`() async throws {
    var router = Router()
    router.post("/small") { .bytes(try await $0.body.collect(upTo: 10)) }
    try await withMemoryServer(router) { _, client in
      let response = try await client.send(
        .post("http://test/small", [UInt8](repeating: 0, count: 11)))
      #expect(response.status == .contentTooLarge)
      let good = try await client.send(.post("http://test/small", [UInt8](repeating: 0, count: 10)))
      #expect(good.status == .ok)
    }
  }

  @Test func `the body is asked for with 100 Continue only when it is read`() async throws {
    try await withServer(.init(loopbackListen()), Self.router()) { _, addresses in
      let client = try await RawClient.connect(addresses[0])
      let fields = "Host: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
      try await client.send("POST /echo HTTP/1.1\r\n" + fields)
      #expect(try await client.read(until: "\r\n\r\n").hasPrefix("HTTP/1.1 100 "))
      try await client.send("hi")
      #expect(try await client.read(until: "hi").hasPrefix("HTTP/1.1 200 "))
      try await client.send("POST /ignore HTTP/1.1\r\n" + fields)
      let refusal = try await client.readAll()
      #expect(refusal.hasPrefix("HTTP/1.1 200 ") && refusal.contains("Connection: close"))
    }
  }

  @Test func `the handler is cancelled when the client leaves`() async throws {
    let seen = Locked<String?>(nil)
    var router = Router()
    router.get("/wait") { request in
      do {
        try await request.connection.loop?.sleep(for: .seconds(60))
      } catch {
        seen.withLock { $0 = "\(type(of: error))" }
        throw error
      }
      return .text("")
    }
    try await withServer(.init(loopbackListen()), router) { server, addresses in
      let client = try await RawClient.connect(addresses[0])
      try await client.send("GET /wait HTTP/1.1\r\nHost: a\r\n\r\n")
      #expect(try await eventually { server.connectionCount == 1 })
      await client.close()
      #expect(try await eventually { seen.withLock { $0 } == "CancellationError" })
      #expect(try await eventually { server.connectionCount == 0 })
    }
  }

  @Test func `drain lets a request end, closes the idle and refuses the new`() async throws {
    let started = Locked(false)
    let mayEnd = Locked(false)
    var router = Router()
    router.get("/slow") { request in
      started.withLock { $0 = true }
      while !mayEnd.withLock({ $0 }) {
        try await request.connection.loop?.sleep(for: .milliseconds(5))
      }
      return .text("done")
    }
    // One loop, so that it drains the busy connection when it closes the idle one.
    let group = EventLoopGroup(count: 1)
    defer { group.stop() }
    let server = HTTPServer(.init(loopbackListen()), group: group, responder: router)
    let running = Task { try await server.run() }
    let address = try await server.boundAddresses()[0]
    let idle = try await RawClient.connect(address)
    let busy = try await RawClient.connect(address)
    try await busy.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
    #expect(try await eventually { started.withLock { $0 } && server.connectionCount == 2 })
    running.cancel()
    #expect(try await idle.readAll() == "")
    mayEnd.withLock { $0 = true }
    let answer = try await busy.readAll()
    #expect(answer.hasSuffix("done") && answer.contains("Connection: close"))
    try await running.value
    await #expect(throws: NetError.self) { try await RawClient.connect(address) }
  }

  @Test func `drain cancels what does not end in time`() async throws {
    var configuration = HTTPServer.Configuration(loopbackListen())
    configuration.timeouts.drain = .milliseconds(200)
    var router = Router()
    let started = Locked(false)
    router.get("/forever") { request in
      started.withLock { $0 = true }
      try await request.connection.loop?.sleep(for: .seconds(600))
      return .text("never")
    }
    let server = HTTPServer(configuration, responder: router)
    let running = Task { try await server.run() }
    let client = try await RawClient.connect(try await server.boundAddresses()[0])
    try await client.send("GET /forever HTTP/1.1\r\nHost: a\r\n\r\n")
    #expect(try await eventually { started.withLock { $0 } })
    running.cancel()
    try await running.value
    #expect(server.connectionCount == 0)
  }

  @Test func `time-outs end silent, slow and unused connections`() async throws {
    var configuration = HTTPServer.Configuration(loopbackListen())
    configuration.timeouts.head = .seconds(1)
    configuration.timeouts.idle = .milliseconds(200)
    configuration.timeouts.body = .milliseconds(200)
    try await withServer(configuration, Self.router()) { _, addresses in
      let silent = try await RawClient.connect(addresses[0])
      #expect(try await silent.readAll() == "")
      let slow = try await RawClient.connect(addresses[0])
      try await slow.send("GET /hello HTTP/1.1\r\nHos")
      // Closing with unread bytes may reset the connection.
      let afterSlow = (try? await slow.readAll()) ?? ""
      #expect(afterSlow == "")
      let unused = try await RawClient.connect(addresses[0])
      try await unused.send("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n")
      #expect(try await unused.readAll().hasSuffix("hello"))
      let stalled = try await RawClient.connect(addresses[0])
      try await stalled.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhe")
      let afterStall = (try? await stalled.readAll()) ?? ""
      #expect(!afterStall.contains("200 OK"))
    }
  }

  @Test func `a reader that stalls is cut off and costs bounded memory`() async throws {
    let written = Locked(0)
    let failure = Locked<NetError?>(nil)
    var router = Router()
    router.get("/flood") { _ in
      .stream("application/octet-stream") { writer in
        let block = [UInt8](repeating: 1, count: 65_536)
        do {
          while true {
            try await writer.write(block)
            written.withLock { $0 += block.count }
          }
        } catch let error as NetError {
          failure.withLock { $0 = error }
          throw error
        }
      }
    }
    var configuration = HTTPServer.Configuration(loopbackListen())
    configuration.timeouts.write = .milliseconds(300)
    try await withServer(configuration, router) { _, addresses in
      let client = try await RawClient.connect(addresses[0])
      try await client.send("GET /flood HTTP/1.1\r\nHost: a\r\n\r\n")
      #expect(try await eventually { failure.withLock { $0 } != nil })
      #expect(failure.withLock { $0?.code } == .timedOut)
      // The kernel's buffers and ours; a server that did not wait would write without end.
      #expect(written.withLock { $0 } < 32 << 20)
      await client.close()
    }
  }

  @Test func `connections beyond the limit are closed at once`() async throws {
    var configuration = HTTPServer.Configuration(loopbackListen())
    configuration.maxConnections = 2
    try await withServer(configuration, Self.router()) { server, addresses in
      let first = try await RawClient.connect(addresses[0])
      let second = try await RawClient.connect(addresses[0])
      #expect(try await eventually { server.connectionCount == 2 })
      let third = try await RawClient.connect(addresses[0])
      #expect((try? await third.readAll()) ?? "" == "")
      await first.close()
      #expect(try await eventually { server.connectionCount == 1 })
      try await second.send("GET /hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
      #expect(try await second.readAll().hasSuffix("hello"))
    }
  }

  @Test func `a port in use is named with what to do`() async throws {
    try await withServer(.init(loopbackListen()), Self.router()) { _, addresses in
      let port = addresses[0].port ?? 0
      let second = HTTPServer(
        .init(.tcp(host: "127.0.0.1", port: port)), group: EventLoopGroup(count: 1),
        responder: Self.router())
      let error = await #expect(throws: NetError.self) { try await second.run() }
      #expect(error?.code == .listenFailed)
      #expect(error?.publicDescription.contains("port \(port) is in use") == true)
    }
  }

  @Test func `a socket file that cannot be made says why and what to do`() async throws {
    let folder = "/tmp/bloom-none-\(UInt32.random(in: 0...UInt32.max))"
    let long = "/tmp/" + String(repeating: "a", count: 200)
    let cases = [
      ("\(folder)/s", "make it or choose another"), (long, "choose a shorter one"),
      ("/etc/passwd", "choose another path"),
    ]
    for (path, text) in cases {
      let server = HTTPServer(.init(.unix(path: path)), responder: Self.router())
      let error = await #expect(throws: NetError.self) { try await server.run() }
      #expect(error?.code == .listenFailed)
      #expect(error?.publicDescription.contains("socket file \(path)") == true)
      #expect(error?.publicDescription.contains(text) == true, "\(text)")
    }
  }

  @Test func `a unix-domain socket serves, and its file goes away`() async throws {
    let path = "/tmp/bloom-net-\(UInt32.random(in: 0...UInt32.max)).sock"
    for _ in 0..<2 {
      try await withServer(.init(.unix(path: path)), Self.router()) { _, addresses in
        #expect(addresses == [.unix(path: path)])
        let client = HTTPClient()
        defer { client.close() }
        var request = try ClientRequest.get("http://local/hello")
        request.unixSocket = path
        let response = try await client.send(request)
        #expect(try await response.body.collect(upTo: 100) == Array("hello".utf8))
      }
    }
    let client = HTTPClient()
    var request = try ClientRequest.get("http://local/hello")
    request.unixSocket = path
    let gone = request
    let error = await #expect(throws: NetError.self) { try await client.send(gone) }
    #expect(error?.code == .connectFailed)
  }

  @Test func `one listener serves IPv4 and IPv6`() async throws {
    try await withServer(.init(.tcp(port: 0)), Self.router()) { _, addresses in
      let port = addresses[0].port ?? 0
      let client = HTTPClient()
      defer { client.close() }
      for host in ["127.0.0.1", "[::1]"] {
        let response = try await client.send(.get("http://\(host):\(port)/hello"))
        #expect(response.status == .ok)
      }
    }
  }

  @Test func `middleware sees requests in order and passes values on`() async throws {
    struct Name: RequestKey { typealias Value = String }
    struct First: Middleware {
      func handle(_ request: Request, next: any HTTPResponder) async throws -> Response {
        var request = request
        request.values[Name.self] = "first"
        var response = try await next.respond(to: request)
        response.headers.add("X-First", "1")
        return response
      }
    }
    var router = Router()
    router.use(First())
    router.get("/name") { .text($0.values[Name.self] ?? "none") }
    let response = try await router.respond(to: try Request(.get, "/name"))
    #expect(response.headers["X-First"] == "1")
    guard case .bytes(let bytes) = response.body else {
      Issue.record("no bytes")
      return
    }
    #expect(bytes == Array("first".utf8))
  }
}
