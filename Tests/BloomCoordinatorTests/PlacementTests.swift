import BloomBase
import BloomClient
import BloomCoordinator
import BloomCrypto
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
    let network = test.client(key: key)
    var directories: [String?] = []
    if places.contains(.pool) { directories.append("lab") }
    if places.contains(.public) { directories.append(nil) }
    let remotes = try directories.map { pool in
      NetworkView.Remote(
        coordinator: network.inPool(pool),
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
}
