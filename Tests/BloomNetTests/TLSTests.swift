import BloomBase
import BloomHTTP
import BloomNet
import Testing

@Suite(.timeLimit(.minutes(1))) struct TLSTests {
  static func identity() throws -> TLSIdentity {
    try TLSIdentity.selfSigned(names: ["localhost", "127.0.0.1"])
  }

  static func client(_ change: (inout TLSClientConfiguration) -> Void) -> HTTPClient {
    var configuration = HTTPClient.Configuration()
    change(&configuration.tls)
    return HTTPClient(configuration)
  }

  static func facts() -> Handler {
    Handler { request in
      let tls = request.connection.tls
      let peer = tls?.peerKeyDigest?.hex ?? "none"
      return .text(
        "\(Hex.encode(tls?.exporter ?? [])) \(tls?.serverName ?? "none") \(peer) \(tls?.isTLS13 == true)"
      )
    }
  }

  func withTLS<R: Sendable>(
    _ tls: TLSServerConfiguration, _ body: @Sendable (HTTPServer, String) async throws -> R
  ) async throws -> R {
    var configuration = HTTPServer.Configuration(loopbackListen())
    configuration.tls = tls
    return try await withServer(configuration, Self.facts()) { server, addresses in
      try await body(server, "https://127.0.0.1:\(addresses[0].port ?? 0)/")
    }
  }

  @Test func `a known root is trusted, and both ends agree on the exporter`() async throws {
    let identity = try Self.identity()
    try await withTLS(.init(identity: identity)) { _, url in
      let client = Self.client { $0.roots = .custom(identity.certificate) }
      defer { client.close() }
      let digest = try identity.keyDigest()
      for _ in 0..<3 {
        let response = try await client.send(.get(url))
        let text = String(decoding: try await response.body.collect(upTo: 1_000), as: UTF8.self)
        let exporter = try #require(response.tls?.exporter)
        #expect(exporter.count == 32)
        #expect(text == "\(Hex.encode(exporter)) none none true")
        #expect(response.tls?.peerKeyDigest == digest)
      }
    }
  }

  @Test func `an unknown root, a wrong name and a wrong pin are refused`() async throws {
    let identity = try Self.identity()
    let other = try Self.identity()
    try await withTLS(.init(identity: identity)) { _, url in
      let wrongName = Self.client {
        $0.roots = .custom(identity.certificate)
        $0.serverName = "other.example"
      }
      let wrongPin = Self.client {
        $0.roots = .pinsOnly
        $0.pinnedKeys = [Digest.zero]
      }
      // Each says what to look at.
      let clients: [(HTTPClient, String)] = [
        (Self.client { _ in }, "ca-certificates"),
        (Self.client { $0.roots = .custom(other.certificate) }, "was refused"),
        (wrongName, "for another name"), (wrongPin, "pinned keys"),
      ]
      for (client, text) in clients {
        let error = await #expect(throws: NetError.self) { try await client.send(.get(url)) }
        #expect(error?.code == .tlsFailed)
        #expect(error?.publicDescription.contains(text) == true, "\(text)")
      }
    }
  }

  @Test func `a pinned key needs no root`() async throws {
    let identity = try Self.identity()
    try await withTLS(.init(identity: identity)) { _, url in
      let pin = try identity.keyDigest()
      let client = Self.client {
        $0.roots = .pinsOnly
        $0.pinnedKeys = [pin]
        $0.serverName = "node.example"
      }
      let response = try await client.send(.get(url))
      let text = String(decoding: try await response.body.collect(upTo: 1_000), as: UTF8.self)
      #expect(text.contains(" node.example "))
    }
  }

  static func send(
    _ url: String, to identity: TLSIdentity, as own: TLSIdentity?
  ) async throws -> String {
    let client = client {
      $0.roots = .custom(identity.certificate)
      $0.identity = own
    }
    defer { client.close() }
    let response = try await client.send(.get(url))
    return String(decoding: try await response.body.collect(upTo: 1_000), as: UTF8.self)
  }

  @Test func `client certificates are reported, demanded and checked`() async throws {
    let identity = try Self.identity()
    let mine = try TLSIdentity.selfSigned(names: ["node"])
    let mineHex = try mine.keyDigest().hex
    let stranger = try TLSIdentity.selfSigned(names: ["node"])
    var reported = TLSServerConfiguration(identity: identity)
    reported.clientCertificates = .reported(required: false)
    try await withTLS(reported) { _, url in
      let known = try await Self.send(url, to: identity, as: mine)
      #expect(known.contains(mineHex))
      let unknown = try await Self.send(url, to: identity, as: nil)
      #expect(unknown.contains(" none none "))
    }
    var verified = TLSServerConfiguration(identity: identity)
    verified.clientCertificates = .verified(roots: mine.certificate, required: true)
    try await withTLS(verified) { _, url in
      let known = try await Self.send(url, to: identity, as: mine)
      #expect(known.contains(mineHex))
      await #expect(throws: (any Error).self) { try await Self.send(url, to: identity, as: nil) }
      await #expect(throws: (any Error).self) {
        try await Self.send(url, to: identity, as: stranger)
      }
    }
  }

  @Test func `a reloaded certificate is used by new connections`() async throws {
    let folder = "/tmp/bloom-tls-\(UInt32.random(in: 0...UInt32.max))"
    let first = try Self.identity()
    let second = try Self.identity()
    let firstDigest = try first.keyDigest()
    let secondDigest = try second.keyDigest()
    let certificate = folder + ".crt"
    let key = folder + ".key"
    try write(first, certificate, key)
    defer { remove(certificate, key) }
    try await withTLS(.init(identity: .files(certificate: certificate, key: key))) { server, url in
      @Sendable func served() async throws -> Digest? {
        try await Self.keyServed(at: url, of: [firstDigest, secondDigest])
      }
      #expect(try await served() == firstDigest)
      try write(second, certificate, key)
      try server.reloadCertificates()
      #expect(try await served() == secondDigest)
      remove(key, key)
      let error = #expect(throws: NetError.self) { try server.reloadCertificates() }
      #expect(error?.publicDescription.contains(key) == true)
      #expect(try await served() == secondDigest)
    }
  }

  /// The key that a server shows on a new connection, if it is one of these.
  private static func keyServed(at url: String, of pins: Set<Digest>) async throws -> Digest? {
    let client = client {
      $0.roots = .pinsOnly
      $0.pinnedKeys = pins
    }
    defer { client.close() }
    return try await client.send(.get(url)).tls?.peerKeyDigest
  }

  @Test func `a renewed certificate is used unasked, and one that is broken is told and not used`()
    async throws
  {
    let path = "/tmp/bloom-tls-\(UInt32.random(in: 0...UInt32.max))"
    let (certificate, key) = (path + ".crt", path + ".key")
    let first = try Self.identity()
    let second = try Self.identity()
    let firstDigest = try first.keyDigest()
    let secondDigest = try second.keyDigest()
    try write(first, certificate, key)
    defer { remove(certificate, key) }
    let faults = Locked<[NetError]>([])
    var configuration = HTTPServer.Configuration(loopbackListen())
    configuration.tls = .init(identity: .files(certificate: certificate, key: key))
    configuration.certificateTime = .milliseconds(100)
    configuration.onBadCertificate = { error in faults.withLock { $0.append(error) } }
    try await withServer(configuration, Self.facts()) { _, addresses in
      let url = "https://127.0.0.1:\(addresses[0].port ?? 0)/"
      @Sendable func served() async throws -> Digest? {
        try await Self.keyServed(at: url, of: [firstDigest, secondDigest])
      }
      #expect(try await served() == firstDigest)
      try write(second, certificate, key)
      #expect(try await eventually { (try? await served()) == secondDigest })
      faults.withLock { $0 = [] }
      remove(key)
      let isTold = try await eventually {
        _ = try? await served()
        return !faults.withLock { $0.isEmpty }
      }
      #expect(isTold)
      let told = faults.withLock { $0.first }
      #expect(told?.publicDescription.contains(key) == true)
      #expect(try await served() == secondDigest)
    }
  }

  @Test func `bad certificates say which file and what to do`() async throws {
    let identity = try Self.identity()
    let other = try Self.identity()
    let cases: [(TLSIdentity, String)] = [
      (.files(certificate: "/missing.crt", key: "/missing.key"), "/missing.crt: it is missing"),
      (.init(certificate: .text(Array("x".utf8)), key: identity.key), "no valid PEM certificate"),
      (.init(certificate: identity.certificate, key: .text(Array("x".utf8))), "private key"),
      (.init(certificate: identity.certificate, key: other.key), "does not belong"),
      (.files(certificate: "/tmp", key: "/missing.key"), "/tmp is empty, a folder"),
    ]
    for (bad, text) in cases {
      var configuration = HTTPServer.Configuration(loopbackListen())
      configuration.tls = .init(identity: bad)
      let server = HTTPServer(configuration, responder: Self.facts())
      let error = await #expect(throws: NetError.self) { try await server.run() }
      #expect(error?.code == .badCertificate)
      #expect(error?.publicDescription.contains(text) == true, "\(text)")
    }
  }

  @Test func `a WebSocket over TLS carries any size both ways at once`() async throws {
    let identity = try Self.identity()
    var configuration = HTTPServer.Configuration(loopbackListen())
    configuration.tls = .init(identity: identity)
    try await withServer(configuration, HTTPServerTests.router()) { _, addresses in
      let client = Self.client { $0.roots = .custom(identity.certificate) }
      let socket = try await client.webSocket(
        try HTTPURL("wss://127.0.0.1:\(addresses[0].port ?? 0)/ws"))
      let sizes = [0, 1, 125, 126, 16_384, 16_385, 65_535, 65_536, 300_000, 1_500_000]
      try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask {
          for size in sizes {
            try await socket.send([UInt8](repeating: UInt8(size & 255), count: size))
          }
        }
        for size in sizes {
          let expected = [UInt8](repeating: UInt8(size & 255), count: size)
          #expect(try await socket.receive() == .binary(expected))
        }
        try await group.waitForAll()
      }
      await socket.close()
    }
  }

  @Test func `plain bytes and silence on a TLS port are closed`() async throws {
    var configuration = HTTPServer.Configuration(loopbackListen())
    configuration.tls = .init(identity: try Self.identity())
    configuration.timeouts.handshake = .milliseconds(200)
    try await withServer(configuration, Self.facts()) { server, addresses in
      let plain = try await RawClient.connect(addresses[0])
      try await plain.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
      _ = try? await plain.readAll()
      let silent = try await RawClient.connect(addresses[0])
      _ = try? await silent.readAll()
      #expect(try await eventually { server.connectionCount == 0 })
    }
  }
}
