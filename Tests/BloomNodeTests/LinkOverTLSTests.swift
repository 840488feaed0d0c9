import BloomBase
import BloomNet
import BloomNode
import BloomWire
import Testing

/// A coordinator that ends TLS itself, and a node that reaches it over a real socket.
@Suite(.serialized, .timeLimit(.minutes(2))) struct LinkOverTLSTests {
  @Test func `a machine's proof is bound to the coordinator's TLS, and it answers over it`()
    async throws
  {
    let identity = try TLSIdentity.selfSigned(names: ["localhost", "127.0.0.1"])
    try await withNetwork(
      tls: TLSServerConfiguration(identity: identity),
      overTCP: { settings, port in
        settings.client.memory = nil
        settings.client.tls.roots = .custom(identity.certificate)
        settings.coordinators = ["https://127.0.0.1:\(port)"]
      }
    ) { network in
      try await network.until("open and bound") {
        $0["link"]?.string == "open" && $0["link_bound"]?.bool == true
      }
      try await network.untilServed()
      let answer = try await network.ask()
      #expect(answer.failure == nil)
      #expect(answer.usage != nil)
    }
  }

  @Test func `a coordinator whose certificate nobody vouches for is not talked to`() async throws {
    let identity = try TLSIdentity.selfSigned(names: ["127.0.0.1"])
    let other = try TLSIdentity.selfSigned(names: ["127.0.0.1"])
    try await withNetwork(
      tls: TLSServerConfiguration(identity: identity),
      overTCP: { settings, port in
        settings.client.memory = nil
        settings.client.tls.roots = .custom(other.certificate)
        settings.coordinators = ["https://127.0.0.1:\(port)"]
      }
    ) { network in
      try await network.until("refused") { $0["link_problem"]?.string != nil }
      #expect(try await network.status()["link"]?.string != "open")
    }
  }
}
