internal import BloomBase

/// Why the ledger refused a command.
///
/// Nothing changed.
package enum LedgerError: String, PublicError, Equatable, CaseIterable {
  /// The account cannot cover the worst case.
  case insufficientCredit
  /// The answer was reserved already, with other terms.
  case answerExists
  /// The answer was closed: paid, and its reservation released.
  case answerClosed
  /// No open or recently closed answer has this identity.
  case unknownAnswer
  /// The part was not admitted.
  case unknownPart
  /// The part was admitted before, and another after it or a receipt came since.
  case partExists
  /// The part does not follow the last one, or there are too many.
  case partOutOfOrder
  /// The part's account, model or class is not the answer's.
  case termsDiffer
  /// The coordinator did not see the part before fail or fall silent.
  case previousPartHealthy
  /// Another machine's receipt has settled this part already.
  case wrongNode
  /// Counts out of range, or different from an earlier receipt of the same part.
  case inconsistentReceipt
  /// Older than any receipt key can be.
  case receiptTooOld
  /// The amount is zero, negative or too large.
  case amountOutOfRange
  /// The account's name is the platform's.
  case reservedAccount
  /// A text is empty, too long or holds a zero byte.
  case badText
  /// The key was used for another command.
  case keyReused
  /// The line cannot be disputed: too old, not of this user, or done already.
  case notDisputable
  /// No open dispute has this identity.
  case unknownDispute
  /// Not enough has been earned.
  case insufficientEarnings
  /// Less than the policy's smallest payout.
  case belowMinimumPayout
  /// No pending payout has this identity.
  case unknownPayout
  /// The policy's number is not the next, or a value is out of its range.
  case badPolicy

  /// What is wrong and what to do.
  package var publicDescription: String {
    switch self {
    case .insufficientCredit:
      "not enough credit for the longest possible answer; add credit or lower max_tokens"
    case .answerExists: "this answer was reserved already; start a new one"
    case .answerClosed: "this answer was closed; start a new one"
    case .unknownAnswer: "no such answer is open; start a new one"
    case .unknownPart: "this part of the answer was not admitted; ask for it first"
    case .partExists: "this part was given in before; continue from the last part"
    case .partOutOfOrder: "this part does not follow the last one; continue from the last part"
    case .termsDiffer: "account, model and class must be those of the answer's first part"
    case .previousPartHealthy: "the part before is still healthy; wait for it"
    case .wrongNode: "another machine serves this part; its receipts count"
    case .inconsistentReceipt: "the receipt contradicts an earlier one of the same part"
    case .receiptTooOld: "the receipt is older than any key in force; it cannot be settled"
    case .amountOutOfRange: "the amount is zero, negative or too large"
    case .reservedAccount: "account names that begin with platform: belong to the platform"
    case .badText: "a key, destination or reference needs 1 to 128 bytes, none of them zero"
    case .keyReused: "this idempotency key belongs to another command; use a new one"
    case .notDisputable: "this line cannot be disputed; check the entry and its date"
    case .unknownDispute: "no open dispute has this number"
    case .insufficientEarnings: "the payout exceeds what was earned and is not held"
    case .belowMinimumPayout: "the payout is below the minimum; wait until more was earned"
    case .unknownPayout: "no pending payout has this number"
    case .badPolicy: "the policy must have the next version and values in range"
    }
  }
}
