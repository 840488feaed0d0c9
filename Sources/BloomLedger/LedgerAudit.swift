package import BloomBase

/// Recomputes a ledger from its entries alone and compares it with what a store claims.
///
/// Feed every entry in order, then call ``finish(_:)``. Findings are texts for an operator.
package struct LedgerAudit: Sendable {
  /// What is wrong; empty for a ledger that balances.
  ///
  /// At most 1,000 are kept.
  package private(set) var findings: [String] = []
  /// Entries checked.
  package private(set) var entryCount: Int64 = 0
  /// Every balance, recomputed.
  package private(set) var balances: [AccountID: Balance] = [:]

  private let prices: PriceBook
  private let policies: [Int: LedgerPolicy]
  private var lastTime = UnixTime(0)
  private var reservations: [AnswerID: (payer: AccountID, amount: Micros)] = [:]
  private var receipts: Set<Digest> = []

  /// Starts with the histories of prices and policies, which entries refer to.
  package init(prices: [PriceVersion], policies: [AdoptedPolicy]) {
    var book = PriceBook()
    var gaps: [String] = []
    for version in prices where !book.append(version) {
      gaps.append("price version \(version.version) does not follow the one before")
    }
    self.prices = book
    var known = [LedgerPolicy().version: LedgerPolicy()]
    for adopted in policies { known[adopted.policy.policy.version] = adopted.policy.policy }
    self.policies = known
    findings = gaps
  }

  /// Checks one entry; each must have the next number.
  package mutating func check(_ entry: Entry) {
    entryCount += 1
    expect(entry.sequence == entryCount, entry, "has not the next number \(entryCount)")
    expect(entry.time >= lastTime, entry, "is dated before the one before it")
    lastTime = max(lastTime, entry.time)
    let sum = entry.postings.reduce(Micros.zero) { $0 + $1.amount }
    expect(sum == .zero, entry, "does not sum to zero")
    for posting in entry.postings {
      var balance = balances[posting.account] ?? Balance()
      balance[posting.bucket] = balance[posting.bucket] + posting.amount
      balances[posting.account] = balance
    }
    for posting in entry.postings {
      guard !SystemAccount.isReserved(posting.account) || posting.account == Names.replay else {
        continue
      }
      let left = balances[posting.account]?[posting.bucket] ?? .zero
      expect(left >= .zero, entry, "leaves \(posting.account) below zero")
    }
    if entry.kind == .reserve { checkReservation(entry) }
    if entry.kind == .settle { checkSettlement(entry) }
  }

  /// Compares with a store's own balances and open answers.
  package mutating func finish(_ snapshot: LedgerSnapshot) {
    if snapshot.sequence != entryCount {
      add("the store says \(snapshot.sequence) entries, there are \(entryCount)")
    }
    for account in Set(balances.keys).union(snapshot.balances.keys).sorted() {
      let ours = balances[account] ?? Balance()
      let theirs = snapshot.balances[account] ?? Balance()
      if ours != theirs { add("the balance of \(account) differs from its entries") }
    }
    let total = balances.values.reduce(Micros.zero) { $0 + $1.total }
    if total != .zero { add("all balances together are \(total), not zero") }
    for answer in snapshot.answers {
      let reserved = reservations.removeValue(forKey: answer.id)?.amount ?? .zero
      if reserved != answer.reserved { add("open answer \(answer.id) has another reservation") }
    }
    for id in reservations.keys { add("answer \(id) is reserved but neither open nor closed") }
  }

  private mutating func checkReservation(_ entry: Entry) {
    let reserved = entry.postings.filter { $0.bucket == .reserved }
    guard let id = entry.answer, let posting = reserved.first, reserved.count == 1 else {
      return expect(false, entry, "does not reserve for one answer")
    }
    expect(reservations[id] == nil, entry, "reserves twice for one answer")
    reservations[id] = (posting.account, posting.amount)
  }

  private mutating func checkSettlement(_ entry: Entry) {
    guard let id = entry.answer, let record = entry.settlement else {
      return expect(false, entry, "settles no answer")
    }
    let reserved = reservations.removeValue(forKey: id)
    expect((reserved?.amount ?? .zero) == record.reserved, entry, "releases what was not reserved")
    expect(reserved.map { $0.payer == record.payer } ?? true, entry, "is paid by another account")
    expect(record.released >= .zero, entry, "costs more than was reserved")
    guard let policy = policies[record.policyVersion] else {
      return expect(false, entry, "names an unknown policy")
    }
    for line in record.lines { check(line, of: record, policy, entry) }
    var expected: [AccountID: Micros] = [:]
    for line in record.lines {
      expected[line.owner, default: .zero] += line.earned
      expected[Names.fees, default: .zero] += line.fee - line.poolShare
      expected[Names.replay, default: .zero] += line.poolShare - line.replayPaid
    }
    expected[record.payer, default: .zero] -= record.gross
    var actual: [AccountID: Micros] = [:]
    for posting in entry.postings { actual[posting.account, default: .zero] += posting.amount }
    let isEqual =
      expected.filter { $0.value != .zero } == actual.filter { $0.value != .zero }
    expect(isEqual, entry, "moves other sums than its receipts say")
  }

  private mutating func check(
    _ line: SettlementLine, of record: SettlementRecord, _ policy: LedgerPolicy, _ entry: Entry
  ) {
    expect(receipts.insert(line.receipt).inserted, entry, "pays a receipt twice")
    let price = prices.price(
      PriceKey(record.model, record.kind), node: line.node, version: record.priceVersion,
      policy: policy)
    expect(line.price.capped(by: price) == line.price, entry, "charges more than the price table")
    if line.owner == record.payer {
      expect(line.gross == .zero && line.replayPaid == .zero, entry, "pays for an own machine")
    }
    let gross = line.price.cost(
      promptTokens: line.promptTokens, completionTokens: line.completionTokens)
    expect(line.gross == gross, entry, "charges another sum than tokens times price")
    expect(line.fee == policy.fee(of: gross), entry, "keeps another fee than the policy's")
    expect(line.poolShare == policy.poolShare(of: line.fee), entry, "funds the pool otherwise")
    let replay = line.price.cost(
      promptTokens: line.replayedTokens, completionTokens: line.duplicateTokens)
    expect(line.replayPaid <= replay, entry, "pays more for replayed work than it cost")
  }

  private mutating func expect(_ condition: Bool, _ entry: Entry, _ text: String) {
    if !condition { add("entry \(entry.sequence) \(text)") }
  }

  private mutating func add(_ text: String) {
    if findings.count < 1000 { findings.append(text) }
  }
}
