package import BloomBase
package import BloomCrypto
package import BloomWire

/// How the delivered tokens of earlier parts were brought back before this part went on.
package enum ContinuationMode: UInt8, Sendable, Hashable, CaseIterable {
  /// There was nothing to bring back: the answer's first part.
  case whole = 0
  /// Prompt and delivered tokens were prefilled.
  case continued = 1
  /// Replayed so that a greedy answer is byte-equal to an uninterrupted one.
  case exact = 2
}

/// What a receipt says, before it is signed; cumulative within the part.
package struct ReceiptClaims: Sendable, Hashable {
  /// 2: the machine.
  package var node: NodeID
  /// 3: the key that the request was opened with.
  package var key: KeyID
  /// 4: names the request.
  package var requestNonce: Digest
  /// 5: HMAC-SHA256(ck, canonical request).
  package var requestCommitment: Digest
  /// 6: h_i over the sealed chunks so far.
  package var transcript: Digest
  /// 7: HMAC-SHA256(ck, frames so far), receipts excluded.
  package var framesCommitment: Digest
  /// 8: the model.
  package var model: ModelID
  /// 9: agent and worker as released.
  package var release: Digest
  /// 10: engine, flags, processor, decoding profile.
  package var engine: Digest
  /// 11: tokens of the prompt, without replayed ones.
  package var promptTokens: Int
  /// 12: tokens of earlier parts that were computed again.
  package var replayedTokens: Int
  /// 13: sampled tokens that were delivered, hidden reasoning included, end of answer not.
  package var completionTokens: Int
  /// 14: why the answer ended; `nil` while it runs.
  package var finish: FinishReason?
  /// 15: when the part began.
  package var start: UnixTime
  /// 16: when the receipt was made.
  package var end: UnixTime
  /// 17: digest of the sampling parameters used.
  package var sampling: Digest
  /// 18: root over sampled logits for audits, when kept.
  package var fingerprint: Digest?
  /// 19: the evidence that vouches for the keys.
  package var evidence: Digest
  /// 20: the answer.
  package var answer: AnswerID
  /// 21: which part of it.
  package var part: Int
  /// 22: how earlier parts were brought back.
  package var mode: ContinuationMode
  /// 23: the number of sealed chunks that the transcript covers.
  package var chunks: Int

  /// Sets every field.
  package init(
    node: NodeID, key: KeyID, requestNonce: Digest, requestCommitment: Digest, transcript: Digest,
    framesCommitment: Digest, model: ModelID, release: Digest, engine: Digest, promptTokens: Int,
    replayedTokens: Int, completionTokens: Int, finish: FinishReason?, start: UnixTime,
    end: UnixTime, sampling: Digest, fingerprint: Digest?, evidence: Digest, answer: AnswerID,
    part: Int, mode: ContinuationMode, chunks: Int
  ) {
    self.node = node
    self.key = key
    self.requestNonce = requestNonce
    self.requestCommitment = requestCommitment
    self.transcript = transcript
    self.framesCommitment = framesCommitment
    self.model = model
    self.release = release
    self.engine = engine
    self.promptTokens = promptTokens
    self.replayedTokens = replayedTokens
    self.completionTokens = completionTokens
    self.finish = finish
    self.start = start
    self.end = end
    self.sampling = sampling
    self.fingerprint = fingerprint
    self.evidence = evidence
    self.answer = answer
    self.part = part
    self.mode = mode
    self.chunks = chunks
  }
}

/// A signed receipt: COSE_Sign1 ES256 by the worker's receipt key.
///
/// Content shows only as keyed commitments, so the coordinator may hold receipts.
package struct Receipt: Sendable, Hashable {
  /// What it says.
  package let claims: ReceiptClaims
  /// Its bytes.
  package let encoded: [UInt8]

  private let message: COSESign1

  /// Signs claims.
  package init(signing claims: ReceiptClaims, signer: some MessageSigner) throws(RecordError) {
    message = try checking { () throws(CryptoError) in
      try COSESign1(
        signing: claims.payload, contentType: Labels.receiptType, externalData: Labels.receipt,
        signer: signer)
    }
    self.claims = claims
    encoded = message.encoded
  }

  /// Reads a receipt whose signature is not checked yet.
  package init(unverified bytes: [UInt8]) throws(RecordError) {
    guard bytes.count <= Limits.receipt else { throw .wire(.tooLarge) }
    message = try checking { () throws(CryptoError) in try COSESign1(decoding: bytes) }
    guard message.contentType == Labels.receiptType else { throw .contentType }
    claims = try ReceiptClaims(payload: message.payload)
    encoded = bytes
  }

  /// Reads a receipt and checks its signature.
  package init(verifying bytes: [UInt8], key: VerifyingKey) throws(RecordError) {
    try self.init(unverified: bytes)
    try verify(key)
  }

  /// Throws `crypto` unless the receipt was signed by a key.
  package func verify(_ key: VerifyingKey) throws(RecordError) {
    try checking { () throws(CryptoError) in
      try message.verify(key, externalData: Labels.receipt)
    }
  }

  /// What names it in settlements and acknowledgements.
  package var digest: Digest { SHA256.digest(encoded) }
}
