internal import BloomBase
internal import BloomCrypto
internal import BloomHPKE
internal import BloomRecords
internal import BloomWire

/// The opener's state once it knows which machine answers.
struct OpenAnswer: ~Copyable, Sendable {
  private let target: SealTarget
  private let head: EnvelopeHead
  private let isContinued: Bool
  private let requestCommitment: Digest
  private var cipher: ChunkCipher
  private var reader = ChunkReader()
  private var frames = FrameDecoder()
  private var plaintext: [UInt8] = []
  private var history: TranscriptHistory
  private var commitment: HMAC<SHA256>
  private var deliveredTokens = 0
  private var last: Receipt?

  init(
    _ keys: AnswerKeys, head: EnvelopeHead, request: [UInt8], isContinued: Bool,
    preamble: AnswerPreamble
  ) throws(SealError) {
    let cipher: ChunkCipher
    do throws(CryptoError) {
      cipher = try ChunkCipher(
        answerSecret: keys.answerSecret, encapsulatedKey: keys.encapsulatedKey,
        responseNonce: preamble.responseNonce)
    } catch { throw .crypto(error) }
    self.cipher = cipher
    self.head = head
    self.isContinued = isContinued
    target = keys.target
    requestCommitment = HMAC<SHA256>.digest(key: keys.commitKey, message: request)
    commitment = HMAC<SHA256>(key: keys.commitKey)
    history = TranscriptHistory(responseNonce: preamble.responseNonce)
  }

  /// Opens what is complete; returns whether the final chunk was among it.
  mutating func receive(
    _ bytes: ArraySlice<UInt8>, _ deliver: (AnswerEvent) -> Void
  ) throws(SealError) -> Bool {
    reader.append(bytes)
    while let chunk = try nextChunk() {
      plaintext.removeAll(keepingCapacity: true)
      do throws(CryptoError) {
        try cipher.open(
          reader.bytes.span.extracting(chunk.range), isFinal: chunk.isFinal,
          appendingTo: &plaintext)
      } catch {
        #if !MUTANT_TAG
        throw .notAuthentic
        #endif
      }
      frames.add(plaintext[...])
      while let range = try nextFrame() { try handle(range, deliver) }
      guard !chunk.isFinal else {
        try finish(deliver)
        return true
      }
      history.append(reader.bytes.span.extracting(chunk.range))
    }
    return false
  }

  private mutating func nextChunk() throws(SealError) -> ChunkReader.Chunk? {
    do throws(WireError) { return try reader.next() } catch { throw .wire(error) }
  }

  private mutating func nextFrame() throws(SealError) -> Range<Int>? {
    do throws(WireError) { return try frames.next() } catch { throw .wire(error) }
  }

  private mutating func handle(
    _ range: Range<Int>, _ deliver: (AnswerEvent) -> Void
  ) throws(SealError) {
    let frame = try reading { () throws(WireError) in
      try Frame(decoding: frames.bytes, range: range)
    }
    if case .receipt(let receipt) = frame {
      deliver(.receipt(try check(receipt)))
      return
    }
    commitment.update(frames.bytes[range])
    if case .tokens(let tokens) = frame { deliveredTokens += tokens.tokens.count }
    deliver(.frame(frame))
  }

  private mutating func finish(_ deliver: (AnswerEvent) -> Void) throws(SealError) {
    guard reader.isBoundary, frames.isAtBoundary else { throw .wire(.trailingBytes) }
    guard let last, last.claims.finish != nil else {
      throw .record(.receiptMismatch("finish"))
    }
    guard last.claims.completionTokens == deliveredTokens else {
      throw .record(.receiptMismatch("completion tokens"))
    }
    guard last.claims.transcript == history.current else {
      throw .record(.receiptMismatch("transcript"))
    }
    deliver(.finished(last))
  }

  /// A receipt must be about this request, signed by this worker, and match what came before it.
  private mutating func check(_ bytes: [UInt8]) throws(SealError) -> Receipt {
    let receipt = try checkingRecord { () throws(RecordError) in
      let receipt = try Receipt(verifying: bytes, key: target.keys.receiptKey)
      try ReceiptRules.check(
        receipt.claims, head: head, node: target.node, keys: target.keys,
        statement: target.statement)
      if let last { try ReceiptRules.check(receipt.claims, follows: last.claims) }
      return receipt
    }
    let claims = receipt.claims
    // The coordinator cannot know whether the request goes on from anything; this device does.
    guard (claims.mode == .whole) == !isContinued else {
      throw .record(.receiptMismatch("mode"))
    }
    guard claims.requestCommitment == requestCommitment else {
      throw .record(.receiptMismatch("request commitment"))
    }
    #if !MUTANT_TRANSCRIPT
    guard history.digest(after: claims.chunks) == claims.transcript else {
      throw .record(.receiptMismatch("transcript"))
    }
    #endif
    #if !MUTANT_COUNTS
    guard claims.completionTokens == deliveredTokens else {
      throw .record(.receiptMismatch("completion tokens"))
    }
    #endif
    #if !MUTANT_FRAMES
    guard claims.framesCommitment == commitment.digest() else {
      throw .record(.receiptMismatch("frames commitment"))
    }
    #endif
    last = receipt
    return receipt
  }
}
