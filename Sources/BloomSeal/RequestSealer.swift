package import BloomBase
package import BloomCrypto
internal import BloomHPKE
package import BloomRecords
package import BloomWire

/// What the user wants beside the content, in clear for the coordinator.
package struct SealOptions: Sendable {
  /// The most tokens of all choices together.
  package var tokenClass: TokenClass
  /// Milliseconds that the client waits for the first token.
  package var deadlineMilliseconds: Int
  /// How the answer is padded.
  package var padding: PaddingProfile
  /// Conditions for the coordinator.
  package var constraints: Routing.Constraints

  /// Sets every field.
  package init(
    tokenClass: TokenClass, deadlineMilliseconds: Int, padding: PaddingProfile = .padded,
    constraints: Routing.Constraints = Routing.Constraints()
  ) {
    self.tokenClass = tokenClass
    self.deadlineMilliseconds = deadlineMilliseconds
    self.padding = padding
    self.constraints = constraints
  }
}

/// A request's canonical bytes and what its routing says of them: encoded once, sealed as often as
/// envelopes are needed.
package struct EncodedRequest: Sendable {
  /// What is asked for.
  package let kind: JobKind
  /// The answer's identity.
  package let answer: AnswerID
  /// The part's number.
  package let part: Int
  /// Whether it goes on from delivered tokens.
  package let isContinued: Bool
  /// The bytes that are sealed, before padding.
  package let bytes: [UInt8]

  /// Encodes a request.
  package init(_ request: CanonicalRequest) {
    kind = request.kind
    answer = request.answer.id
    part = request.part
    isContinued = request.resume != nil
    bytes = request.encoded
  }
}

/// A sealed request, and the means to open its answer.
package struct SealedRequest: Sendable {
  /// The bytes for the coordinator, or for one machine directly.
  package let envelope: [UInt8]
  /// The head, as the coordinator reads it.
  package let head: EnvelopeHead
  let requestBytes: [UInt8]
  /// Whether it goes on from delivered tokens.
  let isContinued: Bool
  let answers: [AnswerKeys]

  /// Starts to open an answer; each attempt at another machine needs its own.
  package func opener() -> ResponseOpener { ResponseOpener(self) }

  /// What to keep of a verified receipt, so that it can be verified again offline.
  ///
  /// - Parameters:
  ///   - receipt: From this request's opener.
  ///   - cost: What the coordinator booked.
  /// - Returns: `nil` for the receipt of a machine that was not asked.
  package func file(of receipt: Receipt, cost: Micros?) -> ReceiptFile? {
    guard let keys = answers.first(where: { $0.target.node == receipt.claims.node }) else {
      return nil
    }
    return ReceiptFile(
      receipt: receipt.encoded, record: keys.target.record.encoded, commitKey: keys.commitKey,
      cost: cost)
  }

  /// The content as it is before any frame: the canonical request's bytes.
  package var content: ReceiptContent { ReceiptContent(request: requestBytes) }

  /// The key of a machine's commitments: whoever has it can check receipts against the content.
  package func commitKey(of node: NodeID) -> SecretBytes? {
    answers.first { $0.target.node == node }?.commitKey
  }
}

/// Seals requests: one body, one wrapped key a machine.
package enum RequestSealer: Sendable {
  /// Seals a request with fresh secrets.
  ///
  /// - Parameters:
  ///   - request: What is asked.
  ///   - options: What the coordinator may know.
  ///   - contexts: Used up.
  /// - Returns: The envelope and the means to open its answer.
  /// - Throws: `requestTooLarge`; `crypto` when libcrypto fails.
  package static func seal(
    _ request: CanonicalRequest, options: SealOptions, contexts: consuming ReadyContexts
  ) throws(SealError) -> SealedRequest {
    try seal(EncodedRequest(request), options: options, contexts: contexts)
  }

  /// Seals an encoded request with fresh secrets.
  package static func seal(
    _ request: EncodedRequest, options: SealOptions, contexts: consuming ReadyContexts
  ) throws(SealError) -> SealedRequest {
    let secrets = try checking { () throws(CryptoError) in
      (try SecretBytes.random(count: 32), SecureRandom.bytes(32))
    }
    return try seal(
      request, options: options, contexts: contexts, envelopeKey: secrets.0,
      requestNonce: Digest(secrets.1) ?? .zero)
  }

  /// Seals a request with given secrets, for test vectors; never use a pair twice.
  package static func seal(
    _ request: CanonicalRequest, options: SealOptions, contexts: consuming ReadyContexts,
    envelopeKey: SecretBytes, requestNonce: Digest
  ) throws(SealError) -> SealedRequest {
    try seal(
      EncodedRequest(request), options: options, contexts: contexts, envelopeKey: envelopeKey,
      requestNonce: requestNonce)
  }

  private static func seal(
    _ request: EncodedRequest, options: SealOptions, contexts: consuming ReadyContexts,
    envelopeKey: SecretBytes, requestNonce: Digest
  ) throws(SealError) -> SealedRequest {
    let plaintext = request.bytes
    guard let padded = PaddedSize.holding(plaintext.count) else { throw .requestTooLarge }
    let routing = Routing(
      model: contexts.model, kind: request.kind, paddedByteCount: padded,
      tokenClass: options.tokenClass, deadlineMilliseconds: options.deadlineMilliseconds,
      padding: options.padding, answer: request.answer, part: request.part,
      constraints: options.constraints)
    let head = EnvelopeHead(suite: contexts.suite, requestNonce: requestNonce, routing: routing)
    let headBytes = head.encoded
    // All of one suite, so all of one size: the body is sealed where it stays, behind their place.
    let wrapsByteCount = contexts.count * contexts.first.candidateByteCount
    let bodyStart = headBytes.count + 1 + wrapsByteCount
    var envelope: [UInt8] = []
    envelope.reserveCapacity(bodyStart + ChunkFraming.bodyByteCount(padded))
    envelope.append(contentsOf: headBytes)
    envelope.append(UInt8(contexts.count))
    ChunkFraming.appendZeros(wrapsByteCount, to: &envelope)
    try sealBody(plaintext, padded: padded, envelopeKey, requestNonce, into: &envelope)
    let binding = WrapInfo.associatedData(
      head: headBytes, body: envelope.span.extracting(bodyStart..<envelope.count))

    var wraps: [UInt8] = []
    wraps.reserveCapacity(wrapsByteCount)
    var answers: [AnswerKeys] = []
    answers.reserveCapacity(contexts.count)
    try wrap(contexts.first, envelopeKey, binding, &wraps, &answers)
    try wrap(contexts.second, envelopeKey, binding, &wraps, &answers)
    try wrap(contexts.third, envelopeKey, binding, &wraps, &answers)
    try wrap(contexts.fourth, envelopeKey, binding, &wraps, &answers)
    invariant(wraps.count == wrapsByteCount, "wraps of different sizes")
    envelope.replaceSubrange(headBytes.count + 1..<bodyStart, with: wraps)
    return SealedRequest(
      envelope: envelope, head: head, requestBytes: plaintext,
      isContinued: request.isContinued, answers: answers)
  }

  private static func wrap(
    _ context: consuming ReadyContext?, _ envelopeKey: SecretBytes, _ binding: [UInt8],
    _ envelope: inout [UInt8], _ answers: inout [AnswerKeys]
  ) throws(SealError) {
    guard let context else { return }
    let (candidate, answer) = try context.wrap(envelopeKey, associatedData: binding)
    candidate.append(to: &envelope)
    answers.append(answer)
  }

  private static func sealBody(
    _ plaintext: [UInt8], padded: Int, _ envelopeKey: SecretBytes, _ requestNonce: Digest,
    into envelope: inout [UInt8]
  ) throws(SealError) {
    do throws(CryptoError) {
      var cipher = try ChunkCipher(envelopeKey: envelopeKey, requestNonce: requestNonce)
      var offset = 0
      while offset < padded {
        let end = min(padded, offset + ChunkFraming.maximumPlaintext)
        let isFinal = end == padded
        ChunkFraming.appendPrefix(
          sealedByteCount: end - offset + ChunkFraming.tagByteCount, isFinal: isFinal,
          to: &envelope)
        let start = envelope.count
        let text = min(offset, plaintext.count)..<min(end, plaintext.count)
        envelope.append(contentsOf: plaintext[text])
        ChunkFraming.appendZeros(end - offset - text.count, to: &envelope)
        try cipher.seal(endOf: &envelope, from: start, isFinal: isFinal)
        offset = end
      }
    } catch { throw .crypto(error) }
  }
}
