import BloomBase
import BloomLedger
import Testing

@Suite struct LedgerTests {
  private let now = UnixTime(1_800_000_000)
  private let model = ModelID(.zero)
  private let id: AnswerID
  private let user: AccountID
  private let first: AccountID
  private let second: AccountID
  private var ledger = Ledger()

  /// 1 micro a prompt token and 2 a completion token; the user has 10,000, the pool 1,000.
  init() throws {
    id = try #require(AnswerID([UInt8](repeating: 1, count: 16)))
    user = try #require(AccountID("user"))
    first = try #require(AccountID("first"))
    second = try #require(AccountID("second"))
    let price = try #require(Price(promptPerMillion: 1_000_000, completionPerMillion: 2_000_000))
    _ = try ledger.apply(.changePrice(.fallback(price)), at: now)
    _ = try ledger.apply(.deposit(key: "d", user, Micros(10_000)), at: now)
    _ = try ledger.apply(.fundReplay(key: "f", Micros(1000)), at: now)
  }

  private mutating func reserve(_ prompt: Int, _ completion: Int) throws {
    _ = try ledger.apply(
      .reserve(
        Reservation(
          answer: id, payer: user, model: model, kind: .chat, maxPromptTokens: prompt,
          maxCompletionTokens: completion, deadline: now + 60)), at: now)
  }

  private mutating func receipt(
    _ part: Int, _ owner: AccountID, replayed: Int = 0, _ completion: Int,
    node: NodeID = NodeID(.zero)
  ) throws -> LedgerOutcome {
    let seed = UInt8(part * 16 + completion % 16)
    let digest = try #require(Digest([UInt8](repeating: seed, count: 32)))
    return try ledger.apply(
      .receipt(
        ReceiptFacts(
          digest: digest, node: node, owner: owner, model: model, answer: id,
          part: part, basePromptTokens: 100, replayedTokens: replayed,
          completionTokens: completion, isFinal: false, signedAt: now)), at: now)
  }

  private mutating func admit(_ part: Int, seen: Bool = true) throws {
    _ = try ledger.apply(
      .admitPart(
        PartAdmission(
          answer: id, part: part, payer: user, model: model, maxCompletionTokens: 1000,
          previousFailed: seen)), at: now)
  }

  @Test mutating func `the user pays 95 percent to the owner and 5 to the platform`() throws {
    try reserve(100, 1000)
    #expect(ledger.balance(of: user).reserved == Micros(4200))
    #expect(try receipt(0, first, 450) == .noted(micros: Micros(1000)))
    let outcome = try ledger.apply(.close(id), at: now)
    #expect(
      outcome == .settled(sequence: ledger.sequence, paid: Micros(1000), released: Micros(3200)))
    #expect(ledger.balance(of: user).credit == Micros(9000))
    #expect(ledger.balance(of: user).reserved == .zero)
    #expect(ledger.balance(of: first).earned == Micros(950))
    #expect(ledger.balance(of: SystemAccount.replay.id).credit == Micros(1010))
    #expect(ledger.balance(of: SystemAccount.fees.id).credit == Micros(-1000 + 40))
  }

  @Test mutating func `a continued answer is paid once and its replay by the pool`() throws {
    try reserve(100, 1000)
    _ = try receipt(0, first, 64)
    try admit(1)
    _ = try receipt(1, second, replayed: 64, 36)
    // The lost part reports ten tokens more, which the second had delivered already.
    _ = try receipt(0, first, 74)
    let outcome = try ledger.apply(.close(id), at: now)
    let paid = Micros(100 + 200)
    #expect(
      outcome == .settled(sequence: ledger.sequence, paid: paid, released: Micros(4200) - paid))
    let lines = try #require(ledger.takeChanges().entries.last?.settlement?.lines)
    #expect(lines.map(\.completionTokens) == [64, 36])
    #expect(lines.map(\.promptTokens) == [100, 0])
    #expect(lines.map(\.duplicateTokens) == [10, 0])
    #expect(lines.map(\.replayPaid) == [Micros(20), Micros(164)])
  }

  @Test mutating func `one's own machine is free and takes nothing from the pool`() throws {
    try reserve(100, 1000)
    _ = try receipt(0, user, 64)
    try admit(1)
    _ = try receipt(1, user, replayed: 64, 36)
    let outcome = try ledger.apply(.close(id), at: now)
    #expect(
      outcome == .settled(sequence: ledger.sequence, paid: .zero, released: Micros(4200)))
    #expect(ledger.balance(of: user).available == Micros(10_000))
    #expect(ledger.balance(of: SystemAccount.replay.id).credit == Micros(1000))
  }

  @Test mutating func `an inflated receipt is capped by the class and held`() throws {
    try reserve(100, 1000)
    _ = try receipt(0, first, 5000)
    _ = try ledger.apply(.close(id), at: now)
    #expect(ledger.balance(of: user).credit == Micros(10_000 - 2100))
    #expect(ledger.balance(of: first).earned == .zero)
    #expect(ledger.balance(of: first).held == Micros(1995))
    #expect(ledger.disputes.count == 1)
  }

  @Test mutating func `the pool pays for two replays of an answer and no more`() throws {
    try reserve(100, 1000)
    _ = try receipt(0, first, 10)
    for part in 1...4 {
      try admit(part)
      _ = try receipt(part, second, replayed: part * 10, 10)
    }
    _ = try ledger.apply(.close(id), at: now)
    let lines = try #require(ledger.takeChanges().entries.last?.settlement?.lines)
    #expect(lines.map(\.completionTokens) == [10, 10, 10, 10, 10])
    #expect(lines.map(\.replayedTokens) == [0, 110, 120, 130, 140])
    #expect(lines.map(\.replayPaid.rawValue) == [0, 110, 120, 0, 0])
  }

  @Test mutating func `a part without a token bears out nobody's history`() throws {
    try reserve(100, 1000)
    _ = try receipt(0, first, 10)
    try admit(1)
    _ = try receipt(1, second, replayed: 500, 0)
    try admit(2)
    _ = try receipt(2, second, replayed: 500, 10)
    _ = try ledger.apply(.close(id), at: now)
    let lines = try #require(ledger.takeChanges().entries.last?.settlement?.lines)
    // The ten tokens of the first part, and the prompt.
    #expect(lines.last?.replayedTokens == 110)
  }

  @Test mutating func `the pool pays no more in a day than the policy allows`() throws {
    var policy = LedgerPolicy()
    policy.version = 2
    policy.replayPerDay = Micros(150)
    _ = try ledger.apply(
      .adoptPolicy(SignedPolicy(policy, signature: [1], signer: "test")), at: now)
    try reserve(100, 1000)
    _ = try receipt(0, first, 10)
    for part in 1...2 {
      try admit(part)
      _ = try receipt(part, second, replayed: part * 10, 10)
    }
    _ = try ledger.apply(.close(id), at: now)
    let lines = try #require(ledger.takeChanges().entries.last?.settlement?.lines)
    #expect(lines.map(\.replayPaid.rawValue) == [0, 110, 40])
  }

  @Test mutating func `another machine's receipt does not count for a part`() throws {
    try reserve(100, 1000)
    _ = try receipt(0, first, 10)
    let digest = try #require(Digest([UInt8](repeating: 9, count: 32)))
    #expect(throws: LedgerError.wrongNode) { try receipt(0, first, 20, node: NodeID(digest)) }
    #expect(throws: LedgerError.wrongNode) { try receipt(0, second, 20) }
    _ = try ledger.apply(.close(id), at: now)
    let lines = try #require(ledger.takeChanges().entries.last?.settlement?.lines)
    #expect(lines.map(\.completionTokens) == [10])
  }

  @Test(arguments: ["", "a\u{0}", String(repeating: "a", count: 129)])
  mutating func `a key that not every database can keep is refused`(key: String) throws {
    #expect(throws: LedgerError.badText) {
      try ledger.apply(.deposit(key: key, user, Micros(1)), at: now)
    }
  }

  @Test mutating func `held money and credit are not paid out`() throws {
    var policy = LedgerPolicy()
    policy.version = 2
    policy.minimumPayout = Micros(100)
    _ = try ledger.apply(
      .adoptPolicy(SignedPolicy(policy, signature: [1], signer: "test")), at: now)
    _ = try ledger.apply(.deposit(key: "own", first, Micros(5000)), at: now)
    try reserve(100, 1000)
    _ = try receipt(0, first, 450)
    _ = try ledger.apply(.reportMismatch(id, part: 0), at: now)
    _ = try ledger.apply(.close(id), at: now)
    #expect(ledger.balance(of: first).held == Micros(950))
    for account in [first, user] {
      #expect(throws: LedgerError.insufficientEarnings) {
        try ledger.apply(
          .requestPayout(key: "p", account, Micros(100), destination: "bank"), at: now)
      }
    }
    let line = try #require(ledger.disputes.keys.first)
    _ = try ledger.apply(
      .resolveDispute(sequence: line.sequence, part: line.part, refund: false), at: now)
    let request = LedgerCommand.requestPayout(key: "p", first, Micros(950), destination: "bank")
    #expect(try ledger.apply(request, at: now) == .posted(sequence: ledger.sequence))
    #expect(ledger.balance(of: first).payout == Micros(950))
    #expect(ledger.balance(of: first).credit == Micros(5000))
  }

  /// Its price of completion tokens, list price 2,000,000, and what 100 + 500 tokens cost then.
  @Test(arguments: [(1_000_000, 600), (2, 350), (18_000_000, 2100)])
  mutating func `a machine's own price counts within what the policy allows`(
    own: Int64, cost: Int64
  ) throws {
    let price = try #require(Price(promptPerMillion: 1_000_000, completionPerMillion: own))
    let key = PriceKey(model, .chat)
    _ = try ledger.apply(.changePrice(.node(NodeID(.zero), key, price)), at: now)
    try reserve(100, 1000)
    #expect(try receipt(0, first, 500) == .noted(micros: Micros(cost)))
    // It was in force when the answer began; the next prices are for the next answers.
    _ = try ledger.apply(.changePrice(.node(NodeID(.zero), key, nil)), at: now)
    _ = try ledger.apply(.changePrice(.fallback(.free)), at: now)
    let outcome = try ledger.apply(.close(id), at: now)
    #expect(
      outcome
        == .settled(sequence: ledger.sequence, paid: Micros(cost), released: Micros(4200 - cost)))
  }

  @Test mutating func `a part is refused while the one before is healthy`() throws {
    try reserve(100, 1000)
    #expect(throws: LedgerError.previousPartHealthy) { try admit(1, seen: false) }
    #expect(throws: LedgerError.partOutOfOrder) { try admit(2) }
    try admit(1)
    try admit(2)
    #expect(throws: LedgerError.partExists, "the gateway counts up") { try admit(1) }
    _ = try ledger.apply(.close(id), at: now)
    #expect(throws: LedgerError.answerClosed) { try admit(3) }
    #expect(throws: LedgerError.answerClosed) { try reserve(100, 1000) }
  }

  @Test mutating func `a worst case beyond the credit is refused`() throws {
    #expect(throws: LedgerError.insufficientCredit) { try reserve(100, 10_000) }
    #expect(ledger.balance(of: user).reserved == .zero)
  }

  @Test func `a policy is read only in the form it was signed in`() {
    let policy = LedgerPolicy()
    #expect(LedgerPolicy(signedBytes: policy.signedBytes) == policy)
    #expect(LedgerPolicy(signedBytes: policy.signedBytes + [10]) == nil)
    #expect(LedgerPolicy(signedBytes: []) == nil)
  }

  @Test func `an entry that was tampered with is found`() throws {
    var changed = ledger
    var entries = changed.takeChanges().entries
    entries[0].postings[0] = Posting(user, .credit, Micros(10_001))
    var audit = LedgerAudit(prices: [], policies: [])
    for entry in entries { audit.check(entry) }
    #expect(audit.findings.contains { $0.contains("does not sum to zero") })
  }

  @Test func `limits fit together`() {
    #expect(LedgerLimits.receiptAgeSeconds > 70 * 60)
    #expect(LedgerLimits.closedAnswerSeconds > LedgerLimits.receiptAgeSeconds)
    #expect(LedgerLimits.disputeSeconds < LedgerLimits.keySeconds)
  }
}
