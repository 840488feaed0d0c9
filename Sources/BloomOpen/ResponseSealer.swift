package import BloomBase
package import BloomCrypto
internal import BloomHPKE
package import BloomRecords
package import BloomWire

/// What an opened request hands to its answer.
struct AnswerMaterials: Sendable {
  let head: EnvelopeHead
  let identity: WorkerIdentity
  let key: KeyID
  let encapsulatedKey: [UInt8]
  let answerSecret: SecretBytes
  let commitKey: SecretBytes
  let requestCommitment: Digest
  let receiptKey: any MessageSigner
}

/// What the worker knows about a part when it signs a receipt; the rest is the sealer's own.
package struct ReceiptCounts: Sendable, Hashable {
  /// Tokens of the prompt, without replayed ones.
  package var promptTokens: Int
  /// Tokens of earlier parts that were computed again.
  package var replayedTokens: Int
  /// Why the answer ended; `nil` while it runs.
  package var finish: FinishReason?
  /// Now.
  package var end: UnixTime
  /// Digest of the sampling parameters used.
  package var sampling: Digest
  /// Root over sampled logits for audits, when kept.
  package var fingerprint: Digest?
  /// How earlier parts were brought back.
  package var mode: ContinuationMode

  /// Sets every field.
  package init(
    promptTokens: Int, replayedTokens: Int = 0, finish: FinishReason? = nil, end: UnixTime,
    sampling: Digest, fingerprint: Digest? = nil, mode: ContinuationMode = .whole
  ) {
    self.promptTokens = promptTokens
    self.replayedTokens = replayedTokens
    self.finish = finish
    self.end = end
    self.sampling = sampling
    self.fingerprint = fingerprint
    self.mode = mode
  }
}

/// Seals one answer and signs its receipts; the mirror of the client's opener.
///
/// Bytes are appended to the caller's buffer, which it empties when they are sent; the sealer
/// itself allocates nothing a chunk once its buffers have grown. It counts delivered tokens.
package struct ResponseSealer: ~Copyable, Sendable {
  /// Padded chunks have a multiple of so many plaintext bytes.
  package static let padding = 512
  /// The number of chunks of profile `steady` is a multiple of this.
  package static let steadyCount = 8
  /// The most bytes that may wait for ticks of profile `steady`.
  package static let maximumQueue = 1 << 20

  /// How the answer is padded.
  package let profile: PaddingProfile
  /// Tokens in frames so far.
  package private(set) var completionTokens = 0
  private let materials: AnswerMaterials
  private let start: UnixTime
  private let steadyByteCount: Int
  private let preamble: AnswerPreamble
  private var cipher: ChunkCipher
  private var transcript: Transcript
  private var commitment: HMAC<SHA256>
  private var encoder = CBOREncoder(capacity: 1_024)
  private var queue: [UInt8] = []
  private var queueStart = 0
  private var isStarted = false
  private var isFinished = false

  init(
    _ materials: AnswerMaterials, responseNonce: Digest, start: UnixTime, steadyByteCount: Int
  ) throws(CryptoError) {
    let cipher = try ChunkCipher(
      answerSecret: materials.answerSecret, encapsulatedKey: materials.encapsulatedKey,
      responseNonce: responseNonce)
    invariant(
      (64...ChunkFraming.maximumPlaintext).contains(steadyByteCount), "steady chunk size")
    self.cipher = cipher
    self.materials = materials
    self.start = start
    self.steadyByteCount = steadyByteCount
    profile = materials.head.routing.padding
    preamble = AnswerPreamble(
      node: materials.identity.node, key: materials.key, responseNonce: responseNonce)
    transcript = Transcript(responseNonce: responseNonce)
    commitment = HMAC<SHA256>(key: materials.commitKey)
  }

  /// Bytes that wait for ticks; above ``maximumQueue`` the caller must wait before it sends more.
  package var queuedByteCount: Int { queue.count - queueStart }

  /// Whether profile `steady` still owes ticks before ``finish(_:into:)``.
  package var needsTicks: Bool {
    profile == .steady
      && (queuedByteCount > 0 || !transcript.chunks.isMultiple(of: Self.steadyCount))
  }

  /// Sends frames: sealed at once, or queued for the next ticks in profile `steady`.
  package mutating func send(
    _ frames: [Frame], into output: inout [UInt8]
  ) throws(CryptoError) {
    for frame in frames {
      encoder.removeAll()
      frame.encode(into: &encoder)
      commitment.update(encoder.bytes)
      if case .tokens(let tokens) = frame { completionTokens += tokens.tokens.count }
      FrameDecoder.append(frame: encoder.bytes, to: &queue)
    }
    try flush(into: &output)
  }

  /// Sends one chunk of what waits, and padding, in profile `steady`; call it every 100 ms.
  package mutating func tick(into output: inout [UInt8]) throws(CryptoError) {
    invariant(profile == .steady, "only steady answers tick")
    begin(&output)
    try sealChunk(
      count: min(queuedByteCount, steadyByteCount), padded: steadyByteCount, isFinal: false,
      into: &output)
  }

  /// Signs a running receipt and sends it like a frame.
  ///
  /// - Returns: The receipt, for the coordinator.
  /// - Throws: `crypto` when the key's holder fails.
  package mutating func receipt(
    _ counts: ReceiptCounts, into output: inout [UInt8]
  ) throws(RecordError) -> Receipt {
    let receipt = try sign(counts)
    FrameDecoder.append(frame: Frame.receipt(receipt.encoded).encoded, to: &queue)
    do throws(CryptoError) { try flush(into: &output) } catch { throw .crypto(error) }
    return receipt
  }

  /// Ends the answer with its last receipt in the final chunk; nothing may be sent after it.
  ///
  /// In profile `steady` every tick that ``needsTicks`` asks for must have been sent.
  ///
  /// - Returns: The receipt, for the coordinator.
  /// - Throws: `crypto` when the key's holder fails.
  package mutating func finish(
    _ counts: ReceiptCounts, into output: inout [UInt8]
  ) throws(RecordError) -> Receipt {
    invariant(counts.finish != nil, "a last receipt says why the answer ended")
    invariant(!needsTicks, "a steady answer ends between ticks")
    do throws(CryptoError) { try flush(into: &output) } catch { throw .crypto(error) }
    begin(&output)
    let receipt = try sign(counts)
    FrameDecoder.append(frame: Frame.receipt(receipt.encoded).encoded, to: &queue)
    do throws(CryptoError) {
      let padded = profile == .off ? queuedByteCount : Self.roundedUp(queuedByteCount)
      try sealChunk(count: queuedByteCount, padded: padded, isFinal: true, into: &output)
    } catch { throw .crypto(error) }
    isFinished = true
    return receipt
  }

  private mutating func begin(_ output: inout [UInt8]) {
    invariant(!isFinished, "an answer goes on after its final chunk")
    if !isStarted { output.append(contentsOf: preamble.encoded) }
    isStarted = true
  }

  /// Seals all that waits, unless the profile waits for ticks.
  private mutating func flush(into output: inout [UInt8]) throws(CryptoError) {
    guard profile != .steady else { return }
    begin(&output)
    while queuedByteCount > 0 {
      let count = min(queuedByteCount, ChunkFraming.maximumPlaintext)
      let padded = profile == .off ? count : Self.roundedUp(count)
      try sealChunk(count: count, padded: padded, isFinal: false, into: &output)
    }
  }

  private mutating func sealChunk(
    count: Int, padded: Int, isFinal: Bool, into output: inout [UInt8]
  ) throws(CryptoError) {
    ChunkFraming.appendPrefix(
      sealedByteCount: padded + ChunkFraming.tagByteCount, isFinal: isFinal, to: &output)
    let start = output.count
    output.append(contentsOf: queue[queueStart..<queueStart + count])
    ChunkFraming.appendZeros(padded - count, to: &output)
    queueStart += count
    if queueStart == queue.count {
      queue.removeAll(keepingCapacity: true)
      queueStart = 0
    }
    try cipher.seal(endOf: &output, from: start, isFinal: isFinal)
    if !isFinal { transcript.append(endOf: output, from: start) }
  }

  private static func roundedUp(_ count: Int) -> Int {
    (count + padding - 1) / padding * padding
  }

  private func sign(_ counts: ReceiptCounts) throws(RecordError) -> Receipt {
    let identity = materials.identity
    let routing = materials.head.routing
    return try Receipt(
      signing: ReceiptClaims(
        node: identity.node, key: materials.key, requestNonce: materials.head.requestNonce,
        requestCommitment: materials.requestCommitment, transcript: transcript.digest,
        framesCommitment: commitment.digest(), model: identity.model, release: identity.release,
        engine: identity.engine, promptTokens: counts.promptTokens,
        replayedTokens: counts.replayedTokens, completionTokens: completionTokens,
        finish: counts.finish, start: start, end: counts.end, sampling: counts.sampling,
        fingerprint: counts.fingerprint, evidence: identity.evidence, answer: routing.answer,
        part: routing.part, mode: counts.mode, chunks: transcript.chunks),
      signer: materials.receiptKey)
  }
}
