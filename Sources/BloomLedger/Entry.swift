package import BloomBase

/// Why money moved. The number is stored; never reuse one.
package enum EntryKind: UInt8, CaseIterable, Sendable {
  /// Money came in.
  case deposit = 1
  /// The platform gave credit.
  case grant = 2
  /// An answer's worst case was set aside.
  case reserve = 3
  /// An answer was closed: paid by its receipts, the rest of the reservation released.
  case settle = 4
  /// A settled line was questioned; the owner's share waits.
  case hold = 5
  /// The question was answered in the owner's favour.
  case holdReleased = 6
  /// The question was answered in the user's favour: a compensating entry.
  case refund = 7
  /// An owner asked for money.
  case payoutRequested = 8
  /// The money left.
  case payoutConfirmed = 9
  /// The payout failed or was refused; the money is back.
  case payoutRejected = 10
  /// Fees were moved to the replay pool by the operator.
  case replayFunded = 11

  /// The name in exports.
  package var name: String {
    switch self {
    case .deposit: "deposit"
    case .grant: "grant"
    case .reserve: "reserve"
    case .settle: "settle"
    case .hold: "hold"
    case .holdReleased: "hold-released"
    case .refund: "refund"
    case .payoutRequested: "payout-requested"
    case .payoutConfirmed: "payout-confirmed"
    case .payoutRejected: "payout-rejected"
    case .replayFunded: "replay-funded"
    }
  }
}

/// One movement of money into (positive) or out of (negative) one bucket.
package struct Posting: Hashable, Sendable {
  /// Whose.
  package let account: AccountID
  /// Which bucket.
  package let bucket: Bucket
  /// How much; never zero.
  package let amount: Micros

  /// Creates a posting.
  package init(_ account: AccountID, _ bucket: Bucket, _ amount: Micros) {
    self.account = account
    self.bucket = bucket
    self.amount = amount
  }
}

/// What one part of an answer earned, with everything needed to compute it again.
package struct SettlementLine: Hashable, Sendable {
  /// The part's number in its answer.
  package var part: Int
  /// The machine.
  package var node: NodeID
  /// The machine's owner.
  package var owner: AccountID
  /// The receipt that settled the part: the last valid one.
  package var receipt: Digest
  /// Prompt tokens the user pays with this part.
  package var promptTokens: Int
  /// Completion tokens the user pays with this part.
  package var completionTokens: Int
  /// Tokens this part prefilled again; the pool pays for them at the prompt's price.
  package var replayedTokens: Int
  /// Tokens this part produced that another part had delivered already.
  package var duplicateTokens: Int
  /// The price in force for this part.
  package var price: Price
  /// What the user pays.
  package var gross: Micros
  /// The platform's share of it.
  package var fee: Micros
  /// The pool's part of the fee.
  package var poolShare: Micros
  /// What the pool pays the owner on top.
  package var replayPaid: Micros
  /// Whether the owner's share went to `held` at once, since the user reported a mismatch.
  package var isHeld: Bool

  /// What the owner is paid by the user: the gross less the fee.
  package var net: Micros { gross - fee }
  /// All the owner is paid.
  package var earned: Micros { net + replayPaid }
}

/// The parts of an entry that only a settlement has.
package struct SettlementRecord: Hashable, Sendable {
  /// Who asked.
  package var payer: AccountID
  /// The model that answered.
  package var model: ModelID
  /// What was asked for.
  package var kind: JobKind
  /// The price sheet in force when the answer was reserved.
  package var priceVersion: Int
  /// The policy in force when the answer was closed.
  package var policyVersion: Int
  /// What had been reserved.
  package var reserved: Micros
  /// One line a part that has a receipt.
  package var lines: [SettlementLine]

  /// What the user pays for the whole answer.
  package var gross: Micros { lines.reduce(.zero) { $0 + $1.gross } }
  /// The part of the reservation that went back.
  package var released: Micros { reserved - gross }
}

/// One append-only entry: postings that sum to zero, and their reason.
package struct Entry: Hashable, Sendable {
  /// 1, 2, 3 … without gaps.
  package var sequence: Int64
  /// When; never earlier than the entry before.
  package var time: UnixTime
  /// Why.
  package var kind: EntryKind
  /// The answer, of reservations and settlements.
  package var answer: AnswerID?
  /// The caller's idempotency key, or the reference the entry names.
  package var reference: String
  /// An earlier entry this one compensates or continues.
  package var relatesTo: Int64?
  /// The movements; their sum is zero.
  package var postings: [Posting]
  /// Of settlements only.
  package var settlement: SettlementRecord?

  /// Creates an entry.
  package init(
    sequence: Int64, time: UnixTime, kind: EntryKind, answer: AnswerID? = nil,
    reference: String = "", relatesTo: Int64? = nil, postings: [Posting],
    settlement: SettlementRecord? = nil
  ) {
    self.sequence = sequence
    self.time = time
    self.kind = kind
    self.answer = answer
    self.reference = reference
    self.relatesTo = relatesTo
    self.postings = postings
    self.settlement = settlement
  }
}

extension Entry {
  /// Every account of a user the entry moves money of or names, once each.
  ///
  /// The platform's own accounts take part in nearly every entry; theirs are found by reading all.
  package var accounts: [AccountID] {
    var accounts: [AccountID] = []
    func add(_ account: AccountID) {
      if !SystemAccount.isReserved(account), !accounts.contains(account) { accounts.append(account) }
    }
    for posting in postings { add(posting.account) }
    if let settlement {
      add(settlement.payer)
      for line in settlement.lines { add(line.owner) }
    }
    return accounts
  }
}
