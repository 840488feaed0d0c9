import BloomBase
import BloomLedger

/// What happened to settled lines and to earnings later, read from entries alone.
///
/// Each line is questioned once and each question ended once; each payout ends once.
struct Aftermath {
  private struct Question {
    let payer: AccountID
    let line: SettlementLine
    let held: Micros
  }

  private(set) var findings: [String] = []
  private var settled: [Int64: SettlementRecord] = [:]
  private var open: [DisputeID: Question] = [:]
  private var asked: Set<DisputeID> = []
  private var payouts: [Int64: (account: AccountID, amount: Micros)] = [:]

  init(_ entries: [Entry]) {
    for entry in entries { add(entry) }
  }

  private mutating func add(_ entry: Entry) {
    switch entry.kind {
    case .settle: settle(entry)
    case .hold:
      guard let id = name(entry), let record = settled[id.sequence],
        let line = record.lines.first(where: { $0.part == id.part })
      else { return find(entry, "questions no line") }
      let held = sum(entry, line.owner, .held)
      ask(id, Question(payer: record.payer, line: line, held: held), entry)
      expect(held >= .zero && held <= line.earned, entry, "holds more than was earned")
      expect(entry, [(line.owner, .held, held), (line.owner, .earned, .zero - held)])
    case .holdReleased:
      guard let question = end(entry) else { return }
      let owner = question.line.owner
      expect(entry, [(owner, .held, .zero - question.held), (owner, .earned, question.held)])
    case .refund:
      guard let question = end(entry) else { return }
      let line = question.line
      let loss = line.gross - line.fee + line.replayPaid - question.held
      expect(
        entry,
        [
          (question.payer, .credit, line.gross), (line.owner, .held, .zero - question.held),
          (SystemAccount.fees.id, .credit, .zero - line.fee),
          (SystemAccount.replay.id, .credit, line.replayPaid),
          (SystemAccount.losses.id, .credit, .zero - loss),
        ])
    case .payoutRequested:
      guard let posting = entry.postings.first(where: { $0.bucket == .payout }) else {
        return find(entry, "asks for no money")
      }
      payouts[entry.sequence] = (posting.account, posting.amount)
      expect(posting.amount > .zero, entry, "asks for less than nothing")
      expect(
        entry,
        [
          (posting.account, .payout, posting.amount),
          (posting.account, .earned, .zero - posting.amount),
        ])
    case .payoutConfirmed, .payoutRejected: endPayout(entry)
    case .deposit, .grant, .reserve, .replayFunded: break
    }
  }

  private mutating func settle(_ entry: Entry) {
    guard let record = entry.settlement else { return }
    settled[entry.sequence] = record
    for line in record.lines where line.isHeld {
      let question = Question(payer: record.payer, line: line, held: line.earned)
      ask(DisputeID(sequence: entry.sequence, part: line.part), question, entry)
    }
  }

  private mutating func ask(_ id: DisputeID, _ question: Question, _ entry: Entry) {
    expect(asked.insert(id).inserted, entry, "questions a line again")
    open[id] = question
  }

  private mutating func end(_ entry: Entry) -> Question? {
    let question = name(entry).flatMap { open.removeValue(forKey: $0) }
    if question == nil { find(entry, "ends no open question") }
    return question
  }

  private mutating func endPayout(_ entry: Entry) {
    guard let payout = entry.relatesTo.flatMap({ payouts.removeValue(forKey: $0) }) else {
      return find(entry, "ends no open payout")
    }
    let target =
      entry.kind == .payoutConfirmed
      ? (SystemAccount.cash.id, Bucket.credit) : (payout.account, .earned)
    expect(
      entry,
      [
        (payout.account, .payout, .zero - payout.amount), (target.0, target.1, payout.amount),
      ])
  }

  private func name(_ entry: Entry) -> DisputeID? {
    guard let sequence = entry.relatesTo, let part = Int(entry.reference) else { return nil }
    return DisputeID(sequence: sequence, part: part)
  }

  private func sum(_ entry: Entry, _ account: AccountID, _ bucket: Bucket) -> Micros {
    entry.postings.reduce(.zero) {
      $1.account == account && $1.bucket == bucket ? $0 + $1.amount : $0
    }
  }

  /// All the entry may move.
  private mutating func expect(_ entry: Entry, _ moves: [(AccountID, Bucket, Micros)]) {
    var left = entry.postings
    for (account, bucket, amount) in moves where amount != .zero {
      if let index = left.firstIndex(of: Posting(account, bucket, amount)) {
        left.remove(at: index)
      } else {
        find(entry, "does not move \(amount) of \(account)")
      }
    }
    expect(left.isEmpty, entry, "moves money it has no reason to")
  }

  private mutating func expect(_ condition: Bool, _ entry: Entry, _ text: String) {
    if !condition { find(entry, text) }
  }

  private mutating func find(_ entry: Entry, _ text: String) {
    findings.append("\(entry.kind.name) \(entry.sequence) \(text)")
  }
}
