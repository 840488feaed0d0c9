package import BloomBase

/// What usage is counted by: one row a day, account, role, machine and model.
package struct UsageKey: Hashable, Sendable {
  /// As what the account took part.
  package enum Role: UInt8, Sendable {
    /// It asked and paid.
    case user = 0
    /// Its machine answered and earned.
    case owner = 1
  }
  /// Days since 1970-01-01, UTC.
  package var day: Int32
  /// Whose.
  package var account: AccountID
  /// In which role.
  package var role: Role
  /// The owner's machine; `nil` for users, who are not told.
  package var node: NodeID?
  /// The model.
  package var model: ModelID

  /// Creates a key.
  package init(day: Int32, account: AccountID, role: Role, node: NodeID?, model: ModelID) {
    self.day = day
    self.account = account
    self.role = role
    self.node = node
    self.model = model
  }
}

/// Counts of a day, kept up incrementally so that dashboards never scan entries.
package struct Usage: Hashable, Sendable {
  /// Answers (user) or parts (owner).
  package var answers: Int64 = 0
  /// Prompt tokens paid by users.
  package var promptTokens: Int64 = 0
  /// Completion tokens paid by users.
  package var completionTokens: Int64 = 0
  /// Replayed and duplicate tokens.
  package var replayedTokens: Int64 = 0
  /// Paid by users.
  package var gross = Micros.zero
  /// Kept by the platform.
  package var fee = Micros.zero
  /// Paid by the replay pool.
  package var replayPaid = Micros.zero

  /// Nothing yet.
  package init() {}

  /// Adds another row's counts.
  package mutating func add(_ other: Usage) {
    answers += other.answers
    promptTokens += other.promptTokens
    completionTokens += other.completionTokens
    replayedTokens += other.replayedTokens
    gross += other.gross
    fee += other.fee
    replayPaid += other.replayPaid
  }
}

/// Everything that changed since the last one was taken; a store writes it in one transaction.
package struct ChangeSet: Hashable, Sendable {
  /// New entries in order.
  package var entries: [Entry] = []
  /// Balances after the last entry, of every account touched.
  package var balances: [AccountID: Balance] = [:]
  /// Answers opened or changed; `nil` for those that were closed.
  package var answers: [AnswerID: Answer?] = [:]
  /// Counts to add.
  package var usage: [UsageKey: Usage] = [:]
  /// Disputes opened; `nil` for those that ended.
  package var disputes: [DisputeID: Dispute?] = [:]
  /// The receipts of lines that were settled; ``ReceiptFacts/proof``.
  package var proofs: [DisputeID: [UInt8]] = [:]
  /// Payouts requested or changed.
  package var payouts: [Int64: Payout] = [:]
  /// Policies adopted, in order.
  package var policies: [AdoptedPolicy] = []
  /// Price versions, in order.
  package var prices: [PriceVersion] = []

  /// No changes.
  package init() {}

  /// Whether there is nothing to write.
  package var isEmpty: Bool {
    entries.isEmpty && balances.isEmpty && answers.isEmpty && usage.isEmpty && disputes.isEmpty
      && proofs.isEmpty && payouts.isEmpty && policies.isEmpty && prices.isEmpty
  }
}

/// A policy and when it came into force.
package struct AdoptedPolicy: Hashable, Sendable {
  /// The policy.
  package let policy: SignedPolicy
  /// Since when.
  package let time: UnixTime

  /// Joins both.
  package init(_ policy: SignedPolicy, _ time: UnixTime) {
    self.policy = policy
    self.time = time
  }
}

/// What a store keeps besides entries: enough for a ledger to go on where it stopped.
package struct LedgerSnapshot: Hashable, Sendable {
  /// The last entry's number; 0 for a new ledger.
  package var sequence: Int64 = 0
  /// The last entry's time.
  package var time = UnixTime(0)
  /// Every account.
  package var balances: [AccountID: Balance] = [:]
  /// Open answers.
  package var answers: [Answer] = []
  /// Open disputes.
  package var disputes: [Dispute] = []
  /// Pending payouts.
  package var payouts: [Payout] = []
  /// All policies in order.
  package var policies: [AdoptedPolicy] = []
  /// All price versions in order.
  package var prices: [PriceVersion] = []
  /// Entries of the last ``LedgerLimits/closedAnswerSeconds`` and those with an idempotency key
  /// of the last ``LedgerLimits/keySeconds``, in order.
  package var recent: [Entry] = []

  /// A new ledger.
  package init() {}
}
