import BloomBase
import BloomClient
import BloomCoordinator
import BloomLedger
import BloomRecords
import BloomSchedule
import BloomStore
import BloomWire
import Testing

@Suite(.serialized) struct KeyLimitTests {
  /// Asks with a key of these limits; `nil` for an answer.
  private static func expect(
    _ expected: Reason?, _ test: TestCoordinator, _ node: FakeNode, _ limits: KeyLimits,
    _ constraints: Routing.Constraints = Routing.Constraints()
  ) async throws {
    var refused: Reason?
    let client = try await test.client(limits)
    do {
      let outcome = try await test.ask(
        try test.seal(to: [node.machine], constraints), using: client)
      #expect(outcome.isFinished)
    } catch let refusal as CoordinatorClient.Refusal {
      refused = refusal.reason
    }
    #expect(refused == expected)
  }

  @Test func `a key is void after its end`() async throws {
    try await withCoordinator([.answer(tokens: 1)]) { test, nodes in
      let now = SystemTime().unixTime()
      try await Self.expect(.keyExpired, test, nodes[0], KeyLimits(expires: now + -1))
      try await Self.expect(nil, test, nodes[0], KeyLimits(expires: now + 600))
    }
  }

  @Test func `a revoked key and a blocked account are refused, each with its reason`()
    async throws
  {
    try await withCoordinator([.answer(tokens: 1)]) { test, nodes in
      let accounts = Accounts(store: test.store)
      let now = SystemTime().unixTime()
      let key = try await accounts.addKey(for: test.user, name: "k", now: now)
      try await accounts.revoke(key.record.label, of: test.user, now: now)
      await #expect(throws: CoordinatorClient.Refusal(reason: .unauthorized)) {
        try await test.ask(
          try test.seal(newAnswer(), to: [nodes[0].machine]), using: test.client(key: key.text))
      }
      await #expect(throws: AccountError.self) {
        try await accounts.revoke(key.record.label, of: test.user, now: now)
      }
      _ = try await accounts.block("user", reason: "unpaid")
      await #expect(throws: CoordinatorClient.Refusal(reason: .notAllowed)) {
        try await test.ask(try test.seal(newAnswer(), to: [nodes[0].machine]))
      }
    }
  }

  @Test func `a key asks its models only`() async throws {
    try await withCoordinator([.answer(tokens: 1)]) { test, nodes in
      try await Self.expect(.notAllowed, test, nodes[0], KeyLimits(models: [ModelID(.zero)]))
      try await Self.expect(nil, test, nodes[0], KeyLimits(models: [Machine.model]))
    }
  }

  @Test func `a key begins no more answers in a minute than it may`() async throws {
    try await withCoordinator([.answer(tokens: 1)]) { test, nodes in
      let client = try await test.client(KeyLimits(requestsPerMinute: 2))
      // What was refused is not counted.
      await #expect(throws: CoordinatorClient.Refusal(reason: .staleKey)) {
        try await test.ask(
          try test.seal(newAnswer(), to: [try Machine(seed: 99)]), using: client)
      }
      for _ in 0..<2 {
        let sealed = try test.seal(newAnswer(), to: [nodes[0].machine])
        #expect(try await test.ask(sealed, using: client).isFinished)
      }
      await #expect(throws: CoordinatorClient.Refusal(reason: .rateLimited)) {
        try await test.ask(
          try test.seal(newAnswer(), to: [nodes[0].machine]), using: client)
      }
      // Another key of the same account has its own pace.
      #expect(try await test.ask(try test.seal(newAnswer(), to: [nodes[0].machine])).isFinished)
    }
  }

  @Test func `a key spends no more than its bound, and the account keeps its money`()
    async throws
  {
    try await withCoordinator([.answer(tokens: 20)]) { test, nodes in
      let before = test.store.balance(of: test.user)
      let bounds = [KeyLimits(perDay: Micros(60)), KeyLimits(perMonth: Micros(60))]
      for limits in bounds {
        try await Self.expect(.spendLimit, test, nodes[0], limits)
      }
      #expect(test.store.balance(of: test.user) == before)
      let accounts = Accounts(store: test.store)
      let limits = KeyLimits(perDay: Micros(1_000_000), perMonth: Micros(2_000_000))
      let now = SystemTime().unixTime()
      let key = try await accounts.addKey(for: test.user, name: "k", limits: limits, now: now)
      for count in 1...2 {
        let sealed = try test.seal(newAnswer(), to: [nodes[0].machine])
        #expect(try await test.ask(sealed, using: test.client(key: key.text)).isFinished)
        let spend = try #require(accounts.spend(of: key.record, now: now))
        #expect(spend.daySpent == Micros(Int64(52 * count)))
        #expect(spend.monthSpent == Micros(Int64(52 * count)))
        #expect(spend.pending == .zero)
      }
    }
  }

  @Test func `what waits for a gateway's word is there for its key's next answer`() async throws {
    try await withCoordinator([.answer(tokens: 1)]) { test, nodes in
      // Enough for one answer at its worst and for what five cost.
      let client = try await test.client(KeyLimits(perDay: Micros(20_000)))
      for _ in 0..<5 {
        let sealed = try test.seal(newAnswer(), to: [nodes[0].machine])
        #expect(try await test.ask(sealed, using: client, acknowledging: false).isFinished)
      }
      let waiting = test.store.balance(of: test.user).reserved
      #expect((Micros(10_001)...Micros(20_000)).contains(waiting), "one answer is open")
    }
  }

  @Test func `what was set aside when a coordinator died counts as spent`() async throws {
    let now = SystemTime().unixTime()
    let user = try #require(AccountID("user"))
    let key = Accounts.makeKey(
      for: user, name: "k", limits: KeyLimits(perDay: Micros(1_000_000)), now: now)
    let fresh = try #require(
      Accounts(store: try await LedgerStore.open(MemoryBackend(), clock: SystemTime()))
        .spend(of: key.record, now: now))
    var row = fresh
    row.pending = Micros(999_990)
    let rows: [RecordChange] = [.put(key.record), .put(row)]
    try await withCoordinator([.answer(tokens: 1)], records: rows) { test, nodes in
      let accounts = Accounts(store: test.store)
      #expect(accounts.spend(of: key.record, now: now)?.daySpent == Micros(999_990))
      #expect(accounts.spend(of: key.record, now: now)?.pending == .zero)
      await #expect(throws: CoordinatorClient.Refusal(reason: .spendLimit)) {
        try await test.ask(
          try test.seal(newAnswer(), to: [nodes[0].machine]), using: test.client(key: key.text))
      }
    }
  }

  @Test func `sums of days and months that are over are gone`() async throws {
    let store = try await LedgerStore.open(MemoryBackend(), clock: SystemTime())
    let accounts = Accounts(store: store)
    let user = try #require(AccountID("user"))
    // 2024-02-29T12:00:00Z.
    let leapDay = UnixTime(1_709_208_000)
    let key = try await accounts.addKey(
      for: user, name: "k", limits: KeyLimits(perDay: Micros(1)), now: leapDay)
    var row = try #require(accounts.spend(of: key.record, now: leapDay))
    (row.daySpent, row.monthSpent) = (Micros(5), Micros(7))
    try await store.write([.put(row)])
    let sameDay = try #require(accounts.spend(of: key.record, now: leapDay + 43_199))
    #expect((sameDay.daySpent, sameDay.monthSpent) == (Micros(5), Micros(7)))
    let march = try #require(accounts.spend(of: key.record, now: leapDay + 43_200))
    #expect((march.daySpent, march.monthSpent) == (.zero, .zero))
    let yesterday = try #require(accounts.spend(of: key.record, now: leapDay + -86_400))
    #expect((yesterday.daySpent, yesterday.monthSpent) == (.zero, Micros(7)))
  }

  @Test func `a key's region and tier bind every request`() async throws {
    try await withCoordinator([.answer(tokens: 1), .answer(tokens: 1)]) { test, nodes in
      try await test.own(nodes[1].machine, test.owner, region: "eu")
      await test.service.hub.membershipChanged()
      let eu = KeyLimits(region: "eu")
      try await Self.expect(.constraintUnmet, test, nodes[0], eu)
      try await Self.expect(nil, test, nodes[1], eu)
      try await Self.expect(.notAllowed, test, nodes[1], eu, .init(region: "us"))
      try await Self.expect(.constraintUnmet, test, nodes[1], KeyLimits(minimumTier: 3))
    }
  }
}
