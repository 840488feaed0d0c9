package import BloomBase

/// The rules of money: commands in, outcomes and a ``ChangeSet`` out.
///
/// Pure and deterministic.
///
/// Double entry: the postings of every entry sum to zero, and no user's bucket ever goes below
/// zero. A refused command changes nothing. Holds balances, open answers and what closed lately;
/// entries themselves are the store's. One owner at a time; not safe to share.
package struct Ledger: Sendable {
  /// The last entry's number; 0 before the first.
  package private(set) var sequence: Int64 = 0
  /// The last entry's time; later commands are never dated earlier.
  package private(set) var time = UnixTime(0)
  /// Every account's balance.
  package private(set) var balances: [AccountID: Balance] = [:]
  /// Answers reserved and not closed.
  package internal(set) var answers: [AnswerID: Answer] = [:]
  /// Disputes without an answer.
  package internal(set) var disputes: [DisputeID: Dispute] = [:]
  /// Payouts not confirmed or rejected.
  package internal(set) var payouts: [Int64: Payout] = [:]
  /// The policy in force.
  package internal(set) var policy = SignedPolicy.initial
  /// Every policy that was adopted, in order.
  package internal(set) var policies: [AdoptedPolicy] = []
  /// The price table with its history.
  package internal(set) var prices = PriceBook()

  var closed = ClosedAnswers()
  var replaySpent = DailySum()
  var changes = ChangeSet()
  private var keys: [CommandKey: KeyedEntry] = [:]
  private var keyQueue: [(key: CommandKey, time: UnixTime)] = []

  /// A new, empty ledger.
  package init() {}

  /// Goes on where a store stopped.
  package init(_ snapshot: LedgerSnapshot) {
    sequence = snapshot.sequence
    time = snapshot.time
    balances = snapshot.balances
    for answer in snapshot.answers { answers[answer.id] = answer }
    for dispute in snapshot.disputes { disputes[dispute.id] = dispute }
    for payout in snapshot.payouts { payouts[payout.id] = payout }
    policies = snapshot.policies
    if let last = policies.last { policy = last.policy }
    for price in snapshot.prices {
      invariant(prices.append(price), "price versions have a gap before \(price.version)")
    }
    for entry in snapshot.recent {
      remember(entry)
      if let record = entry.settlement, let answer = entry.answer {
        closed.insert(answer, entry: entry, paid: record.gross)
        replaySpent.add(record.lines.reduce(.zero) { $0 + $1.replayPaid }, at: entry.time)
      }
    }
  }

  /// Applies one command.
  ///
  /// - Parameters:
  ///   - command: Repeating one changes nothing and returns what it returned, or `unchanged`.
  ///   - now: The wall clock; when it went back, the last entry's time is used.
  /// - Returns: What the command did.
  /// - Throws: The reason of refusal; nothing changed.
  package mutating func apply(
    _ command: LedgerCommand, at now: UnixTime
  ) throws(LedgerError) -> LedgerOutcome {
    let now = max(now, time)
    forget(before: now)
    switch command {
    case .reserve(let reservation): return try reserve(reservation, now)
    case .admitPart(let admission): return try admit(admission)
    case .receipt(let facts): return try note(facts, now)
    case .close(let answer): return try close(answer, now)
    case .reportMismatch(let answer, let part): return try reportMismatch(answer, part)
    case .deposit(let key, let account, let amount):
      return try bring(.deposit, from: .cash, to: account, amount, key, now)
    case .grant(let key, let account, let amount):
      return try bring(.grant, from: .grants, to: account, amount, key, now)
    case .fundReplay(let key, let amount): return try fundReplay(amount, key, now)
    case .openDispute(let request): return try openDispute(request, now)
    case .resolveDispute(let sequence, let part, let refund):
      return try resolve(DisputeID(sequence: sequence, part: part), refund: refund, now)
    case .requestPayout(let key, let account, let amount, let destination):
      return try requestPayout(account, amount, destination, key, now)
    case .confirmPayout(let id, let reference):
      return try finishPayout(id, .confirmed(reference), now)
    case .rejectPayout(let id, let reason): return try finishPayout(id, .rejected(reason), now)
    case .adoptPolicy(let policy): return try adopt(policy, now)
    case .changePrice(let change): return try changePrice(change, now)
    }
  }

  /// What an account has; empty for one never seen.
  package func balance(of account: AccountID) -> Balance { balances[account] ?? Balance() }

  /// The number of the entry that closed an answer; `nil` while it is open or long after.
  package func closing(of answer: AnswerID) -> Int64? { closed[answer]?.sequence }

  /// Open answers whose deadline has passed; the driver closes them.
  ///
  /// Linear in open answers.
  package func overdue(at now: UnixTime) -> [AnswerID] {
    answers.values.filter { $0.deadline < now }.map(\.id)
  }

  /// Hands over what changed since the last call.
  package mutating func takeChanges() -> ChangeSet {
    let taken = changes
    changes = ChangeSet()
    return taken
  }

  // MARK: Entries

  /// Appends an entry, or throws before anything changed when a balance would leave its range.
  mutating func append(
    _ kind: EntryKind, _ draft: Draft, _ now: UnixTime, answer: AnswerID? = nil,
    reference: String = "", relatesTo: Int64? = nil, settlement: SettlementRecord? = nil
  ) throws(LedgerError) -> Entry {
    invariant(draft.sum == .zero, "postings of \(kind.name) do not sum to zero")
    var touched: [AccountID: Balance] = [:]
    for posting in draft.postings {
      var balance = touched[posting.account] ?? self.balance(of: posting.account)
      let (sum, overflow) = balance[posting.bucket].rawValue
        .addingReportingOverflow(posting.amount.rawValue)
      guard !overflow, abs(sum) <= Int64.max / 8 else { throw .amountOutOfRange }
      balance[posting.bucket] = Micros(sum)
      touched[posting.account] = balance
    }
    for posting in draft.postings {
      let isFree = SystemAccount.isReserved(posting.account) && posting.account != Names.replay
      invariant(
        isFree || touched[posting.account]?[posting.bucket] ?? .zero >= .zero,
        "\(kind.name) would leave a balance below zero")
    }
    sequence += 1
    time = now
    let entry = Entry(
      sequence: sequence, time: now, kind: kind, answer: answer, reference: reference,
      relatesTo: relatesTo, postings: draft.postings, settlement: settlement)
    for (account, balance) in touched {
      balances[account] = balance
      changes.balances[account] = balance
    }
    changes.entries.append(entry)
    remember(entry)
    return entry
  }

  /// The entry a keyed command made when it came first; throws when its content was different.
  func repeated(
    _ key: CommandKey, account: AccountID, amount: Micros
  ) throws(LedgerError) -> LedgerOutcome? {
    guard let known = keys[key] else { return nil }
    guard known.account == account, known.amount == amount else { throw .keyReused }
    return .posted(sequence: known.sequence)
  }

  /// The entry of a key whatever its content.
  func entry(_ key: CommandKey) -> LedgerOutcome? {
    keys[key].map { .posted(sequence: $0.sequence) }
  }

  private mutating func remember(_ entry: Entry) {
    guard let key = CommandKey(entry) else { return }
    let first = entry.postings.first { !SystemAccount.isReserved($0.account) && $0.amount > .zero }
    keys[key] = KeyedEntry(
      sequence: entry.sequence, account: first?.account ?? Names.replay,
      amount: (first ?? entry.postings.first { $0.amount > .zero })?.amount ?? .zero)
    keyQueue.append((key, entry.time))
  }

  private mutating func forget(before now: UnixTime) {
    closed.forget(before: now + -LedgerLimits.closedAnswerSeconds)
    let limit = now + -LedgerLimits.keySeconds
    guard let first = keyQueue.first, first.time < limit else { return }
    let old = keyQueue.prefix { $0.time < limit }
    for item in old { keys[item.key] = nil }
    keyQueue.removeFirst(old.count)
  }
}

/// The system accounts' names, parsed once.
enum Names {
  static let cash = SystemAccount.cash.id
  static let grants = SystemAccount.grants.id
  static let fees = SystemAccount.fees.id
  static let replay = SystemAccount.replay.id
  static let losses = SystemAccount.losses.id
}

/// Postings being collected; zero amounts are left out.
struct Draft {
  private(set) var postings: [Posting] = []

  mutating func add(_ account: AccountID, _ bucket: Bucket, _ amount: Micros) {
    guard amount != .zero else { return }
    postings.append(Posting(account, bucket, amount))
  }

  var sum: Micros { postings.reduce(.zero) { $0 + $1.amount } }
}

/// What a repeated command is recognised by.
struct CommandKey: Hashable, Sendable {
  let kind: EntryKind
  let text: String

  init(_ kind: EntryKind, _ text: String) {
    self.kind = kind
    self.text = text
  }

  /// The key an entry answers to; `nil` for reservations and settlements, which answers name.
  init?(_ entry: Entry) {
    kind = entry.kind
    switch entry.kind {
    case .deposit, .grant, .replayFunded, .payoutRequested: text = entry.reference
    case .payoutConfirmed, .payoutRejected: text = "\(entry.relatesTo ?? 0)"
    case .hold, .holdReleased, .refund: text = "\(entry.relatesTo ?? 0)/\(entry.reference)"
    case .reserve, .settle: return nil
    }
  }
}

private struct KeyedEntry: Sendable {
  let sequence: Int64
  let account: AccountID
  let amount: Micros
}

/// A sum that starts again each day (UTC).
struct DailySum: Sendable {
  private var day: Int64 = 0
  private var sum = Micros.zero

  func value(at now: UnixTime) -> Micros { now.seconds / 86400 == day ? sum : .zero }

  mutating func add(_ amount: Micros, at now: UnixTime) {
    sum = value(at: now) + amount
    day = now.seconds / 86400
  }
}

/// Answers closed lately, so that no receipt settles twice.
struct ClosedAnswers: Sendable {
  struct Closed: Sendable {
    let sequence: Int64
    let paid: Micros
  }
  private var entries: [AnswerID: Closed] = [:]
  private var queue: [(answer: AnswerID, time: UnixTime)] = []
  private var head = 0

  subscript(answer: AnswerID) -> Closed? { entries[answer] }

  mutating func insert(_ answer: AnswerID, entry: Entry, paid: Micros) {
    entries[answer] = Closed(sequence: entry.sequence, paid: paid)
    queue.append((answer, entry.time))
  }

  mutating func forget(before limit: UnixTime) {
    while head < queue.count, queue[head].time < limit {
      entries[queue[head].answer] = nil
      head += 1
    }
    // Compacts when half is dead: constant work a closing on average.
    if head > 1024, head * 2 > queue.count {
      queue.removeFirst(head)
      head = 0
    }
  }
}
