import BloomAPI
import BloomBase
import BloomClient
import BloomHTTP
import BloomNet
import BloomRecords
import BloomSeal
import BloomWire
import Testing

/// Several directories in one view: the pool's machines before the public ones, own ones before
/// both, and nothing outside what the user named.
@Suite struct DirectoriesTests {
  let model = FakeCoordinator.model
  /// Of the pool, then of everybody, then this device's own.
  let members: [TestMachine]
  let strangers: [TestMachine]
  let own: TestMachine

  init() throws {
    members = try (1...3).map { try TestMachine(seed: $0, model: FakeCoordinator.model) }
    strangers = try (11...13).map { try TestMachine(seed: $0, model: FakeCoordinator.model) }
    own = try TestMachine(seed: 21, model: FakeCoordinator.model)
  }

  /// A pool, the network and a device, with a view of all three.
  struct World {
    let pool: FakeCoordinator
    let network: FakeCoordinator
    let device: FakeCoordinator
    let view: NetworkView
    let service: PrivateInference
  }

  @Sendable private static func nothing(_: [UInt8], _: Int) throws -> Response {
    .text("", status: .serviceUnavailable)
  }

  private func world<Result: Sendable>(
    _ policy: PlacementPolicy, pool poolMachines: [TestMachine]? = nil, hasDevice: Bool = false,
    asksNetwork: Bool = true,
    deviceSays: @escaping @Sendable ([UInt8], Int) throws -> Response = Self.nothing,
    coordinatorSays: @escaping @Sendable ([UInt8], Int) throws -> Response = Self.nothing,
    _ body: (World) async throws -> Result
  ) async throws -> Result {
    let pool = try FakeCoordinator(machines: poolMachines ?? members, sealed: coordinatorSays)
    let network = try FakeCoordinator(machines: strangers)
    let device = try FakeCoordinator(machines: hasDevice ? [own] : [], sealed: deviceSays)
    return try await pool.serve { poolHTTP in
      try await network.serve { networkHTTP in
        try await device.serve { deviceHTTP in
          let remotes =
            [try pool.remote(poolHTTP, pool: "club")]
            + (asksNetwork ? [try network.remote(networkHTTP)] : [])
          let view = NetworkView(
            remotes: remotes,
            local: LocalNode(socket: "/nowhere", http: deviceHTTP, time: SystemTime()),
            policy: policy, time: SystemTime(), log: Log("test", sink: RecentLog()))
          let service = PrivateInference(
            configuration: .calm, network: view, time: SystemTime())
          return try await body(
            World(pool: pool, network: network, device: device, view: view, service: service))
        }
      }
    }
  }

  private func draws(
    _ view: NetworkView, avoiding: Set<NodeID> = []
  ) async throws -> (places: Set<PlacementPolicy.Place>, nodes: Set<NodeID>) {
    var places: Set<PlacementPolicy.Place> = []
    var nodes: Set<NodeID> = []
    for _ in 0..<24 {
      guard
        let drawn = try await view.draw(2, model: model, preferring: nil, avoiding: avoiding)
      else { continue }
      places.insert(drawn.place)
      nodes.formUnion(drawn.targets.map(\.node))
      #expect(drawn.constraints.pool == (drawn.place == .pool ? "club" : nil))
    }
    return (places, nodes)
  }

  private func expect(
    _ view: NetworkView, avoiding: Set<NodeID> = [], places: Set<PlacementPolicy.Place>? = nil,
    nodes: Set<NodeID>? = nil, location: SourceLocation = #_sourceLocation
  ) async throws {
    let drawn = try await draws(view, avoiding: avoiding)
    if let places { #expect(drawn.places == places, sourceLocation: location) }
    if let nodes { #expect(drawn.nodes == nodes, sourceLocation: location) }
  }

  @Test func `the pool's machines come first and the public ones when it has none`() async throws {
    let policy = PlacementPolicy(pool: "club")
    try await world(policy) { world in
      let drawn = try await draws(world.view)
      #expect(drawn.places == [.pool])
      #expect(drawn.nodes == Set(members.map(\.node)))
      let without = try await draws(world.view, avoiding: Set(members.map(\.node)))
      #expect(without.places == [.public])
      #expect(without.nodes == Set(strangers.map(\.node)))
    }
    try await world(policy, pool: []) { world in
      try await expect(world.view, nodes: Set(strangers.map(\.node)))
    }
  }

  @Test func `a change in one directory is seen while the other stays as it is`() async throws {
    try await world(PlacementPolicy(pool: "club")) { world in
      try await expect(world.view, places: [.pool])
      try world.pool.publish([members[0]])
      await world.view.invalidate()
      try await expect(world.view, nodes: [members[0].node])
      try world.pool.publish([])
      await world.view.invalidate()
      try await expect(world.view, places: [.public])
    }
  }

  @Test func `what one directory brought counts after the next one failed`() async throws {
    try await world(PlacementPolicy(pool: "club")) { world in
      world.network.state.withLock { $0.refusal = (.serviceUnavailable, "busy") }
      await #expect(throws: CoordinatorClient.Refusal.self) { _ = try await world.view.models() }
      world.network.state.withLock { $0.refusal = nil }
      try await expect(world.view, places: [.pool], nodes: Set(members.map(\.node)))

      // The pool changes while the network is away; when that is back, neither changes any more.
      try world.pool.publish([members[0]])
      world.network.state.withLock { $0.refusal = (.serviceUnavailable, "busy") }
      await world.view.invalidate()
      await #expect(throws: CoordinatorClient.Refusal.self) { _ = try await draws(world.view) }
      world.network.state.withLock { $0.refusal = nil }
      try await expect(world.view, nodes: [members[0].node])
    }
  }

  @Test func `with only the pool nothing goes to anybody else`() async throws {
    let only = PlacementPolicy().within(pool: "club")
    let body = #"{"model":"test","messages":[{"role":"user","content":"hi"}]}"#
    let request = try ChatRequest.parse(Array(body.utf8))
    try await world(only, pool: [], asksNetwork: false) { world in
      let error = await #expect(throws: APIError.self) {
        _ = try await world.service.begin(request)
      }
      #expect(error?.code == "pool_empty")
      try await expect(world.view, nodes: [])
      #expect(world.network.state.withLock { $0.directories } == 0)
    }
    // Not even when the network's directory is at hand.
    try await world(only, pool: []) { world in
      let error = await #expect(throws: APIError.self) {
        _ = try await world.service.begin(request)
      }
      #expect(error?.code == "placement_refused")
      #expect(error?.message.contains("3 are of a place that you do not use") == true)
      #expect(world.pool.state.withLock { $0.envelopes } == 0)
      #expect(world.network.state.withLock { $0.envelopes } == 0)
    }
  }

  @Test func `a pool that this device left has no machines for it`() async throws {
    try await world(PlacementPolicy(pool: "club")) { world in
      try await expect(world.view, places: [.pool])
      world.pool.state.withLock { $0.refusal = (.forbidden, "not_allowed") }
      await world.view.invalidate()
      try await expect(world.view, places: [.public])
    }
    try await world(PlacementPolicy().within(pool: "club"), asksNetwork: false) { world in
      world.pool.state.withLock { $0.refusal = (.forbidden, "not_allowed") }
      await #expect(throws: CoordinatorClient.Refusal(reason: .notAllowed)) {
        _ = try await world.view.draw(1, model: model, preferring: nil, avoiding: [])
      }
    }
  }

  @Test func `a pool's directory that lies stops everything`() async throws {
    try await world(PlacementPolicy(pool: "club")) { world in
      try world.pool.publish(members, lie: .otherKey)
      await #expect(throws: DirectoryError.signature) {
        _ = try await world.view.draw(1, model: model, preferring: nil, avoiding: [])
      }
    }
  }

  @Test func `paired machines come before the pool's, which come before the public ones`()
    async throws
  {
    let mine = strangers[1].node
    try await world(PlacementPolicy(pool: "club", paired: [mine])) { world in
      let first = try await draws(world.view)
      #expect(first.places == [.paired] && first.nodes == [mine])
      try await expect(world.view, avoiding: [mine], places: [.pool])
      let others = Set(members.map(\.node) + [mine])
      let last = try await draws(world.view, avoiding: others)
      #expect(last.places == [.public])
      #expect(last.nodes == Set(strangers.map(\.node)).subtracting([mine]))
    }
  }

  @Test func `a pool's machine is not taken for a paired one by its directory alone`()
    async throws
  {
    // The pool's directory names the user's machine: it counts as the pool's there.
    let policy = PlacementPolicy(pool: "club", paired: [members[0].node])
    try await world(policy) { world in
      try await expect(world.view, places: [.pool])
    }
  }

  // MARK: This device

  @Test func `this device's own node comes before everybody`() async throws {
    try await world(PlacementPolicy(pool: "club"), hasDevice: true) { world in
      let drawn = try await draws(world.view)
      #expect(drawn.places == [.device] && drawn.nodes == [own.node])
      try await expect(world.view, avoiding: [own.node], places: [.pool])
      let names = try await world.service.models().map(\.name)
      #expect(names == ["test"])
    }
  }

  @Test func `requests that come together all find this device first`() async throws {
    try await world(PlacementPolicy(pool: "club"), hasDevice: true) { world in
      let places = try await withThrowingTaskGroup(of: PlacementPolicy.Place?.self) { group in
        for _ in 0..<16 {
          group.addTask {
            try await world.view.draw(1, model: model, preferring: nil, avoiding: [])?.place
          }
        }
        return try await group.reduce(into: []) { $0.append($1) }
      }
      #expect(places == Array(repeating: .device, count: 16))
      #expect(world.pool.state.withLock { $0.directories } == 0, "nobody was asked")
    }
  }

  @Test func `a node of one's own that serves nobody now is passed by`() async throws {
    let request = try ChatRequest.parse(
      Array(#"{"model":"test","messages":[{"role":"user","content":"hi"}]}"#.utf8))
    let member = members[0]
    try await world(
      PlacementPolicy(pool: "club"), pool: [member], hasDevice: true,
      deviceSays: { _, _ in
        var bytes: [UInt8] = []
        OuterRecord.attemptFailed(
          reason: .ownerActive, isRetriable: true, retryAfterMilliseconds: 0
        ).append(attempt: 0, to: &bytes)
        return .bytes(bytes, type: "application/darkbloom-res")
      },
      coordinatorSays: { envelope, _ in
        let (sealed, _) = try member.answer(envelope, tokens: [1, 2])
        var bytes: [UInt8] = []
        OuterRecord.accepted(node: member.node).append(attempt: 1, to: &bytes)
        OuterRecord.sealed(sealed).append(attempt: 1, to: &bytes)
        return .bytes(bytes, type: "application/darkbloom-res")
      }
    ) { world in
      let running = try await world.service.begin(request)
      var tokens: [UInt32] = []
      while let step = await running.next() {
        if case .tokens(let frame) = step { tokens += frame.tokens }
        if case .failed(let failure, _) = step { Issue.record("\(failure)") }
      }
      #expect(tokens == [1, 2])
      #expect(world.device.state.withLock { $0.envelopes } == 1, "it was asked first")
      #expect(world.pool.state.withLock { $0.envelopes } == 1)
    }
  }

  @Test func `a device that is not a place of the policy's is not asked`() async throws {
    try await world(PlacementPolicy(places: [.public]), hasDevice: true) { world in
      try await expect(world.view, places: [.public])
    }
  }

  @Test func `a policy that puts the network first comes home when it has nobody`() async throws {
    let policy = PlacementPolicy(places: [.pool, .device], pool: "club")
    try await world(policy, hasDevice: true, asksNetwork: false) { world in
      try await expect(world.view, places: [.pool])
      try await expect(world.view, avoiding: Set(members.map(\.node)), places: [.device])
    }
  }
}
