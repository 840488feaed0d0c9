import BloomBase
import BloomClient
import BloomCoordinator
import BloomCrypto
import BloomRecords
import BloomSeal
import BloomStore
import BloomWire
import Testing

@Suite(.serialized) struct PoolTests {
  private static let lab = Routing.Constraints(pool: "lab")

  /// A pool `lab` of alice, whose machine is the first; the second is a stranger's.
  private func withPool(
    _ body: (TestCoordinator, [FakeNode], (account: AccountID, key: String)) async throws -> Void
  ) async throws {
    try await withCoordinator([.answer(tokens: 2), .answer(tokens: 2)]) { test, nodes in
      let alice = try await test.manager("alice")
      try await test.own(nodes[0].machine, alice.account)
      _ = try await test.service.pools.create("lab", owner: alice.account)
      await test.service.hub.membershipChanged()
      try await body(test, nodes, alice)
    }
  }

  @Test func `a request in a pool is never given to an outsider's machine`() async throws {
    try await withPool { test, nodes, alice in
      let client = test.client(key: alice.key)
      for _ in 0..<6 {
        let sealed = try test.seal(to: [nodes[1].machine, nodes[0].machine], Self.lab)
        let outcome = try await test.ask(sealed, using: client)
        #expect(outcome.accepted == [nodes[0].machine.node])
      }
      await #expect(throws: CoordinatorClient.Refusal(reason: .constraintUnmet)) {
        try await test.ask(try test.seal(to: [nodes[1].machine], Self.lab), using: client)
      }
    }
  }

  @Test func `a stranger may neither ask in a pool nor see its directory`() async throws {
    try await withPool { test, nodes, alice in
      await #expect(throws: CoordinatorClient.Refusal(reason: .notAllowed)) {
        try await test.ask(try test.seal(to: [nodes[0].machine], Self.lab))
      }
      let mallory = try await test.manager("mallory")
      await #expect(throws: CoordinatorClient.Refusal.self) {
        try await test.directory(of: "lab", key: mallory.key)
      }
      #expect(try await test.call("/v1/pools/lab", key: mallory.key).status == 404)
      #expect(try await test.call("/v1/pools/lab/audit", key: mallory.key).status == 404)
      #expect(try await test.directory(of: "lab", key: alice.key) == [nodes[0].machine.node])
    }
  }

  @Test func `a pool's directory is never taken for the network's`() async throws {
    try await withPool { test, _, alice in
      let bytes = try await test.client(key: alice.key, pool: "lab").directory(earlier: 0)
      let verifier = try DirectoryVerifier(
        origin: TestCoordinator.origin, key: test.logKey.verifyingKey.bytes)
      #expect(throws: DirectoryError.signature) {
        try verifier.snapshot(bytes, known: nil, now: SystemTime().unixTime())
      }
    }
  }

  @Test func `a key bound to a pool stays in it whatever the request says`() async throws {
    try await withPool { test, nodes, alice in
      let key = try await Accounts(store: test.store).addKey(
        for: alice.account, name: "bound", limits: KeyLimits(pool: "lab"),
        now: SystemTime().unixTime())
      let client = test.client(key: key.text)
      await #expect(throws: CoordinatorClient.Refusal(reason: .constraintUnmet)) {
        try await test.ask(try test.seal(newAnswer(), to: [nodes[1].machine]), using: client)
      }
      await #expect(throws: CoordinatorClient.Refusal(reason: .notAllowed)) {
        try await test.ask(
          try test.seal(to: [nodes[0].machine], .init(pool: "other")), using: client)
      }
      let outcome = try await test.ask(
        try test.seal(newAnswer(), to: [nodes[0].machine]), using: client)
      #expect(outcome.isFinished)
    }
  }

  @Test func `a pool without a connected machine says so`() async throws {
    try await withCoordinator([.answer(tokens: 1)]) { test, _ in
      let alice = try await test.manager("alice")
      _ = try await test.service.pools.create("lab", owner: alice.account)
      await #expect(throws: CoordinatorClient.Refusal(reason: .poolEmpty)) {
        try await test.ask(
          try test.seal(to: [try Machine(seed: 50)], Self.lab), using: test.client(key: alice.key))
      }
      #expect(try await test.directory(of: "lab", key: alice.key).isEmpty)
    }
  }

  @Test func `who joins by an invite asks and serves, who leaves is out at once`()
    async throws
  {
    try await withPool { test, nodes, alice in
      let bob = try await test.manager("bob")
      try await test.own(nodes[1].machine, bob.account)
      let invited = try await test.call("/v1/pools/lab/invite", key: alice.key, [:])
      let code = try #require(invited.value["invite"]?.string)
      let joined = try await test.call("/v1/pools/join", key: bob.key, ["invite": .string(code)])
      #expect(joined.status == 200)
      // Used up.
      let carol = try await test.manager("carol")
      let again = try await test.call(
        "/v1/pools/join", key: carol.key, ["invite": .string(code)])
      #expect(again.value["error"]?["reason"]?.string == "bad_code")
      try await test.until("both machines are shown") {
        try await test.directory(of: "lab", key: alice.key).count == 2
      }
      let outcome = try await test.ask(
        try test.seal(to: [nodes[1].machine], Self.lab), using: test.client(key: alice.key))
      #expect(outcome.isFinished)

      let left = try await test.call("/v1/pools/lab/leave", key: bob.key, [:])
      #expect(left.status == 200)
      await #expect(throws: CoordinatorClient.Refusal(reason: .constraintUnmet)) {
        try await test.ask(
          try test.seal(to: [nodes[1].machine], Self.lab), using: test.client(key: alice.key))
      }
      await #expect(throws: CoordinatorClient.Refusal(reason: .notAllowed)) {
        try await test.ask(
          try test.seal(to: [nodes[0].machine], Self.lab), using: test.client(key: bob.key))
      }
      try await test.until("the machine is gone from the directory") {
        try await test.directory(of: "lab", key: alice.key) == [nodes[0].machine.node]
      }
    }
  }

  @Test func `what is read of pools while one is changed is not kept`() async throws {
    let store = try await LedgerStore.open(MemoryBackend(), clock: SystemTime())
    let pools = Pools(store: store, time: SystemTime())
    let alice = try #require(AccountID("alice"))
    let members = (0..<20).compactMap { AccountID("m\($0)") }
    // Many, so that to read all of them takes longer than to change one.
    let others = (0..<100).map {
      PoolRecord(
        name: "p\($0)", owner: members[0], members: members, nodes: [], createdAt: UnixTime(1))
    }
    try await store.write(others.map { RecordChange.put($0) })
    _ = try await pools.create("lab", owner: alice)
    for round in 1...20 {
      let isOver = Locked(false)
      let reads = Locked(0)
      let reading = Task {
        while !isOver.withLock({ $0 }) {
          _ = pools.pools(of: alice)
          reads.withLock { $0 += 1 }
          await Task.yield()
        }
      }
      while reads.withLock({ $0 }) == 0 { await Task.yield() }
      _ = try await pools.change("lab", by: alice) { $0.policy.maximumMembers = round }
      isOver.withLock { $0 = true }
      await reading.value
      #expect(pools.pools(of: alice).map(\.policy.maximumMembers) == [round])
    }
    await store.close()
  }

  @Test func `only the owner changes a pool, and only managing keys do anything`() async throws {
    try await withPool { test, _, alice in
      let bob = try await test.manager("bob")
      let code = try await test.service.pools.invite(
        to: "lab", by: alice.account, uses: 1, seconds: 60)
      _ = try await test.service.pools.join(code, bob.account)
      for (path, members) in [
        ("policy", ["tier": .string("hardware")]), ("invite", [:]),
        ("leave", ["member": .string("alice")]), ("leave", ["delete": .bool(true)]),
      ] as [(String, KeyValuePairs<String, JSONValue>)] {
        let answer = try await test.call("/v1/pools/lab/\(path)", key: bob.key, members)
        #expect(answer.status == 403, "\(path)")
      }
      let mistyped = try await test.call(
        "/v1/pools/lab/leave", key: bob.key, ["member": .string("ALICE")])
      #expect(mistyped.status == 404)
      #expect(try await test.call("/v1/pools/lab", key: bob.key).status == 200, "bob stays")
      let asking = try await Accounts(store: test.store).addKey(
        for: alice.account, name: "asks", now: SystemTime().unixTime())
      let answer = try await test.call("/v1/pools/lab/invite", key: asking.text, [:])
      #expect(answer.status == 403)
      #expect(try await test.call("/v1/pools", key: nil, ["name": .string("x")]).status == 401)
      let bad = try await test.call("/v1/pools", key: bob.key, ["name": .string("../x")])
      #expect(bad.status == 400)
      let taken = try await test.call("/v1/pools", key: bob.key, ["name": .string("lab")])
      #expect(taken.status == 409)
    }
  }

  @Test func `a policy that a machine does not meet takes it out of the pool`() async throws {
    try await withPool { test, nodes, alice in
      let answer = try await test.call(
        "/v1/pools/lab/policy", key: alice.key, ["region": .string("eu")])
      #expect(answer.value["policy"]?["region"]?.string == "eu")
      let client = test.client(key: alice.key)
      await #expect(throws: CoordinatorClient.Refusal(reason: .constraintUnmet)) {
        try await test.ask(try test.seal(to: [nodes[0].machine], Self.lab), using: client)
      }
      try await test.own(nodes[0].machine, alice.account, region: "eu")
      await test.service.hub.membershipChanged()
      let outcome = try await test.ask(
        try test.seal(to: [nodes[0].machine], Self.lab), using: client)
      #expect(outcome.isFinished)
    }
  }

  @Test func `a machine that serves pools only is not shown to the network`() async throws {
    try await withPool { test, nodes, alice in
      try await test.own(nodes[0].machine, alice.account, isPrivate: true)
      await test.service.hub.membershipChanged()
      await #expect(throws: CoordinatorClient.Refusal(reason: .notAllowed)) {
        try await test.ask(try test.seal(newAnswer(), to: [nodes[0].machine]))
      }
      let verifier = try DirectoryVerifier(
        origin: TestCoordinator.origin, key: test.logKey.verifyingKey.bytes)
      try await test.until("it is gone from the network's directory") {
        let bytes = try await test.client.directory(earlier: 0)
        let (snapshot, _) = try verifier.snapshot(
          bytes, known: nil, now: SystemTime().unixTime())
        return snapshot.trees.reduce(0) { $0 + $1.size } == 1
      }
      #expect(try await test.directory(of: "lab", key: alice.key) == [nodes[0].machine.node])
    }
  }

  @Test func `the audit names who did what and which machine answered, as CSV and JSON`()
    async throws
  {
    try await withPool { test, nodes, alice in
      _ = try await test.ask(
        try test.seal(to: [nodes[0].machine], Self.lab), using: test.client(key: alice.key))
      let events = try await test.service.pools.audit("lab", by: alice.account)
      #expect(events.map(\.action) == [.created, .answered])
      #expect(events.last?.node == nodes[0].machine.node)
      #expect(events.last?.completionTokens == 2)
      let json = try await test.call("/v1/pools/lab/audit?format=json", key: alice.key)
      #expect(json.value["events"]?.items?.count == 2)
      #expect(json.value["events"]?.items?.last?["account"]?.string == "alice")
    }
  }

  @Test func `the audit has every part of an answer that was settled`() async throws {
    try await withCoordinator([.breaks(afterTokens: 5), .answer(tokens: 3)]) { test, nodes in
      let alice = try await test.manager("alice")
      for node in nodes { try await test.own(node.machine, alice.account) }
      _ = try await test.service.pools.create("lab", owner: alice.account)
      await test.service.hub.membershipChanged()
      let client = test.client(key: alice.key)
      let answer = newAnswer()
      let first = try await test.ask(
        try test.seal(to: [nodes[0].machine], Self.lab, answer: answer), using: client)
      #expect(!first.isFinished)
      let second = try await test.ask(
        try test.seal(to: [nodes[1].machine], Self.lab, answer: answer, part: 1), using: client)
      #expect(second.isFinished)
      func answered() async throws -> [PoolEventRecord] {
        try await test.service.pools.audit("lab", by: alice.account).filter {
          $0.action == .answered
        }
      }
      try await test.until("both are noted") { try await answered().count == 2 }
      let events = try await answered()
      #expect(Set(events.compactMap(\.node)) == Set(nodes.map { $0.machine.node }))
      #expect(events.map(\.completionTokens).sorted() == [3, 5])
    }
  }

  @Test func `a machine that leaves its account loses its link`() async throws {
    try await withCoordinator([], nodeOwner: nil) { test, _ in
      let alice = try await test.manager("alice")
      let machine = try Machine(seed: 7)
      try await test.own(machine, alice.account)
      try await withThrowingTaskGroup(of: Void.self) { group in
        let node = FakeNode(machine, .answer(tokens: 1))
        try await test.join(node, &group)
        try await test.service.enrolment.leave(machine.node, owner: alice.account)
        await test.service.hub.membershipChanged()
        try await test.until("sent away") { await test.service.hub.nodeCount == 0 }
        group.cancelAll()
      }
    }
  }
}
