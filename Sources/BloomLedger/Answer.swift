package import BloomBase

/// One part of an open answer, as its receipts describe it so far.
package struct AnswerPart: Hashable, Sendable {
  /// Fixed by the part's first receipt.
  package struct Served: Hashable, Sendable {
    /// The machine.
    package var node: NodeID
    /// Its owner.
    package var owner: AccountID
    /// The newest receipt.
    package var receipt: Digest
    /// Tokens of the user's prompt, as this machine counts them.
    package var basePromptTokens: Int
    /// Where the part began.
    package var replayedTokens: Int
    /// Tokens delivered by this part.
    package var completionTokens: Int
    /// Of those, the ones no other part had delivered and the reservation covers.
    package var chargedTokens: Int
    /// Of those, the ones another part had delivered.
    package var duplicateTokens: Int
    /// Whether the prompt is paid with this part.
    package var chargesPrompt: Bool
    /// Whether the newest receipt ended the part.
    package var isFinal: Bool
    /// Whether it claimed more than the request's class allows.
    package var claimedTooMuch: Bool
    /// The newest receipt itself, ``ReceiptFacts/proof``.
    package var proof: [UInt8]
  }

  /// What the part's receipts say; `nil` until the first.
  package var served: Served?
  /// Whether the user reported that a receipt differs from its own count.
  package var isMismatched = false

  /// A part without receipts.
  package init() {}

  var span: Range<Int>? {
    served.map { $0.replayedTokens..<($0.replayedTokens + $0.completionTokens) }
  }
}

/// An answer that was reserved and is not closed.
package struct Answer: Hashable, Sendable {
  /// Its identity.
  package var id: AnswerID
  /// Who pays.
  package var payer: AccountID
  /// The model.
  package var model: ModelID
  /// The kind of job.
  package var kind: JobKind
  /// Prompt tokens at most.
  package var maxPromptTokens: Int
  /// Completion tokens at most, over all parts and choices.
  package var maxCompletionTokens: Int
  /// The highest price that may be charged.
  package var ceiling: Price
  /// The price table's version when it was reserved.
  package var priceVersion: Int
  /// Reserved from credit.
  package var fromCredit: Micros
  /// Reserved from earnings.
  package var fromEarned: Micros
  /// When it was reserved.
  package var openedAt: UnixTime
  /// When the coordinator should close it whatever happened.
  package var deadline: UnixTime
  /// Its parts, by number.
  package var parts: [AnswerPart]

  /// All that is reserved.
  package var reserved: Micros { fromCredit + fromEarned }

  /// Completion tokens the user pays so far.
  var chargedTokens: Int { parts.reduce(0) { $0 + ($1.served?.chargedTokens ?? 0) } }

  /// How many positions of `range` no part other than `number` has delivered.
  func uncovered(_ range: Range<Int>, except number: Int) -> Int {
    var others: [Range<Int>] = []
    for (index, part) in parts.enumerated() where index != number {
      guard let span = part.span?.clamped(to: range), !span.isEmpty else { continue }
      others.append(span)
    }
    others.sort { $0.lowerBound < $1.lowerBound }
    var covered = 0
    var end = range.lowerBound
    for span in others where span.upperBound > end {
      covered += span.upperBound - max(span.lowerBound, end)
      end = span.upperBound
    }
    return range.count - covered
  }

  /// Where the tokens end that parts other than `number` have receipts for.
  func frontier(except number: Int) -> Int {
    var end = 0
    for (index, part) in parts.enumerated() where index != number {
      // One without a token bears nothing out: where it says that it began is its own word.
      if let span = part.span, !span.isEmpty { end = max(end, span.upperBound) }
    }
    return end
  }
}
