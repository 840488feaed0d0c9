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
    var charged = 0
    var duplicates = 0
  }
  private struct Known {
    let terms: Reservation
    let priceVersion: Int
    var parts: [Int: Part] = [:]
    /// Which parts delivered a position.
    var delivered: [Int: Set<Int>] = [:]
    var charged = 0
    var promptPart: Int?
  }
  private var answers: [AnswerID: Known] = [:]
  private var changes: [PriceChange] = []
  private var nodeShares = [1: 950]

  mutating func reserved(_ terms: Reservation) {
    if answers[terms.answer] == nil {
      answers[terms.answer] = Known(terms: terms, priceVersion: changes.count)
    }
  }

  mutating func priceChanged(_ change: PriceChange) { changes.append(change) }

  mutating func policyAdopted(version: Int, nodeShare: Int) { nodeShares[version] = nodeShare }

  /// Counts a receipt the ledger has accepted.
  mutating func accepted(_ facts: ReceiptFacts) {
    guard var known = answers[facts.answer] else { return }
    var part =
      known.parts[facts.part]
      ?? Part(start: facts.replayedTokens, count: 0, isFinal: false, base: facts.basePromptTokens)
    let isFirst = known.parts[facts.part] == nil
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
  func findings(_ entry: Entry) -> [String] {
    guard let id = entry.answer, let record = entry.settlement, let known = answers[id],
      let share = nodeShares[record.policyVersion]
    else { return ["settles what nobody reserved"] }
    var findings: [String] = []
    func expect(_ condition: Bool, _ text: String) { if !condition { findings.append(text) } }

    expect(record.payer == known.terms.payer, "another account pays")
    expect(record.lines.map(\.part) == known.parts.keys.sorted(), "other parts are paid")
    expect(record.lines.filter { $0.replayPaid > .zero }.count <= 2, "pays for three replays")
    var moved: [AccountID: Int64] = [record.payer: 0]
    for line in record.lines {
      guard let part = known.parts[line.part] else { continue }
      let isOwn = line.owner == record.payer
      let price = isOwn ? (0, 0) : price(of: line.node, known, record)
      let maxPrompt = known.terms.maxPromptTokens
      let prompt = known.promptPart == line.part ? min(part.base, maxPrompt) : 0
      let gross = (Int64(prompt) * price.0 + Int64(part.charged) * price.1) / 1_000_000
      let fee = gross * Int64(1000 - share) / 1000
      let pool = fee / 5
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
      let most = (Int64(replayed) * price.0 + Int64(duplicates) * price.1) / 1_000_000
      expect(line.replayPaid.rawValue <= most, "the pool pays more than was replayed")
      expect(line.replayPaid >= .zero, "the pool is paid")

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
    of node: NodeID, _ known: Known, _ record: SettlementRecord
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
    return (
      bounded(
        base.promptPerMillion, own?.promptPerMillion, cap?.promptPerMillion ?? .max),
      bounded(
        base.completionPerMillion, own?.completionPerMillion, cap?.completionPerMillion ?? .max)
    )
  }

  /// A machine's own price within a quarter and twice the list's, and never above the user's cap.
  private func bounded(_ list: Int64, _ own: Int64?, _ cap: Int64) -> Int64 {
    guard let own else { return min(list, cap) }
    return min(min(max(own, list / 4), list * 2), cap)
  }
}
