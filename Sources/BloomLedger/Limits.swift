/// The ledger's bounds, each with its reason; relations between them are tested.
package enum LedgerLimits {
  /// Tokens of one count in one receipt: far above any context window, far below overflow.
  package static let tokens = 1 << 24
  /// Parts of one answer: a stream that moved this often is given up.
  package static let parts = 16
  /// Micro-units per million tokens of any price: 1,000 units.
  package static let pricePerMillion: Int64 = 1_000_000_000
  /// Micro-units of one deposit, grant or payout: a thousand million units.
  package static let amount: Int64 = 1_000_000_000_000_000
  /// Seconds a receipt may be old.
  ///
  /// A receipt key lives 70 minutes (protocol §1); the rest is slack.
  package static let receiptAgeSeconds: Int64 = 2 * 3600
  /// Seconds a closed answer is remembered, so that no receipt young enough can be paid twice.
  package static let closedAnswerSeconds: Int64 = 2 * receiptAgeSeconds
  /// Seconds an idempotency key is remembered: payment providers repeat their calls for days.
  package static let keySeconds: Int64 = 90 * 86400
  /// Seconds after a settlement in which it may be disputed; below ``keySeconds``, which makes
  /// each line disputable once.
  package static let disputeSeconds: Int64 = 30 * 86400
  /// Bytes of a receipt with what verifies it.
  package static let proof = 8192
  /// Seconds a settlement's receipts are kept: well beyond ``disputeSeconds``.
  package static let proofSeconds: Int64 = 400 * 86400
  /// Bytes of an idempotency key, a payout's destination or reference.
  package static let text = 128
}
