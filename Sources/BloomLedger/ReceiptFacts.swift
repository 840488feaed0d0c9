package import BloomBase

/// What the ledger needs of a receipt whose signature and place were verified elsewhere.
///
/// Counts are cumulative within the part, so a later receipt contains every earlier one.
package struct ReceiptFacts: Hashable, Sendable {
  /// SHA-256 of the signed receipt.
  package var digest: Digest
  /// The machine that signed it.
  package var node: NodeID
  /// The machine's owner when the part was assigned.
  package var owner: AccountID
  /// The model that answered.
  package var model: ModelID
  /// The answer.
  package var answer: AnswerID
  /// The part of the answer, from 0.
  package var part: Int
  /// Tokens of the user's prompt.
  package var basePromptTokens: Int
  /// Tokens of the answer that were delivered before this part and prefilled again.
  package var replayedTokens: Int
  /// Tokens this part delivered.
  package var completionTokens: Int
  /// Whether the part is over.
  package var isFinal: Bool
  /// When the machine wrote it.
  package var signedAt: UnixTime
  /// The signed receipt and what verifies it, kept with the settlement; opaque to the ledger.
  ///
  /// At most ``LedgerLimits/proof`` bytes; empty when there is nothing to keep.
  package var proof: [UInt8]

  /// Creates the facts.
  package init(
    digest: Digest, node: NodeID, owner: AccountID, model: ModelID, answer: AnswerID, part: Int,
    basePromptTokens: Int, replayedTokens: Int, completionTokens: Int, isFinal: Bool,
    signedAt: UnixTime, proof: [UInt8] = []
  ) {
    self.digest = digest
    self.node = node
    self.owner = owner
    self.model = model
    self.answer = answer
    self.part = part
    self.basePromptTokens = basePromptTokens
    self.replayedTokens = replayedTokens
    self.completionTokens = completionTokens
    self.isFinal = isFinal
    self.signedAt = signedAt
    self.proof = proof
  }

  var isInRange: Bool {
    let range = 0...LedgerLimits.tokens
    return range.contains(basePromptTokens) && range.contains(replayedTokens)
      && range.contains(completionTokens) && proof.count <= LedgerLimits.proof
  }
}
