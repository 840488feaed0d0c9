import BloomAPI
import BloomBase
import BloomClient
import BloomCrypto
import BloomNet
import BloomRecords
import BloomSeal
import BloomWire
import Testing

/// Where requests may go: what the user wants is met, or nothing is sent and the reason is said.
@Suite struct PlacementTests {
  let model = FakeCoordinator.model
  let machines: [TestMachine]

  init() throws {
    machines = try (1...4).map { try TestMachine(seed: $0, model: FakeCoordinator.model) }
  }

  private func drawn(_ policy: PlacementPolicy) async throws -> Set<NodeID> {
    let coordinator = try FakeCoordinator(machines: machines)
    return try await coordinator.serve(policy: policy) { view, _ in
      var all: Set<NodeID> = []
      for _ in 0..<24 {
        let drawn = try await view.draw(2, model: model, preferring: nil, avoiding: [])
        all.formUnion(drawn?.targets.map(\.node) ?? [])
      }
      return all
    }
  }

  /// The refusal that a policy gives to a request.
  private func refusal(_ policy: PlacementPolicy) async throws -> APIError {
    let coordinator = try FakeCoordinator(machines: machines)
    return try await coordinator.serve(policy: policy) { _, service -> APIError in
      let body = #"{"model":"test","messages":[{"role":"user","content":"hi"}]}"#
      let request = try ChatRequest.parse(Array(body.utf8))
      let error = await #expect(throws: APIError.self) { _ = try await service.begin(request) }
      #expect(coordinator.state.withLock { $0.envelopes } == 0, "nothing may leave the device")
      return try #require(error)
    }
  }

  @Test func `without wishes every machine is drawn`() async throws {
    #expect(try await drawn(PlacementPolicy()) == Set(machines.map(\.node)))
  }

  @Test func `a blocked machine is never drawn and pinned ones are the only ones`() async throws {
    let first = machines[0].node
    #expect(
      try await drawn(PlacementPolicy(blocked: [first])) == Set(machines.dropFirst().map(\.node)))
    #expect(try await drawn(PlacementPolicy(pinned: [first])) == [first])
  }

  @Test func `paired machines come first and carry their tier`() async throws {
    let mine = machines[2].node
    #expect(try await drawn(PlacementPolicy(paired: [mine])) == [mine])
    let own = PlacementPolicy(minimumTier: .paired, paired: [mine])
    #expect(try await drawn(own) == [mine])
    // Nobody else knows of the pairing: asked for that tier, the coordinator would refuse.
    #expect(own.constraints(for: .paired).minimumTier == .software)
    let strict = PlacementPolicy(minimumTier: .measured).constraints(for: .paired)
    #expect(strict.minimumTier == .measured)
  }

  @Test func `a request that the policy takes to nobody is refused with the way out`()
    async throws
  {
    let weak = try await refusal(PlacementPolicy(minimumTier: .hardware))
    #expect(weak.status == 422)
    #expect(weak.message.contains("4 prove less than tier hardware"))
    #expect(weak.message.contains("darkbloom policy set tier software"))
    let blocked = try await refusal(PlacementPolicy(blocked: Set(machines.map(\.node))))
    #expect(blocked.message.contains("4 you blocked"))
    #expect(blocked.message.contains("darkbloom policy set blocked none"))
    let pinned = try await refusal(PlacementPolicy(pinned: [NodeID(.zero)]))
    #expect(pinned.message.contains("darkbloom policy set pinned none"))
    let paired = try await refusal(PlacementPolicy(places: [.paired]))
    #expect(paired.message.contains("darkbloom policy set places device,paired,pool,public"))
  }

  @Test func `what the coordinator must meet is in every envelope`() async throws {
    let policy = PlacementPolicy(
      places: [.public], region: "eu", priceCap: Micros(70))
    let coordinator = try FakeCoordinator(machines: machines)
    let drawn = try await coordinator.serve(policy: policy) { view, _ in
      try await view.draw(1, model: model, preferring: nil, avoiding: [])
    }
    let constraints = try #require(drawn?.constraints)
    #expect(constraints.region == "eu")
    #expect(constraints.priceCap == Micros(70))
    #expect(constraints.pool == nil)
    #expect(PlacementPolicy(pool: "club").constraints(for: .pool).pool == "club")
  }

  @Test func `a manifest that is not the model's is not believed`() async throws {
    let coordinator = try FakeCoordinator()
    try coordinator.publish(machines, lie: .otherManifest)
    _ = try await coordinator.serve { view, _ in
      await #expect(throws: DirectoryError.malformed) { _ = try await view.models() }
    }
  }

  @Test func `a machine that lacks the model of its tree is not drawn`() async throws {
    let other = try TestMachine(seed: 9, model: ModelID(SHA256.digest([1])))
    let coordinator = try FakeCoordinator(machines: [other])
    _ = try await coordinator.serve { view, _ in
      let drawn = try await view.draw(1, model: model, preferring: nil, avoiding: [])
      #expect(drawn?.targets.isEmpty ?? true)
    }
  }

  // MARK: Ready contexts

  @Test func `key exchanges are ready for the next request and used once`() async throws {
    let coordinator = try FakeCoordinator(machines: machines)
    _ = try await coordinator.serve { view, _ in
      _ = try await view.draw(2, model: model, preferring: nil, avoiding: [])
      var ready: ReadySet?
      for _ in 0..<200 where ready == nil {
        ready = try await view.draw(2, model: model, preferring: nil, avoiding: [])?.ready
        try await Task.sleep(for: .milliseconds(5))
      }
      let set = try #require(ready)
      #expect(set.targets.count == 2)
      let first = set.take()
      let isThere = first != nil
      let second = set.take()
      let isThereAgain = second != nil
      #expect(isThere && !isThereAgain)
    }
  }

  @Test func `a rotated key is never used from a set made before`() async throws {
    let coordinator = try FakeCoordinator(machines: [machines[0]])
    _ = try await coordinator.serve { view, _ in
      _ = try await view.draw(1, model: model, preferring: nil, avoiding: [])
      try await Task.sleep(for: .milliseconds(50))
      let renewed = try TestMachine(seed: 1, model: model, keySeed: 77)
      try coordinator.publish([renewed])
      await view.invalidate()
      for _ in 0..<4 {
        let drawn = try await view.draw(1, model: model, preferring: nil, avoiding: [])
        let key = try #require(drawn?.targets.first?.keys.keyID)
        #expect(key == renewed.record.statement.workers[0].keyID)
        #expect(drawn?.ready.map { $0.targets[0].keys.keyID == key } ?? true)
      }
    }
  }

  // MARK: Settings

  @Test func `a policy is written and read back`() throws {
    let node = machines[0].node.digest.hex
    var policy = PlacementPolicy()
    for (name, value) in [
      ("places", "device,public"), ("tier", "measured"), ("pool", "club"), ("region", "eu"),
      ("price-cap", "900"), ("pinned", node), ("blocked", node), ("paired", node),
      ("releases", node), ("freshness", "120"),
    ] {
      policy = try PlacementSettings.setting(name, to: value, in: policy)
    }
    #expect(policy.places == [.device, .public])
    #expect(policy.blocked == [machines[0].node])
    let file = PlacementSettings.file(of: policy)
    #expect(try PlacementSettings.policy(file: file, environment: [:]) == policy)
    let plain = PlacementSettings.file(of: PlacementPolicy())
    #expect(try PlacementSettings.policy(file: plain, environment: [:]) == PlacementPolicy())
    let told = try PlacementSettings.policy(
      file: file, environment: ["DARKBLOOM_POLICY_TIER": "hardware"])
    #expect(told.minimumTier == .hardware)
    // A constraint that is not read would be a prompt on a machine that nobody wanted.
    #expect(throws: ConfigurationError.self) {
      try PlacementSettings.policy(file: file, environment: ["DARKBLOOM_POLICY_TEIR": "hardware"])
    }
  }

  @Test(arguments: [
    ("tier", "strong"), ("places", "moon"), ("places", ""), ("places", "public,public"),
    ("price-cap", "-1"), ("freshness", "59"), ("pinned", "abc"), ("teir", "paired"),
  ])
  func `a setting that cannot be is refused`(name: String, value: String) {
    #expect(throws: ConfigurationError.self) {
      try PlacementSettings.setting(name, to: value, in: PlacementPolicy())
    }
  }
}
