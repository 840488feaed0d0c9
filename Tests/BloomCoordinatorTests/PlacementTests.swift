import BloomBase
import BloomClient
import BloomCoordinator
import BloomCrypto
import BloomLedger
import BloomRecords
import BloomSeal
import BloomStore
import BloomWire
import Testing

/// A gateway's view over a real coordinator: first the pool's machines, then everybody's.
@Suite(.serialized) struct PlacementTests {
  private func view(
    _ test: TestCoordinator, _ key: String, _ places: [PlacementPolicy.Place]
  ) throws -> NetworkView {
    var directories: [String?] = []
    if places.contains(.pool) { directories.append("lab") }
    if places.contains(.public) { directories.append(nil) }
    let remotes = try directories.map { pool in
      NetworkView.Remote(
        coordinator: test.client(key: key, pool: pool),
        verifier: try DirectoryVerifier(
          origin: pool.map { PoolName.origin(of: $0, in: TestCoordinator.origin) }
            ?? TestCoordinator.origin, key: test.logKey.verifyingKey.bytes))
    }
    return NetworkView(
      remotes: remotes, policy: PlacementPolicy(places: places, pool: "lab"), time: SystemTime(),
      log: Log("view", sink: test.log))
  }

  @Test func `with pool and public the pool's machine is asked first, with pool alone nobody else`()
    async throws
  {
    try await withCoordinator([.answer(tokens: 2), .answer(tokens: 2)]) { test, nodes in
      let alice = try await test.manager("alice")
      try await test.own(nodes[0].machine, alice.account, isPrivate: true)
      _ = try await test.service.pools.create("lab", owner: alice.account)
      await test.service.hub.membershipChanged()
      let inside = nodes[0].machine.node
      let outside = nodes[1].machine.node
      try await test.until("the private machine is shown to members only") {
        try await test.directory(of: "lab", key: alice.key) == [inside]
      }
      await test.service.hub.publishDirectory()

      let both = try view(test, alice.key, [.pool, .public])
      for _ in 0..<5 {
        let drawn = try await both.draw(
          2, model: Machine.model, preferring: nil, avoiding: [])
        #expect(drawn?.place == .pool)
        #expect(drawn?.targets.map(\.node) == [inside])
        #expect(drawn?.constraints.pool == "lab")
      }
      let next = try await both.draw(
        2, model: Machine.model, preferring: nil, avoiding: [inside])
      #expect(next?.place == .public)
      #expect(next?.targets.map(\.node) == [outside])
      #expect(next?.constraints.pool == nil)

      let closed = try view(test, alice.key, [.pool])
      #expect(
        try await closed.draw(2, model: Machine.model, preferring: nil, avoiding: [])?.targets
          .map(\.node) == [inside])
      #expect(
        try await closed.draw(2, model: Machine.model, preferring: nil, avoiding: [inside]) == nil)
    }
  }

  @Test func `a price cap keeps an answer off dearer machines, also after prices changed`()
    async throws
  {
    try await withCoordinator([.answer(tokens: 2), .answer(tokens: 2)]) { test, nodes in
      let machines = nodes.map(\.machine)
      let key = PriceKey(Machine.model, .chat)
      let list = try #require(Price(promptPerMillion: 1_000_000, completionPerMillion: 2_000_000))
      func price(_ machine: Machine, perMille: Int?) async throws {
        try await test.store.apply(
          .changePrice(.node(machine.node, key, perMille.map { list.scaled(perMille: $0) })))
      }
      // Two micro-units a completion token, one a prompt token; a byte is a token at most.
      let plain = try test.seal(newAnswer(), to: machines)
      let prefix = try #require(try EnvelopePrefix.read(plain.envelope))
      let worst =
        prefix.head.routing.paddedByteCount + ReceiptRules.templateTokens
        + 2 * prefix.head.routing.tokenClass.tokens
      func ask(cap: Int) async throws -> [NodeID] {
        try await test.ask(test.seal(to: machines, .init(priceCap: Micros(Int64(cap))))).accepted
      }
      let refusal = CoordinatorClient.Refusal(reason: .priceAboveCap)
      #expect(try await ask(cap: worst).count == 1)
      await #expect(throws: refusal) { try await ask(cap: worst - 1) }
      try await price(machines[0], perMille: 500)
      for _ in 0..<4 { #expect(try await ask(cap: worst - 1) == [machines[0].node]) }
      await #expect(throws: refusal) { try await ask(cap: worst / 2 - 1) }
      try await price(machines[0], perMille: 2000)
      await #expect(throws: refusal) { try await ask(cap: worst - 1) }
      for _ in 0..<4 { #expect(try await ask(cap: worst) == [machines[1].node]) }
      #expect(try await ask(cap: 2 * worst).count == 1)
      try await price(machines[0], perMille: nil)
      #expect(try await ask(cap: worst).count == 1)
    }
  }
}
