import BloomBase
import BloomLedger

/// What must be paid, computed the slow and obvious way: one token at a time, in plain integers.
///
/// Shares no arithmetic with the ledger, so that an error there is not repeated here.
struct ReferenceBook {
  private struct Part {
    var start: Int
    var count: Int
    var isFinal: Bool
    var base: Int
    let node: NodeID
    let owner: AccountID
    var charged = 0
    var duplicates = 0
  }
  private struct Known {
    let terms: Reservation
    let priceVersion: Int
    let policy: LedgerPolicy
    var admitted = 1
    var isClosed = false
    var parts: [Int: Part] = [:]
    /// Which parts delivered a position.
    var delivered: [Int: Set<Int>] = [:]
    var charged = 0
    var promptPart: Int?
  }
  private var answers: [AnswerID: Known] = [:]
  private var changes: [PriceChange] = []
  private var policies = [1: LedgerPolicy()]
  /// What the ledger accepted and should not have.
  private(set) var objections: [String] = []

  mutating func reserved(_ terms: Reservation, under policy: LedgerPolicy) {
    if answers[terms.answer] == nil {
      answers[terms.answer] = Known(terms: terms, priceVersion: changes.count, policy: policy)
    }
  }

  mutating func admitted(_ terms: PartAdmission) {
    let known = answers[terms.answer]
    object(
      known?.isClosed != false || known?.terms.payer != terms.payer
        || known?.terms.model != terms.model, "a part was admitted under other terms")
    answers[terms.answer]?.admitted = terms.part + 1
  }

  mutating func closed(_ answer: AnswerID) {
    object(answers[answer]?.isClosed != false, "an answer was closed that is not open")
    answers[answer]?.isClosed = true
  }

  mutating func priceChanged(_ change: PriceChange) { changes.append(change) }

  mutating func adopted(_ policy: LedgerPolicy) {
    object(policies[policy.version - 1] == nil, "a policy's number was skipped")
    policies[policy.version] = policy
  }

  private mutating func object(_ condition: Bool, _ text: String) {
    if condition { objections.append(text) }
  }

  /// Counts a receipt the ledger has accepted.
  mutating func accepted(_ facts: ReceiptFacts, at now: UnixTime) {
    guard var known = answers[facts.answer] else {
      return object(true, "a receipt of an unknown answer was accepted")
    }
    object(known.isClosed, "a receipt of a closed answer was accepted")
    object(facts.model != known.terms.model, "a receipt of another model was accepted")
    object(!(0..<known.admitted).contains(facts.part), "a receipt of no part was accepted")
    object(facts.signedAt.seconds < now.seconds - 7200, "an old receipt was accepted")
    var part =
      known.parts[facts.part]
      ?? Part(
        start: facts.replayedTokens, count: 0, isFinal: false, base: facts.basePromptTokens,
        node: facts.node, owner: facts.owner)
    let isFirst = known.parts[facts.part] == nil
    object(part.node != facts.node, "another machine's receipt was accepted")
    object(part.owner != facts.owner, "another owner's receipt was accepted")
    object(
      part.start != facts.replayedTokens || part.base != facts.basePromptTokens,
      "a receipt that contradicts an earlier one was accepted")
    guard isFirst || !part.isFinal && facts.completionTokens >= part.count else { return }
    for position in (part.start + part.count)..<(part.start + facts.completionTokens) {
      if known.delivered[position, default: []].isEmpty {
        if known.charged < known.terms.maxCompletionTokens {
          known.charged += 1
          part.charged += 1
        }
      } else {
        part.duplicates += 1
      }
      known.delivered[position, default: []].insert(facts.part)
    }
    part.count = facts.completionTokens
    part.isFinal = part.isFinal || facts.isFinal
    if isFirst, known.promptPart == nil, facts.owner != known.terms.payer {
      known.promptPart = facts.part
    }
    known.parts[facts.part] = part
    answers[facts.answer] = known
  }

  /// What is wrong with a settlement; empty when all of it is right.
  func findings(_ entry: Entry, _ pool: ReplayPool) -> [String] {
    guard let id = entry.answer, let record = entry.settlement, let known = answers[id],
      let policy = policies[record.policyVersion]
    else { return ["settles what nobody reserved"] }
    var budget = pool.budget(at: entry.time, policy)
    var replays = 0
    var findings: [String] = []
    func expect(_ condition: Bool, _ text: String) { if !condition { findings.append(text) } }

    expect(record.payer == known.terms.payer, "another account pays")
    expect(record.lines.map(\.part) == known.parts.keys.sorted(), "other parts are paid")
    var moved: [AccountID: Int64] = [record.payer: 0]
    for line in record.lines {
      guard let part = known.parts[line.part] else { continue }
      let isOwn = line.owner == record.payer
      let price = isOwn ? (0, 0) : price(of: line.node, known, record, policy)
      let maxPrompt = known.terms.maxPromptTokens
      let prompt = known.promptPart == line.part ? min(part.base, maxPrompt) : 0
      let gross = (Int64(prompt) * price.0 + Int64(part.charged) * price.1) / 1_000_000
      let fee = gross * Int64(1000 - policy.nodeSharePerMille) / 1000
      let pool = fee * Int64(policy.poolSharePerMille) / 1000
      expect(line.node == part.node && line.owner == part.owner, "another machine is paid")
      expect(line.promptTokens == prompt, "another prompt is paid")
      expect(line.completionTokens == part.charged, "a token is not paid exactly once")
      expect(line.gross.rawValue == gross, "another sum than tokens times price")
      expect(line.fee.rawValue == fee, "another fee")
      expect(line.poolShare.rawValue == pool, "another share of the pool")

      // Positions this part began behind and another part has receipts for.
      let others = known.delivered.filter { $0.value != [line.part] }.keys.max() ?? -1
      let replayed =
        min(part.start, others + 1, known.terms.maxCompletionTokens)
        + (prompt > 0 || known.promptPart == line.part ? 0 : min(part.base, maxPrompt))
      let duplicates = min(part.duplicates, known.terms.maxCompletionTokens)
      let cost = (Int64(replayed) * price.0 + Int64(duplicates) * price.1) / 1_000_000
      let due = isOwn || replays == policy.replaysPerAnswer ? 0 : min(cost, budget)
      expect(line.replayPaid.rawValue == due, "the pool pays another sum than is due")
      budget -= due
      if due > 0 { replays += 1 }

      moved[line.owner, default: 0] += gross - fee + line.replayPaid.rawValue
      moved[record.payer, default: 0] -= gross
      moved[SystemAccount.fees.id, default: 0] += fee - pool
      moved[SystemAccount.replay.id, default: 0] += pool - line.replayPaid.rawValue
    }
    for posting in entry.postings {
      moved[posting.account, default: 0] -= posting.amount.rawValue
    }
    expect(moved.values.allSatisfy { $0 == 0 }, "moves other sums than its lines say")
    return findings
  }

  private func price(
    of node: NodeID, _ known: Known, _ record: SettlementRecord, _ policy: LedgerPolicy
  ) -> (Int64, Int64) {
    let key = PriceKey(record.model, record.kind)
    var list: Price?
    var fallback: Price?
    var own: Price?
    for change in changes.prefix(known.priceVersion) {
      switch change {
      case .list(key, let price): list = price
      case .fallback(let price): fallback = price
      case .node(node, key, let price): own = price
      default: break
      }
    }
    let base = list ?? fallback ?? .free
    let cap = known.terms.ceiling
    // The user's cap, and the most that any machine could ask when the sum was set aside.
    let most = Int64(known.policy.overrideMaxPerMille)
    func bounded(_ list: Int64, _ own: Int64?, _ cap: Int64?) -> Int64 {
      let cap = min(cap ?? .max, list * most / 1000)
      guard let own else { return min(list, cap) }
      let lowest = list * Int64(policy.overrideMinPerMille) / 1000
      let highest = list * Int64(policy.overrideMaxPerMille) / 1000
      return min(min(max(own, lowest), highest), cap)
    }
    return (
      bounded(base.promptPerMillion, own?.promptPerMillion, cap?.promptPerMillion),
      bounded(base.completionPerMillion, own?.completionPerMillion, cap?.completionPerMillion)
    )
  }
}

/// What the replay pool holds and has paid today, added up from postings.
struct ReplayPool {
  private var balance: Int64 = 0
  private var day: Int64 = 0
  private var spent: Int64 = 0

  /// What it can pay for one more answer.
  func budget(at time: UnixTime, _ policy: LedgerPolicy) -> Int64 {
    let spent = time.seconds / 86400 == day ? spent : 0
    return max(0, min(balance, policy.replayPerDay.rawValue - spent))
  }

  mutating func add(_ entry: Entry) {
    for posting in entry.postings where posting.account == SystemAccount.replay.id {
      balance += posting.amount.rawValue
    }
    if entry.time.seconds / 86400 != day {
      day = entry.time.seconds / 86400
      spent = 0
    }
    for line in entry.settlement?.lines ?? [] { spent += line.replayPaid.rawValue }
  }
}
