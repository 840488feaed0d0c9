import BloomBase
import BloomHTTP
@testable import BloomNet
import Testing

@Suite(.timeLimit(.minutes(1))) struct ConnectTests {
  struct Fixed: Resolver {
    let addresses: [IPAddress]
    func resolve(_ name: String) async throws -> [IPAddress] { addresses }
  }

  static func address(_ text: String) throws -> IPAddress { try #require(IPAddress(text)) }

  @Test func `families alternate, starting with the preferred one`() throws {
    let all = try ["::1", "::2", "::3", "10.0.0.1", "10.0.0.2"].map(Self.address)
    let machine = HappyEyeballs(all)
    #expect(machine.order.map(\.description) == ["::1", "10.0.0.1", "::2", "10.0.0.2", "::3"])
    #expect(HappyEyeballs([]).order.isEmpty)
  }

  @Test func `the next attempt starts after the delay or a failure, and the last failure ends`()
    throws
  {
    var machine = HappyEyeballs(try ["::1", "10.0.0.1", "::2"].map(Self.address))
    #expect(machine.start() == [.attempt(0), .wait(0)])
    #expect(machine.delayPassed(after: 0) == [.attempt(1), .wait(1)])
    #expect(machine.attemptFailed() == [.attempt(2)])
    #expect(machine.delayPassed(after: 1) == [])
    #expect(machine.attemptFailed() == [])
    #expect(machine.attemptFailed() == [.giveUp])
    var empty = HappyEyeballs([])
    #expect(empty.start() == [.giveUp])
  }

  @Test func `the delay of an attempt that failed does not hurry the next one`() throws {
    var machine = HappyEyeballs(try ["::1", "10.0.0.1", "::2"].map(Self.address))
    #expect(machine.start() == [.attempt(0), .wait(0)])
    #expect(machine.attemptFailed() == [.attempt(1), .wait(1)])
    #expect(machine.delayPassed(after: 0) == [])
    #expect(machine.delayPassed(after: 1) == [.attempt(2)])
  }

  @Test func `a closed first address does not keep a client from the second`() async throws {
    try await withServer(.init(loopbackListen()), HTTPServerTests.router()) { _, addresses in
      var configuration = HTTPClient.Configuration()
      configuration.resolver = Fixed(
        addresses: try ["::1", "127.0.0.2", "127.0.0.1"].map(Self.address))
      let client = HTTPClient(configuration)
      defer { client.close() }
      let response = try await client.send(.get("http://name.test:\(addresses[0].port ?? 0)/hello"))
      #expect(response.status == .ok)
    }
  }

  @Test func `nobody listening is one clear error`() async throws {
    let port = try await withServer(.init(loopbackListen()), HTTPServerTests.router()) { _, all in
      all[0].port ?? 0
    }
    let url = "http://127.0.0.1:\(port)/"
    let error = await #expect(throws: NetError.self) { try await HTTPClient().send(.get(url)) }
    #expect(error?.code == .connectFailed)
  }

  @Test(arguments: ["a..b", "-", String(repeating: "a", count: 64), "a b", ""])
  func `names that are no names never reach DNS`(name: String) async throws {
    if name == "-" { return #expect(SystemResolver.isValid(name)) }
    let error = await #expect(throws: NetError.self) { try await SystemResolver().resolve(name) }
    #expect(error?.code == .nameNotFound)
  }

  @Test func `a long name is refused and a literal needs no DNS`() async throws {
    let long = Array(repeating: "abcdefg", count: 40).joined(separator: ".")
    await #expect(throws: NetError.self) { try await SystemResolver().resolve(long) }
    #expect(try await SystemResolver().resolve("::1") == [Self.address("::1")])
    #expect(try await SystemResolver().resolve("localhost").contains { $0.isLoopback })
  }

  @Test func `a CONNECT proxy is asked, and its refusal is told`() async throws {
    let proxyRequests = Locked<[String]>([])
    let identity = try TLSTests.identity()
    var configuration = HTTPServer.Configuration(loopbackListen())
    configuration.tls = .init(identity: identity)
    try await withServer(configuration, TLSTests.facts()) { _, addresses in
      let proxy = try await TestProxy.start(target: addresses[0], requests: proxyRequests)
      var configuration = HTTPClient.Configuration()
      configuration.tls.roots = .custom(identity.certificate)
      configuration.proxy = .everywhere(
        ProxyConfiguration(host: "127.0.0.1", port: proxy.port, authorization: "Basic abc"))
      configuration.tls.serverName = "localhost"
      let client = HTTPClient(configuration)
      let response = try await client.send(.get("https://inner.test:443/"))
      #expect(response.status == .ok)
      let seen = proxyRequests.withLock { $0.first } ?? ""
      #expect(seen.hasPrefix("CONNECT inner.test:443 HTTP/1.1\r\nHost: inner.test:443\r\n"))
      #expect(seen.contains("Proxy-Authorization: Basic abc"))
      client.close()
      let refused = await #expect(throws: NetError.self) {
        try await client2(proxy.port).send(.get("https://refuse.test/"))
      }
      #expect(refused?.code == .proxyFailed)
      await proxy.stop()
    }
  }

  func client2(_ port: Int) -> HTTPClient {
    var configuration = HTTPClient.Configuration()
    configuration.proxy = .everywhere(ProxyConfiguration(host: "127.0.0.1", port: port))
    return HTTPClient(configuration)
  }

  @Test func `requests beyond the connections to a host wait their turn`() async throws {
    let running = Locked((now: 0, most: 0))
    var router = Router()
    router.get("/") { request in
      running.withLock {
        $0.now += 1
        $0.most = max($0.most, $0.now)
      }
      try await request.connection.loop?.sleep(for: .milliseconds(5))
      running.withLock { $0.now -= 1 }
      return .text("ok")
    }
    try await withServer(.init(loopbackListen()), router) { _, addresses in
      var configuration = HTTPClient.Configuration()
      configuration.maxConnectionsPerHost = 2
      let client = HTTPClient(configuration)
      defer { client.close() }
      let url = "http://127.0.0.1:\(addresses[0].port ?? 0)/"
      try await withThrowingTaskGroup(of: Void.self) { group in
        for _ in 0..<20 {
          group.addTask {
            let response = try await client.send(.get(url))
            _ = try await response.body.collect(upTo: 100)
          }
        }
        try await group.waitForAll()
      }
      #expect((1...2).contains(running.withLock { $0.most }))
    }
  }

  @Test func `a request whose turn does not come ends with a time-out and leaves the line`()
    async throws
  {
    let isHeld = Locked(true)
    let entered = Locked(0)
    var router = Router()
    router.get("/") { request in
      entered.withLock { $0 += 1 }
      while isHeld.withLock({ $0 }) {
        try await request.connection.loop?.sleep(for: .milliseconds(5))
      }
      return .text("ok")
    }
    try await withServer(.init(loopbackListen()), router) { _, addresses in
      var configuration = HTTPClient.Configuration()
      configuration.maxConnectionsPerHost = 1
      configuration.turnTimeout = .milliseconds(200)
      let client = HTTPClient(configuration)
      defer { client.close() }
      let url = "http://127.0.0.1:\(addresses[0].port ?? 0)/"
      let first = Task { try await client.send(.get(url)) }
      #expect(try await eventually { entered.withLock { $0 } == 1 })
      let error = await #expect(throws: NetError.self) { try await client.send(.get(url)) }
      #expect(error?.code == .timedOut)
      #expect(error?.publicDescription.contains("maxConnectionsPerHost") == true)
      isHeld.withLock { $0 = false }
      _ = try await first.value.body.collect(upTo: 100)
      // The one that gave up has taken no turn with it.
      for _ in 0..<3 {
        let response = try await client.send(.get(url))
        _ = try await response.body.collect(upTo: 100)
      }
      #expect(entered.withLock { $0 } == 4)
    }
  }

  static func pool(maxWaiting: Int) -> ConnectionPool {
    ConnectionPool(maxIdle: 1, maxOpen: 1, maxWaiting: maxWaiting, turnTimeout: .seconds(30))
  }

  @Test func `the line of waiting requests has an end, and its error says what to do`()
    async throws
  {
    let loop = EventLoopGroup.shared.next()
    let place = HTTPClient.Place(try HTTPURL("http://test/"), unixSocket: nil)
    let pool = Self.pool(maxWaiting: 1)
    let mayOpen = try await pool.checkOut(place, on: loop) == nil
    #expect(mayOpen)
    let errors = Locked<[NetError]>([])
    let served = Locked(0)
    // Only one of them finds room in the line.
    let tasks = (0..<2).map { _ in
      Task {
        do {
          _ = try await pool.checkOut(place, on: loop)
          served.withLock { $0 += 1 }
        } catch let error as NetError {
          errors.withLock { $0.append(error) }
        }
      }
    }
    #expect(try await eventually { errors.withLock { $0.count } == 1 })
    #expect(errors.withLock { $0.first?.code } == .busy)
    #expect(
      errors.withLock { $0.first?.publicDescription.contains("maxWaitingPerHost") } == true)
    pool.giveUp(place)
    for task in tasks { try await task.value }
    #expect(served.withLock { $0 } == 1)
    #expect(errors.withLock { $0.count } == 1)
  }

  @Test func `a turn that comes as its request gives up is not lost`() async throws {
    let loop = EventLoopGroup.shared.next()
    let place = HTTPClient.Place(try HTTPURL("http://test/"), unixSocket: nil)
    let pool = Self.pool(maxWaiting: 4)
    for _ in 0..<200 {
      // Waits 30 seconds and throws when the round before has lost the only turn.
      let mayOpen = try await pool.checkOut(place, on: loop) == nil
      #expect(mayOpen)
      let waiter = Task {
        _ = try await pool.checkOut(place, on: loop)
        pool.giveUp(place)
      }
      let canceller = Task { waiter.cancel() }
      pool.giveUp(place)
      await canceller.value
      _ = await waiter.result
    }
  }
}

/// A proxy that knows CONNECT and one target.
struct TestProxy: Sendable {
  let port: Int
  private let listener: Listener
  private let loop: EventLoop

  static func start(target: SocketAddress, requests: Locked<[String]>) async throws -> TestProxy {
    let loop = EventLoopGroup.shared.loops[0]
    return try await loop.run {
      let listener = try Listener(tcp: "127.0.0.1", port: 0, reusesPort: false, on: loop) {
        socket in
        Task(executorPreference: loop) {
          defer { socket.close() }
          var head = ""
          while !head.hasSuffix("\r\n\r\n") {
            guard let chunk = try await socket.readChunk() else { return }
            head += String(decoding: chunk, as: UTF8.self)
          }
          let seen = head
          requests.withLock { $0.append(seen) }
          if head.hasPrefix("CONNECT refuse") {
            return try await socket.write(
              Array("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n".utf8))
          }
          let inner = try await Socket.connect(target, on: loop)
          defer { inner.close() }
          try await socket.write(Array("HTTP/1.1 200 OK\r\n\r\n".utf8))
          try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask(executorPreference: loop) { try await pump(socket, inner) }
            group.addTask(executorPreference: loop) { try await pump(inner, socket) }
            try await group.next()
            group.cancelAll()
          }
        }
      }
      return TestProxy(port: listener.address.port ?? 0, listener: listener, loop: loop)
    }
  }

  func stop() async { try? await loop.run { self.listener.close() } }
}

@concurrent
private func pump(_ from: ByteStream, _ to: ByteStream) async throws {
  from.loop.checkIsolated()
  while let chunk = try await from.readChunk() { try await to.write(chunk) }
}
