import BloomBase
import BloomHTTP
import Testing

@testable import BloomNet

/// Which connections go through which proxy.
@Suite(.timeLimit(.minutes(1))) struct ProxyTests {
  private func choose(
    _ setting: String?, _ environment: [String: String], _ url: String
  ) throws -> String? {
    let choice = try ProxyChoice(setting: setting, environment: environment)
    let proxy = try choice.choose(for: try HTTPURL(url))
    return proxy.map { "\($0.host):\($0.port)" }
  }

  @Test func `a setting comes first, then the environment's proxy`() throws {
    let environment = ["HTTPS_PROXY": "http://env:3128", "no_proxy": "inner.org, .Local"]
    #expect(try choose("http://mine", environment, "https://c.org") == "mine:8080")
    #expect(try choose("http://mine", environment, "http://c.org") == "mine:8080")
    #expect(try choose(nil, environment, "https://c.org") == "env:3128")
    #expect(try choose(nil, environment, "https://a.inner.org") == nil)
    #expect(try choose(nil, environment, "https://inner.org") == nil)
    #expect(try choose(nil, environment, "https://x.local") == nil)
    #expect(try choose(nil, environment, "https://notinner.org") == "env:3128")
    #expect(
      try choose(nil, ["https_proxy": "http://env", "NO_PROXY": "*"], "https://c.org") == nil)
    #expect(try choose(nil, [:], "https://c.org") == nil)
    let named = try #require(ProxyChoice.parse("http://us%40er:pa:ss@[::1]:99"))
    #expect(named.host == "::1" && named.port == 99)
    #expect(named.authorization == "Basic \(Base64.encode(Array("us@er:pa:ss".utf8)))")
  }

  @Test func `the environment's proxy is never shown what is plain`() throws {
    #expect(try choose(nil, ["HTTPS_PROXY": "http://env:1"], "http://c.org") == nil)
  }

  @Test(arguments: [
    "http://127.0.0.1:8640", "https://127.0.0.2", "https://localhost", "https://[::1]",
  ])
  func `this machine is reached without a proxy`(_ url: String) throws {
    #expect(try choose("http://mine", [:], url) == nil)
    #expect(try choose(nil, ["HTTPS_PROXY": "http://env:1"], url) == nil)
  }

  @Test(arguments: ["https://p:1", "socks5://p", "http://", "http://p:x", ""])
  func `what is no proxy is refused`(_ text: String) {
    #expect(throws: ConfigurationError.self) {
      _ = try ProxyChoice(setting: text, environment: [:])
    }
  }

  @Test func `a variable that is no proxy is told where it would be used`() throws {
    let environment = ["HTTPS_PROXY": "socks5://p", "NO_PROXY": "near.test"]
    #expect(try choose(nil, environment, "https://near.test") == nil)
    #expect(try choose(nil, environment, "https://localhost") == nil)
    let error = #expect(throws: NetError.self) {
      _ = try choose(nil, environment, "https://far.test")
    }
    #expect(error?.code == .proxyFailed)
    #expect(error?.publicDescription.hasPrefix("HTTPS_PROXY") == true)
  }

  @Test func `each place is reached its own way, and TLS ends at the place alone`() async throws {
    let asked = Locked<[String]>([])
    let identity = try TLSTests.identity()
    let path = "/tmp/bloom-proxy-\(UInt32.random(in: 0...UInt32.max)).sock"
    var server = HTTPServer.Configuration(loopbackListen(), .unix(path: path))
    server.tls = .init(identity: identity)
    try await withServer(server, TLSTests.facts()) { _, addresses in
      let target = try #require(addresses.first { $0.port != nil })
      let port = target.port ?? 0
      let proxy = try await TestProxy.start(target: target, requests: asked)
      var configuration = HTTPClient.Configuration()
      configuration.tls.roots = .custom(identity.certificate)
      configuration.tls.serverName = "localhost"
      configuration.resolver = ConnectTests.Fixed(addresses: [IPAddress.loopback])
      configuration.proxy = ProxyChoice(environment: [
        "https_proxy": "http://127.0.0.1:\(proxy.port)", "NO_PROXY": "near.test",
      ])
      let client = HTTPClient(configuration)
      let places = ["far.test", "near.test:\(port)", "127.0.0.1:\(port)", "localhost:\(port)"]
      for place in places {
        let response = try await client.send(.get("https://\(place)/"))
        let text = String(decoding: try await response.body.collect(upTo: 1_000), as: UTF8.self)
        let exporter = try #require(response.tls?.exporter)
        #expect(text.hasPrefix(Hex.encode(exporter)), "\(place)")
      }
      var request = try ClientRequest.get("http://local/")
      request.unixSocket = path
      let local = try await client.send(request)
      #expect(local.status == .ok)
      let seen = asked.withLock { $0 }
      #expect(seen.count == 1)
      #expect(seen.first?.hasPrefix("CONNECT far.test:443 ") == true)
      client.close()
      await proxy.stop()
    }
  }
}
