package import BloomBase

/// When a running receipt is due: every 64 tokens, or 2 s after the last one if tokens came since.
///
/// Pure. What a receipt counts are token ids that were delivered.
package struct ReceiptClock: Sendable {
  /// Tokens between two receipts.
  package static let tokens = 64
  /// Time between two receipts.
  package static let interval = Duration.seconds(2)

  /// Tokens delivered so far in this part.
  package private(set) var delivered = 0
  private var receipted = 0
  private var last: Instant

  /// Starts with the answer.
  package init(start: Instant) { last = start }

  /// Tokens were delivered.
  package mutating func delivered(_ count: Int) { delivered += count }

  /// Whether a receipt is due now.
  package func isDue(now: Instant) -> Bool {
    let fresh = delivered - receipted
    return fresh >= Self.tokens || (fresh > 0 && now - last >= Self.interval)
  }

  /// A receipt was signed.
  package mutating func receiptMade(now: Instant) {
    receipted = delivered
    last = now
  }
}
