import BloomBase
import BloomLedger
import BloomTestTraits
import Testing

#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

/// Drives a ledger with random interleavings and checks what must hold after every step.
@Suite(.ownThread) struct LedgerPropertyTests {
  @Test func `any interleaving keeps every rule of money`() throws {
    let count: UInt64 = unsafe getenv("DARKBLOOM_DEEP") != nil ? 5000 : 60
    for seed in 1...count {
      var world = World(seed: seed)
      for _ in 0..<300 { try world.step() }
      try world.finish()
    }
  }
}

private struct World {
  let seed: UInt64
  var generator: SeededGenerator
  var ledger = Ledger()
  var now = UnixTime(1_800_000_000)
  var store = LedgerSnapshot()
  var entries: [Entry] = []
  var book = ReferenceBook()
  /// What `book` knew when the store was last written: all that a crash leaves.
  var storedBook = ReferenceBook()
  /// What accounts are shown, as a store adds it up.
  var usage: [UsageKey: Usage] = [:]
  var receipts: [ReceiptFacts] = []
  var open: [AnswerID] = []
  let users = (0..<3).map { name("user-\($0)") }
  let models = (0..<2).map { ModelID(digest($0 + 1)) }

  init(seed: UInt64) {
    self.seed = seed
    generator = SeededGenerator(seed: seed)
  }

  mutating func pick(_ bound: Int) -> Int { Int(generator.next() % UInt64(bound)) }

  mutating func step() throws {
    now = now + Int64(pick(30))
    switch pick(18) {
    case 0: deposit()
    case 1, 2, 3: reserve()
    case 4, 5, 6: receipt()
    case 7: repeatReceipt()
    case 8: admit()
    case 9, 10: close()
    case 11: changePrices()
    case 12: changePolicy()
    case 13: dispute()
    case 14: payOut()
    case 15: moveOn()
    case 16: forge()
    default: crash()
    }
    try check()
  }

  private mutating func apply(_ command: LedgerCommand) -> LedgerOutcome? {
    let before = ledger.balances
    do {
      return try ledger.apply(command, at: now)
    } catch {
      #expect(ledger.balances == before, "seed \(seed): a refused command moved money")
      return nil
    }
  }

  private mutating func deposit() {
    let command = LedgerCommand.deposit(
      key: "k\(pick(40))", users[pick(3)], Micros(Int64(1 + pick(50_000))))
    guard case .posted(let sequence)? = apply(command) else { return }
    #expect(apply(command) == .posted(sequence: sequence), "seed \(seed)")
  }

  private mutating func reserve() {
    let id = open.isEmpty || pick(5) > 0 ? AnswerID(using: &generator) : open[pick(open.count)]
    let terms = Reservation(
      answer: id, payer: users[pick(3)], model: models[pick(2)], kind: .chat,
      maxPromptTokens: pick(1000), maxCompletionTokens: pick(1000),
      ceiling: pick(4) == 0 ? .free : nil, deadline: now + 100)
    guard case .reserved? = apply(.reserve(terms)) else { return }
    book.reserved(terms, under: ledger.policy.policy)
    if !open.contains(id) { open.append(id) }
  }

  private mutating func admit() {
    guard let id = open.last, let answer = ledger.answers[id] else { return }
    admit(
      PartAdmission(
        answer: id, part: answer.parts.count - pick(2), payer: answer.payer,
        model: answer.model, maxCompletionTokens: answer.maxCompletionTokens - pick(8) / 7,
        previousFailed: pick(4) > 0))
  }

  private mutating func admit(_ terms: PartAdmission) {
    if apply(.admitPart(terms)) == .partAdmitted { book.admitted(terms) }
  }

  /// An answer whose machines fail one after the other, each with a receipt.
  private mutating func moveOn() {
    guard !open.isEmpty else { return }
    let id = open[pick(open.count)]
    for _ in 0...pick(4) {
      guard let answer = ledger.answers[id] else { return }
      let part = answer.parts.count - 1
      if answer.parts[part].served == nil {
        let delivered = answer.parts.compactMap { part in
          part.served.map { $0.replayedTokens + $0.completionTokens }
        }
        var facts = facts(answer, part)
        facts.node = NodeID(digest(50 + pick(3)))
        facts.owner = users[pick(3)]
        facts.basePromptTokens = answer.maxPromptTokens / 2
        facts.replayedTokens = delivered.max() ?? 0
        facts.completionTokens = pick(100)
        send(facts)
      }
      admit(
        PartAdmission(
          answer: id, part: part + 1, payer: answer.payer, model: answer.model,
          maxCompletionTokens: answer.maxCompletionTokens, previousFailed: true))
    }
  }

  /// An honest, inflated, misplaced, old or early receipt.
  private mutating func receipt() {
    guard !open.isEmpty, let answer = ledger.answers[open[pick(open.count)]] else { return }
    send(facts(answer, pick(answer.parts.count + pick(2))))
  }

  /// What the part's machine might say next.
  private mutating func facts(_ answer: Answer, _ part: Int) -> ReceiptFacts {
    let known = answer.parts.indices.contains(part) ? answer.parts[part].served : nil
    return ReceiptFacts(
      digest: digest(Int(generator.next() >> 2)),
      node: known?.node ?? NodeID(digest(50 + part)),
      owner: known?.owner ?? users[pick(3)], model: answer.model, answer: answer.id, part: part,
      basePromptTokens: known?.basePromptTokens ?? pick(1100),
      replayedTokens: known?.replayedTokens ?? (part == 0 ? 0 : pick(600)),
      completionTokens: (known?.completionTokens ?? 0) + pick(pick(10) == 0 ? 5000 : 200),
      isFinal: pick(3) == 0, signedAt: now + -Int64(pick(3) * pick(4000)))
  }

  /// A receipt with one field of somebody else's choice.
  private mutating func forge() {
    guard !open.isEmpty, let answer = ledger.answers[open[pick(open.count)]] else { return }
    var forged = facts(answer, pick(answer.parts.count))
    forged.completionTokens += 1
    switch pick(8) {
    case 0: forged.node = NodeID(digest(99))
    case 1: forged.owner = users[pick(3)]
    case 2: forged.owner = SystemAccount.fees.id
    case 3: forged.model = models[pick(2)]
    case 4: forged.answer = AnswerID(using: &generator)
    case 5: forged.completionTokens = pick(2) == 0 ? -1 : .max
    case 6: forged.basePromptTokens += 1
    default: forged.replayedTokens += 1
    }
    send(forged)
  }

  private mutating func repeatReceipt() {
    guard !receipts.isEmpty else { return }
    observe(receipts[pick(receipts.count)])
  }

  private mutating func send(_ facts: ReceiptFacts) {
    receipts.append(facts)
    observe(facts)
  }

  private mutating func observe(_ facts: ReceiptFacts) {
    if case .noted? = apply(.receipt(facts)) { book.accepted(facts, at: now) }
    if pick(6) == 0, case .settled? = apply(.close(facts.answer)) { book.closed(facts.answer) }
  }

  private mutating func close() {
    guard !open.isEmpty else { return }
    let index = pick(open.count)
    if pick(5) == 0 { _ = apply(.reportMismatch(open[index], part: 0)) }
    if case .settled? = apply(.close(open[index])) { book.closed(open[index]) }
    if pick(3) > 0 { open.remove(at: index) }
  }

  private mutating func changePrices() {
    let range = 5_000_000
    guard
      let price = Price(
        promptPerMillion: Int64(pick(range)), completionPerMillion: Int64(pick(range)))
    else { return }
    let key = PriceKey(models[pick(2)], .chat)
    switch pick(6) {
    case 0: change(.fallback(price))
    case 1: change(.list(key, price))
    case 2: change(.node(NodeID(digest(50 + pick(3))), key, nil))
    default: change(.node(NodeID(digest(50 + pick(3))), key, price))
    }
  }

  private mutating func changePolicy() {
    guard pick(3) == 0 else {
      _ = apply(.fundReplay(key: "f\(pick(99))", Micros(Int64(1 + pick(1000)))))
      return
    }
    var policy = ledger.policy.policy
    policy.version += pick(8) == 0 ? 2 : 1
    policy.nodeSharePerMille = 900 + pick(100)
    policy.poolSharePerMille = pick(400)
    policy.replaysPerAnswer = pick(4)
    policy.replayPerDay = Micros(Int64(pick(5) == 0 ? pick(300) : 100_000_000))
    policy.overrideMinPerMille = pick(1000)
    policy.overrideMaxPerMille = 1000 + pick(2000)
    policy.minimumPayout = Micros(Int64(1 + pick(100)))
    if apply(.adoptPolicy(SignedPolicy(policy, signature: [1], signer: "test"))) != nil {
      book.adopted(policy)
    }
  }

  private mutating func change(_ change: PriceChange) {
    if apply(.changePrice(change)) != nil { book.priceChanged(change) }
  }

  private mutating func dispute() {
    collect()
    let settled = entries.filter { $0.settlement?.lines.isEmpty == false }
    if pick(3) > 0, !settled.isEmpty {
      let entry = settled[pick(settled.count)]
      guard let record = entry.settlement else { return }
      _ = apply(
        .openDispute(
          DisputeRequest(
            sequence: entry.sequence, settledAt: entry.time, payer: record.payer,
            line: record.lines[pick(record.lines.count)])))
    }
    if let id = ledger.disputes.keys.sorted(by: { $0.sequence < $1.sequence }).first {
      let refund = pick(2) == 0
      for _ in 0...pick(2) {
        _ = apply(.resolveDispute(sequence: id.sequence, part: id.part, refund: refund))
      }
    }
  }

  private mutating func payOut() {
    let user = users[pick(3)]
    let earned = ledger.balance(of: user).earned.rawValue
    let amount = pick(2) == 0 ? earned : Int64(1 + pick(Int(earned) + 500))
    _ = apply(
      .requestPayout(key: "p\(pick(500))", user, Micros(amount), destination: "bank"))
    if pick(2) == 0, let id = ledger.payouts.keys.sorted().first {
      for _ in 0...pick(2) {
        _ = apply(
          pick(2) == 0 ? .confirmPayout(id, reference: "r") : .rejectPayout(id, reason: "no"))
      }
    }
  }

  /// Writes what changed as a store does.
  private mutating func collect() {
    let changes = ledger.takeChanges()
    entries += changes.entries
    for (key, value) in changes.usage { usage[key, default: Usage()].add(value) }
    store.balances.merge(changes.balances) { $1 }
    store.policies += changes.policies
    store.prices += changes.prices
    var answers = Dictionary(uniqueKeysWithValues: store.answers.map { ($0.id, $0) })
    for (id, answer) in changes.answers { answers[id] = answer }
    store.answers = Array(answers.values)
    var disputes = Dictionary(uniqueKeysWithValues: store.disputes.map { ($0.id, $0) })
    for (id, dispute) in changes.disputes { disputes[id] = dispute }
    store.disputes = Array(disputes.values)
    var payouts = Dictionary(uniqueKeysWithValues: store.payouts.map { ($0.id, $0) })
    for (id, payout) in changes.payouts { payouts[id] = payout.state == .requested ? payout : nil }
    store.payouts = Array(payouts.values)
    store.sequence = entries.last?.sequence ?? 0
    store.time = entries.last?.time ?? UnixTime(0)
    store.recent = entries
    storedBook = book
  }

  /// Goes on from what is stored, through the stored forms; half the time some was not stored.
  private mutating func crash() {
    let losesChanges = pick(2) == 0
    if !losesChanges { collect() }
    book = storedBook
    var read = store
    do {
      read.answers = try store.answers.map { try Answer(packed: $0.packed) }
      read.disputes = try store.disputes.map { try Dispute(packed: $0.packed) }
      read.payouts = try store.payouts.map { try Payout(packed: $0.packed) }
      read.policies = try store.policies.map { try AdoptedPolicy(packed: $0.packed) }
      read.prices = try store.prices.map { try PriceVersion(packed: $0.packed) }
      read.recent = try entries.map {
        try Entry(
          sequence: $0.sequence, time: $0.time, kind: $0.kind.rawValue, reference: $0.reference,
          packed: $0.packed)
      }
    } catch { Issue.record("seed \(seed): a stored form cannot be read") }
    #expect(read == store, "seed \(seed): a stored form differs")
    let again = Ledger(read)
    #expect(
      losesChanges || Self.isSame(again, ledger), "seed \(seed): state after a crash")
    ledger = again
  }

  private static func isSame(_ one: Ledger, _ other: Ledger) -> Bool {
    one.sequence == other.sequence && one.balances == other.balances
      && one.answers == other.answers && one.disputes == other.disputes
      && one.payouts == other.payouts && one.policy == other.policy && one.prices == other.prices
  }

  private func check() throws {
    let total = ledger.balances.values.reduce(Micros.zero) { $0 + $1.total }
    try #require(total == .zero, "seed \(seed): the sum of all is \(total)")
    for user in users {
      let balance = ledger.balance(of: user)
      for bucket in Bucket.allCases {
        try #require(balance[bucket] >= .zero, "seed \(seed): \(user) has a negative balance")
      }
      let reserved = ledger.answers.values.reduce(Micros.zero) {
        $1.payer == user ? $0 + $1.reserved : $0
      }
      try #require(balance.reserved == reserved, "seed \(seed): reservations of \(user) differ")
    }
    try #require(ledger.balance(of: SystemAccount.replay.id).credit >= .zero)
  }

  mutating func finish() throws {
    for id in ledger.answers.keys.sorted(by: { "\($0)" < "\($1)" }) {
      if case .settled? = apply(.close(id)) { book.closed(id) }
    }
    try check()
    collect()
    var audit = LedgerAudit(prices: store.prices, policies: store.policies)
    for entry in entries { audit.check(entry) }
    audit.finish(store)
    try #require(audit.findings == [], "seed \(seed)")
    try #require(book.objections == [], "seed \(seed)")
    try #require(Aftermath(entries).findings == [], "seed \(seed)")
    try checkSettlements()
    try checkUsage()
  }

  private func checkSettlements() throws {
    var settled: Set<AnswerID> = []
    var reserved: [AnswerID: Micros] = [:]
    var pool = ReplayPool()
    for entry in entries {
      defer { pool.add(entry) }
      guard let id = entry.answer else { continue }
      for posting in entry.postings where posting.bucket == .reserved {
        reserved[id, default: .zero] += posting.amount
      }
      guard entry.kind == .settle else { continue }
      try #require(settled.insert(id).inserted, "seed \(seed): an answer is settled twice")
      try #require(book.findings(entry, pool) == [], "seed \(seed)")
      let record = try #require(entry.settlement)
      try #require(record.gross <= record.reserved, "seed \(seed): paid beyond the reservation")
    }
    for (id, amount) in reserved {
      try #require(amount == .zero, "seed \(seed): reservation of \(id) is released otherwise")
    }
  }

  /// What users and owners are shown is what was posted.
  private func checkUsage() throws {
    for user in users {
      var shown = Micros.zero
      for (key, usage) in usage where key.account == user {
        shown +=
          key.role == .owner ? usage.gross - usage.fee + usage.replayPaid : .zero - usage.gross
      }
      var paid = Micros.zero
      for entry in entries where entry.kind == .settle {
        for posting in entry.postings where posting.account == user { paid += posting.amount }
      }
      try #require(shown == paid, "seed \(seed): \(user) is shown \(shown), paid \(paid)")
    }
  }
}

private func name(_ text: String) -> AccountID {
  guard let account = AccountID(text) else { fatalError("bad account name") }
  return account
}

private func digest(_ number: Int) -> Digest {
  var generator = SeededGenerator(seed: UInt64(number))
  guard let digest = Digest((0..<4).flatMap { _ in KeyID(generator.next()).bytes }) else {
    fatalError("32 bytes are a digest")
  }
  return digest
}
