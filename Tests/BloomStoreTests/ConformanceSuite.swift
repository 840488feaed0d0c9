import BloomBase
import BloomLedger
import BloomStore
import Testing

/// What every backend must do; run on each of them.
struct ConformanceSuite {
  /// Opens the same stored ledger each time it is called.
  let backend: @Sendable () async throws -> any StoreBackend
  let clock = TestClock()
  let model = ModelID(digest(1))
  let user = account("user")
  let owner = account("owner")

  func open() async throws -> LedgerStore {
    try await LedgerStore.open(try await backend(), clock: clock)
  }

  func reservation(_ number: UInt64) -> Reservation {
    Reservation(
      answer: answer(number), payer: user, model: model, kind: .chat, maxPromptTokens: 1000,
      maxCompletionTokens: 1000, deadline: clock.unixTime() + 60)
  }

  func facts(_ number: UInt64, _ completion: Int) -> ReceiptFacts {
    ReceiptFacts(
      digest: digest(number), node: NodeID(digest(2)), owner: owner, model: model,
      answer: answer(number), part: 0, basePromptTokens: 1000, replayedTokens: 0,
      completionTokens: completion, isFinal: true, signedAt: clock.unixTime(),
      proof: [UInt8](repeating: UInt8(truncatingIfNeeded: completion), count: 40))
  }

  func run() async throws {
    try await moneySurvivesReopening()
    try await rowsAreWrittenUnderConditions()
    try await manyWritersShareCommits()
    try await readsHoldWhatMemoryTold()
    try await onlyTheNewestWriterWrites()
  }

  private func moneySurvivesReopening() async throws {
    let store = try await open()
    let price = Price(promptPerMillion: 1_000_000, completionPerMillion: 2_000_000)
    try await store.apply(.changePrice(.fallback(try #require(price))))
    try await store.apply(.deposit(key: "d1", user, Micros(1_000_000)))
    try await store.apply(.deposit(key: "d1", user, Micros(1_000_000)))
    try await store.apply(.reserve(reservation(10)))
    try await store.apply(.reserve(reservation(11)))
    try await store.apply(.receipt(facts(11, 5)))
    let settled = try await store.settle(facts(10, 500))
    await #expect(throws: LedgerError.keyReused) {
      try await store.apply(.deposit(key: "d1", user, Micros(2)))
    }
    let before = store.balance(of: user)
    await store.close()

    let again = try await open()
    #expect(again.balance(of: user) == before)
    #expect(again.read { $0.answers[answer(11)]?.parts.first?.served?.completionTokens } == 5)
    guard case .settled(let sequence, let paid, _) = settled else {
      Issue.record("not settled: \(settled)")
      return
    }
    #expect(paid == Micros(2000))
    let repeated = try await again.settle(facts(10, 900))
    #expect(repeated == .alreadySettled(sequence: sequence, paid: paid))
    let first = try await again.apply(.deposit(key: "d1", user, Micros(1_000_000)))
    #expect(first == .posted(sequence: 1))

    try await again.apply(.close(answer(11)))
    let period = UnixTime(0)..<(clock.unixTime() + 1)
    let earned = try await again.statement(of: owner, in: period)
    #expect(earned.lines.map(\.gross) == [Micros(2000), Micros(1010)])
    #expect(earned.change == again.balance(of: owner).total)
    #expect(earned.earnedByNode == [NodeID(digest(2)): earned.change])
    let spent = try await again.statement(of: user, in: period)
    #expect(spent.change == again.balance(of: user).total)
    #expect(spent.lines.allSatisfy { $0.node == nil })
    #expect(spent.csv().split(separator: "\r\n").count == spent.lines.count + 1)
    #expect(try await again.statement(of: user, in: UnixTime(0)..<UnixTime(5)).lines.isEmpty)

    let pages = try await [
      again.statement(of: user, in: period, limit: 2),
      again.statement(of: user, in: period, after: spent.lines[1].sequence),
    ]
    #expect(pages.flatMap(\.lines) == spent.lines)

    let day = Int32(clock.unixTime().seconds / 86400)
    let usage = try await again.usage(of: owner, days: day...day)
    #expect(usage.values.map(\.completionTokens) == [505])
    #expect(usage.values.map(\.answers) == [2])

    try await again.openDispute(sequence: sequence, part: 0, payer: user)
    #expect(again.balance(of: owner).held == Micros(1900))
    try await again.apply(.resolveDispute(sequence: sequence, part: 0, refund: true))
    #expect(again.balance(of: user).total == Micros(1_000_000 - 1010))
    for account in [user, owner] {
      let summary = try await again.summary(of: account, days: (day - 1)...(day + 1))
      let statement = try await again.statement(of: account, in: period)
      #expect(summary.change == statement.change)
      #expect(summary.change == again.balance(of: account).total)
      #expect(summary.earned == statement.earned)
      #expect(summary.earnedByNode == statement.earnedByNode)
      #expect(
        summary.csv().split(separator: "\r\n").count
          == 1 + summary.lines.count + summary.movements.count)
      #expect(summary.json().contains("\"change_micros\":\(summary.change.rawValue),"))
      let before = try await again.summary(of: account, days: 0...(day - 1))
      #expect(before.lines.isEmpty && before.movements.isEmpty)
    }
    await #expect(throws: LedgerError.notDisputable) {
      try await again.openDispute(sequence: sequence, part: 0, payer: owner)
    }
    // Long after memory forgot the answer, its entry is found by who paid.
    clock.advance(LedgerLimits.closedAnswerSeconds + 60)
    try await again.apply(.deposit(key: "d1", user, Micros(1_000_000)))
    #expect(again.read { $0.closing(of: answer(10)) } == nil)
    let ended = clock.unixTime() + -LedgerLimits.closedAnswerSeconds
    let found = try await again.settlement(of: answer(10), payer: user, ended: ended)
    #expect(found?.sequence == sequence)
    let stranger = try await again.settlement(of: answer(10), payer: owner, ended: ended)
    #expect(stranger == nil)
    await again.close()
    #expect(try await backend().verify().findings == [])
    try await receiptsAreKept(sequence)
  }

  /// Two settlements were made, of 500 tokens (244 in a byte) and of 5; the latter from a receipt
  /// noted before.
  private func receiptsAreKept(_ sequence: Int64) async throws {
    let backend = try await backend()
    let proofs = try await backend.proofs(1...1000)
    #expect(proofs.count == 2)
    #expect(proofs.values.compactMap(\.first).sorted() == [5, 244])
    let first = try await backend.proofs(sequence...sequence)
    #expect(first.keys.map(\.sequence) == [sequence])
    let before = try await backend.proofs(1...(sequence - 1))
    #expect(before.isEmpty)
  }

  /// Nobody waits for these closings: each read has to.
  private func readsHoldWhatMemoryTold() async throws {
    let store = try await open()
    let day = Int32(clock.unixTime().seconds / 86_400)
    let period = UnixTime(0)..<(clock.unixTime() + 1)
    func spent() async throws -> Micros {
      .zero - (try await store.summary(of: user, days: day...day).change)
    }
    func close(_ number: UInt64) throws -> Int64 {
      _ = try store.submit(.reserve(reservation(number)))
      let outcome = try store.submitSettling(facts(number, 7)).outcome
      guard case .settled(let sequence, _, _) = outcome else {
        Issue.record("not settled: \(outcome)")
        return 0
      }
      return sequence
    }
    var sequence = try close(3000)
    #expect(try await store.entry(sequence)?.answer == answer(3000))
    sequence = try close(3001)
    let found = try await store.settlement(
      of: answer(3001), payer: user, ended: clock.unixTime())
    #expect(found?.sequence == sequence)
    sequence = try close(3002)
    #expect(try await store.statement(of: user, in: period).lines.last?.sequence == sequence)
    let before = (store.balance(of: user).total, try await spent())
    _ = try close(3003)
    let paid = before.0 - store.balance(of: user).total
    #expect(paid > .zero)
    #expect(try await spent() - before.1 == paid)
    #expect(try await store.entry(sequence + 1_000) == nil)
    await store.close()
  }

  private func rowsAreWrittenUnderConditions() async throws {
    let store = try await open()
    let code = DeviceCodeRecord(
      hash: digest(5), userCode: "ABCD", subject: [1], expires: clock.unixTime() + 10)
    let key = APIKeyRecord(
      hash: digest(6), account: user, name: "laptop", createdAt: clock.unixTime())
    try await store.write([.put(code, if: .absent), .put(key, if: .absent)])
    await #expect(throws: StoreError(.conflict, "record")) {
      try await store.write([.put(code, if: .absent)])
    }
    #expect(store.list(APIKeyRecord.self, group: "user") == [key])
    // Of two who redeem the same code one succeeds, and only that one mints a key.
    let second = APIKeyRecord(
      hash: digest(7), account: user, name: "phone", createdAt: clock.unixTime())
    try await store.write([.delete(code), .put(second)])
    await #expect(throws: StoreError(.conflict, "record")) {
      try await store.write([.delete(code), .put(second)])
    }
    let statement = KeyStatementRecord(
      digest: digest(8), bytes: [1, 2, 3], expires: clock.unixTime() + 10)
    try await store.write([.put(statement)])
    #expect(try await store.fetch(KeyStatementRecord.self, statement.id) == statement)
    await store.close()

    let again = try await open()
    #expect(again.get(DeviceCodeRecord.self, code.id) == nil)
    #expect(Set(again.list(APIKeyRecord.self)) == [key, second])
    clock.advance(20)
    try await again.deleteExpired()
    #expect(try await again.fetch(KeyStatementRecord.self, statement.id) == nil)
    #expect(try await backend().proofs(1...1000).count == 2)
    clock.advance(LedgerLimits.proofSeconds + 1)
    try await again.deleteExpired()
    #expect(try await backend().proofs(1...1000).isEmpty)
    await again.close()
  }

  private func manyWritersShareCommits() async throws {
    let store = try await open()
    try await withThrowingTaskGroup(of: Void.self) { group in
      for number in UInt64(100)..<200 {
        group.addTask {
          try await store.apply(.deposit(key: "many-\(number)", user, Micros(10_000)))
          try await store.apply(.reserve(reservation(number)))
          try await store.settle(facts(number, Int(number)))
        }
      }
      try await group.waitForAll()
    }
    let (balances, entries) = store.read { ($0.balances, $0.sequence) }
    #expect(balances.values.reduce(Micros.zero) { $0 + $1.total } == .zero)
    await store.close()
    let audit = try await backend().verify()
    #expect(audit.findings == [])
    #expect(audit.entryCount == entries)
    #expect(audit.balances == balances)
  }

  private func onlyTheNewestWriterWrites() async throws {
    let first = try await backend()
    guard !(first is MemoryBackend) else { return }
    let old = try await LedgerStore.open(first, clock: clock)
    try await old.apply(.grant(key: "g1", user, Micros(5)))
    let new = try await LedgerStore.open(try await backend(), clock: clock)
    try await new.apply(.grant(key: "g2", user, Micros(5)))
    await #expect(throws: StoreError.self) {
      try await old.apply(.grant(key: "g3", user, Micros(5)))
    }
    await old.close()
    await new.close()
    #expect(try await backend().verify().findings == [])
  }
}
