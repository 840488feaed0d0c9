package import BloomBase

/// The terms under which an answer may begin.
package struct Reservation: Hashable, Sendable {
  /// The answer.
  package var answer: AnswerID
  /// Who pays.
  package var payer: AccountID
  /// The model.
  package var model: ModelID
  /// The kind of job.
  package var kind: JobKind
  /// Prompt tokens at most: bounded by the padded size, a token is at least one byte.
  package var maxPromptTokens: Int
  /// Completion tokens at most, over all parts and choices: the routing header's class.
  package var maxCompletionTokens: Int
  /// The highest price among the candidates or the user's cap; `nil` for the policy's highest.
  ///
  /// ``Price/free`` for the user's own machine: then nothing is reserved and nothing charged.
  package var ceiling: Price?
  /// When the answer should be closed whatever happened.
  package var deadline: UnixTime

  /// Creates the terms.
  package init(
    answer: AnswerID, payer: AccountID, model: ModelID, kind: JobKind, maxPromptTokens: Int,
    maxCompletionTokens: Int, ceiling: Price? = nil, deadline: UnixTime
  ) {
    self.answer = answer
    self.payer = payer
    self.model = model
    self.kind = kind
    self.maxPromptTokens = maxPromptTokens
    self.maxCompletionTokens = maxCompletionTokens
    self.ceiling = ceiling
    self.deadline = deadline
  }
}

/// The terms under which an answer may go on elsewhere.
///
/// No more money is reserved.
package struct PartAdmission: Hashable, Sendable {
  /// The answer.
  package var answer: AnswerID
  /// The new part, one more than the last.
  package var part: Int
  /// Must be the answer's.
  package var payer: AccountID
  /// Must be the answer's.
  package var model: ModelID
  /// Must be the answer's.
  package var maxCompletionTokens: Int
  /// Whether the coordinator itself saw the part before fail or fall silent.
  package var previousFailed: Bool

  /// Creates the terms.
  package init(
    answer: AnswerID, part: Int, payer: AccountID, model: ModelID, maxCompletionTokens: Int,
    previousFailed: Bool
  ) {
    self.answer = answer
    self.part = part
    self.payer = payer
    self.model = model
    self.maxCompletionTokens = maxCompletionTokens
    self.previousFailed = previousFailed
  }
}

/// A question about one settled line.
package struct DisputeRequest: Hashable, Sendable {
  /// The settlement's entry.
  package var sequence: Int64
  /// When it was settled.
  package var settledAt: UnixTime
  /// Who paid.
  package var payer: AccountID
  /// The line, as the store keeps it.
  package var line: SettlementLine

  /// Creates the question.
  package init(sequence: Int64, settledAt: UnixTime, payer: AccountID, line: SettlementLine) {
    self.sequence = sequence
    self.settledAt = settledAt
    self.payer = payer
    self.line = line
  }
}

/// Everything the ledger can be told.
///
/// Repeating a command changes nothing and gives the same answer.
package enum LedgerCommand: Hashable, Sendable {
  /// Sets an answer's worst case aside; part 0 may begin.
  case reserve(Reservation)
  /// Lets an answer go on on another machine.
  case admitPart(PartAdmission)
  /// Notes a receipt, running or last; money moves when the answer is closed.
  case receipt(ReceiptFacts)
  /// Closes the answer by the last receipt of every part and releases the rest.
  case close(AnswerID)
  /// Notes before closing that the user's own count differs; the owner's share will be held.
  case reportMismatch(AnswerID, part: Int)
  /// Money came in; `key` is the payment provider's.
  case deposit(key: String, AccountID, Micros)
  /// The platform gives credit.
  case grant(key: String, AccountID, Micros)
  /// The operator moves fees to the replay pool.
  case fundReplay(key: String, Micros)
  /// Questions a settled line; the owner's share is held.
  case openDispute(DisputeRequest)
  /// Ends a dispute: the user is refunded, or the owner gets the held money back.
  case resolveDispute(sequence: Int64, part: Int, refund: Bool)
  /// An owner asks for money to be sent to a destination known to the payout rail.
  case requestPayout(key: String, AccountID, Micros, destination: String)
  /// The rail sent the money; `reference` is its own.
  case confirmPayout(Int64, reference: String)
  /// The rail did not send the money.
  case rejectPayout(Int64, reason: String)
  /// The next policy comes into force; its signature was verified by the caller.
  case adoptPolicy(SignedPolicy)
  /// The next version of the price table.
  case changePrice(PriceChange)
}

/// What a command did.
package enum LedgerOutcome: Hashable, Sendable {
  /// The worst case is set aside.
  case reserved(Micros)
  /// The part may begin.
  case partAdmitted
  /// A receipt counts; `micros` is what the user would pay were the answer closed now.
  case noted(micros: Micros)
  /// The receipt or closing changes nothing: it repeats or is older than what is known.
  case unchanged
  /// The answer is closed by this entry.
  case settled(sequence: Int64, paid: Micros, released: Micros)
  /// The answer had been closed before by this entry; nothing was paid again.
  case alreadySettled(sequence: Int64, paid: Micros)
  /// An entry of this number was appended, now or when the command came first.
  case posted(sequence: Int64)
  /// The policy or price version in force now.
  case version(Int)
}
