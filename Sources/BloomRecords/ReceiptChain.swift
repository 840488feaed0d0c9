package import BloomBase
package import BloomCrypto
internal import BloomWire

/// Follows the receipts of one part without opening anything: what the coordinator settles by.
///
/// Feed it the sealed bytes that were forwarded and the receipts that came. It accepts only
/// receipts for this request, signed by this worker, that never go back and cover chunks that were
/// really forwarded; the last one accepted settles.
package struct ReceiptChain: Sendable {
  private let head: EnvelopeHead
  private let node: NodeID
  private let keys: WorkerKeys
  private let statement: KeyStatement
  private var reader = ChunkReader()
  private var preamble: [UInt8] = []
  private var history: TranscriptHistory?
  /// The last receipt that was accepted.
  package private(set) var last: Receipt?

  /// Starts the chain of a request that was given to a machine.
  ///
  /// - Throws: `identity` when the statement has no such key.
  package init(head: EnvelopeHead, candidate: Candidate, statement: KeyStatement)
    throws(RecordError)
  {
    guard statement.nodeID == candidate.node,
      let keys = statement.workers.first(where: { $0.keyID == candidate.key })
    else { throw .identity }
    self.head = head
    self.keys = keys
    self.statement = statement
    node = candidate.node
  }

  /// The key that this part's receipts are signed with.
  package var receiptKey: VerifyingKey { keys.receiptKey }

  /// Whether the answer's final chunk was forwarded.
  package var isComplete: Bool { reader.isComplete }

  /// Sealed bytes of the answer were forwarded.
  ///
  /// - Throws: `identity` when the answer is another machine's, `wire` when it is malformed.
  package mutating func forwarded(_ bytes: [UInt8]) throws(RecordError) {
    var rest = bytes[...]
    if history == nil {
      let missing = AnswerPreamble.byteCount - preamble.count
      preamble.append(contentsOf: rest.prefix(missing))
      rest = rest.dropFirst(missing)
      guard let whole = AnswerPreamble(preamble) else { return }
      guard whole.node == node, whole.key == keys.keyID else { throw .identity }
      history = TranscriptHistory(responseNonce: whole.responseNonce)
    }
    reader.append(rest)
    do throws(WireError) {
      while let chunk = try reader.next() {
        guard !chunk.isFinal else { continue }
        history?.append(reader.bytes.span.extracting(chunk.range))
      }
    } catch { throw .wire(error) }
  }

  /// A receipt came on the control channel.
  ///
  /// - Returns: The receipt, which is now the last.
  /// - Throws: `crypto` for its signature, `receiptMismatch` with the field that is wrong.
  @discardableResult
  package mutating func receive(_ bytes: [UInt8]) throws(RecordError) -> Receipt {
    let receipt = try Receipt(verifying: bytes, key: keys.receiptKey)
    let claims = receipt.claims
    try ReceiptRules.check(claims, head: head, node: node, keys: keys, statement: statement)
    // Of an answer that was stopped before its first byte nothing was forwarded, not even the nonce
    // that its transcript begins with: there is nothing to compare, and no output to be paid.
    let isEmpty = history == nil && claims.chunks == 0 && claims.completionTokens == 0
    guard isEmpty || history?.digest(after: claims.chunks) == claims.transcript else {
      throw .receiptMismatch("transcript")
    }
    if let last { try ReceiptRules.check(claims, follows: last.claims) }
    last = receipt
    return receipt
  }
}

/// The rules that every verifier of receipts applies.
package enum ReceiptRules: Sendable {
  /// Throws unless the claims are about this request, machine and model.
  package static func check(
    _ claims: ReceiptClaims, head: EnvelopeHead, node: NodeID, keys: WorkerKeys,
    statement: KeyStatement
  ) throws(RecordError) {
    #if !MUTANT_KEY_BINDING
    guard claims.node == node else { throw .receiptMismatch("node") }
    guard claims.key == keys.keyID else { throw .receiptMismatch("key") }
    #endif
    guard claims.requestNonce == head.requestNonce else { throw .receiptMismatch("request nonce") }
    guard claims.model == keys.model, claims.model == head.routing.model else {
      throw .receiptMismatch("model")
    }
    guard claims.release == statement.release else { throw .receiptMismatch("release") }
    guard claims.engine == statement.engine else { throw .receiptMismatch("engine") }
    guard claims.evidence == statement.evidence else { throw .receiptMismatch("evidence") }
    guard claims.answer == head.routing.answer else { throw .receiptMismatch("answer") }
    guard claims.part == head.routing.part else { throw .receiptMismatch("part") }
    guard claims.completionTokens <= head.routing.tokenClass.tokens else {
      throw .receiptMismatch("completion tokens")
    }
    // A prompt token stands for at least one byte of the prompt.
    guard claims.promptTokens <= head.routing.paddedByteCount + templateTokens else {
      throw .receiptMismatch("prompt tokens")
    }
    guard claims.start.seconds <= claims.end.seconds else { throw .receiptMismatch("times") }
    // Part 0 continues too when its coordinator knows nothing of the parts before it.
    guard claims.mode != .whole || claims.part == 0 else { throw .receiptMismatch("mode") }
    guard claims.mode != .whole || claims.replayedTokens == 0 else {
      throw .receiptMismatch("replayed tokens")
    }
  }

  /// Throws when a later receipt takes back what an earlier one said.
  package static func check(
    _ claims: ReceiptClaims, follows earlier: ReceiptClaims
  ) throws(RecordError) {
    guard earlier.finish == nil || earlier.finish == claims.finish else {
      throw .receiptMismatch("finish")
    }
    guard claims.completionTokens >= earlier.completionTokens else {
      throw .receiptMismatch("completion tokens")
    }
    guard claims.chunks >= earlier.chunks, claims.end >= earlier.end else {
      throw .receiptMismatch("order")
    }
    guard claims.promptTokens == earlier.promptTokens else {
      throw .receiptMismatch("prompt tokens")
    }
    guard claims.start == earlier.start, claims.mode == earlier.mode,
      claims.replayedTokens == earlier.replayedTokens, claims.sampling == earlier.sampling,
      claims.requestCommitment == earlier.requestCommitment
    else { throw .receiptMismatch("identity") }
  }

  /// Tokens that a chat template may add to the bytes of a prompt.
  package static let templateTokens = 4_096
}
