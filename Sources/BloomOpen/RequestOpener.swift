package import BloomBase
internal import BloomCrypto
internal import BloomHPKE
package import BloomRecords
package import BloomWire

/// Opens the requests that were sealed to one key, each once; the mirror of the client's sealer.
///
/// One a key epoch. It remembers every wrap it opened for the key's life, so a restart, which loses
/// that memory, must also lose the key.
package struct RequestOpener: ~Copyable, Sendable {
  /// The most requests of one key; about 80 bytes of memory each.
  package static let maximumRequests = 262_144

  /// What receipts say about the machine.
  package let identity: WorkerIdentity
  private let secrets: WorkerSecrets
  private var seen: Set<Digest> = []

  /// Starts an epoch.
  package init(secrets: WorkerSecrets, identity: WorkerIdentity) {
    self.secrets = secrets
    self.identity = identity
  }

  /// The key's name.
  package var keyID: KeyID { secrets.keyID }

  /// Opens an envelope with this machine among its candidates.
  ///
  /// - Parameters:
  ///   - envelope: All of its bytes.
  ///   - now: For the key's age.
  /// - Returns: The request, or the error that must be sealed to the client, and the answer's
  ///   sealer.
  /// - Throws: What the coordinator may know, before anything was opened or computed.
  package mutating func open(
    _ envelope: [UInt8], at now: UnixTime
  ) throws(OpenError) -> OpenedRequest {
    guard envelope.count <= Limits.envelope else { throw OpenError(.tooLarge) }
    let prefix = try read(envelope)
    #if !MUTANT_EXPIRY
    guard identity.isAccepted(at: now) else { throw OpenError(.staleKey) }
    #endif
    guard let candidate = prefix.candidates.first(where: { $0.node == identity.node }) else {
      throw OpenError(.malformed)
    }
    guard candidate.key == keyID else { throw OpenError(.staleKey) }
    guard prefix.head.suite == secrets.suite else { throw OpenError(.malformed) }
    guard envelope.count - prefix.byteCount == prefix.bodyByteCount else {
      throw OpenError(.malformed)
    }
    let wrap = SHA256.digest(candidate.encapsulatedKey)
    #if !MUTANT_REPLAY
    guard !seen.contains(wrap) else { throw OpenError(.replay) }
    #endif
    guard seen.count < Self.maximumRequests else { throw OpenError(.busy) }
    do throws(CryptoError) {
      return try open(envelope, prefix, candidate, remembering: wrap)
    } catch { throw OpenError(.malformed) }
  }

  private func read(_ envelope: [UInt8]) throws(OpenError) -> EnvelopePrefix {
    let prefix: EnvelopePrefix?
    do throws(RecordError) { prefix = try EnvelopePrefix.read(envelope) } catch {
      throw OpenError(.malformed)
    }
    guard let prefix else { throw OpenError(.malformed) }
    return prefix
  }

  private mutating func open(
    _ envelope: [UInt8], _ prefix: EnvelopePrefix, _ candidate: Candidate, remembering wrap: Digest
  ) throws(CryptoError) -> OpenedRequest {
    let info = WrapInfo.bytes(node: identity.node, key: candidate.key)
    var recipient = try HPKERecipient(
      encapsulatedKey: candidate.encapsulatedKey, key: secrets.encryptionKey, suite: secrets.suite,
      info: info)
    let body = envelope[prefix.byteCount...]
    let binding = WrapInfo.associatedData(head: prefix.headBytes, body: body.span)
    var key = try recipient.open(candidate.wrappedKey, associatedData: binding)
    defer { wipe(&key) }
    let plaintext = try openBody(
      body, envelopeKey: SecretBytes(key), requestNonce: prefix.head.requestNonce)
    seen.insert(wrap)

    let commitKey = try recipient.export(Labels.commit, count: 32)
    let answerSecret = try recipient.export(Labels.response, count: 32)
    let content = Self.content(plaintext, prefix.head.routing, identity.model)
    let materials = AnswerMaterials(
      head: prefix.head, identity: identity, key: candidate.key,
      encapsulatedKey: candidate.encapsulatedKey, answerSecret: answerSecret,
      commitKey: commitKey,
      requestCommitment: HMAC<SHA256>.digest(key: commitKey, message: content.bytes),
      receiptKey: secrets.receiptKey)
    return OpenedRequest(
      content: content.result, routing: prefix.head.routing, materials: materials)
  }

  private func openBody(
    _ body: ArraySlice<UInt8>, envelopeKey: SecretBytes, requestNonce: Digest
  ) throws(CryptoError) -> [UInt8] {
    var cipher = try ChunkCipher(envelopeKey: envelopeKey, requestNonce: requestNonce)
    var reader = ChunkReader()
    reader.append(body)
    var plaintext: [UInt8] = []
    plaintext.reserveCapacity(body.count)
    do throws(WireError) {
      while let chunk = try reader.next() {
        do throws(CryptoError) {
          try cipher.open(
            reader.bytes.span.extracting(chunk.range), isFinal: chunk.isFinal,
            appendingTo: &plaintext)
        } catch { throw WireError.unsupported }
      }
    } catch { throw CryptoError(.authenticationFailed, "a request's body") }
    guard reader.isComplete, reader.isBoundary else {
      throw CryptoError(.authenticationFailed, "a request's body")
    }
    return plaintext
  }

  /// The request without padding, compared with what was said in clear.
  private static func content(
    _ plaintext: [UInt8], _ routing: Routing, _ model: ModelID
  ) -> (bytes: [UInt8], result: Result<CanonicalRequest, SealedError>) {
    let end = plaintext.lastIndex { $0 != 0 }.map { $0 + 1 } ?? 0
    let bytes = Array(plaintext[..<end])
    guard PaddedSize.holding(end) == routing.paddedByteCount else {
      return (bytes, .failure(.mismatch("padding")))
    }
    let request: CanonicalRequest
    do throws(WireError) { request = try CanonicalRequest(decoding: bytes) } catch {
      let message = "the request is not valid: \(error.publicDescription)"
      return (bytes, .failure(SealedError(code: .invalidRequest, message: message)))
    }
    #if !MUTANT_ROUTING
    if routing.model != model { return (bytes, .failure(.mismatch("model"))) }
    if routing.kind != request.kind { return (bytes, .failure(.mismatch("kind"))) }
    if routing.part != request.part { return (bytes, .failure(.mismatch("part"))) }
    if routing.answer != request.answer.id { return (bytes, .failure(.mismatch("answer"))) }
    if let tokens = request.maximumTokens, tokens > routing.tokenClass.tokens {
      return (bytes, .failure(.mismatch("max_tokens")))
    }
    #endif
    return (bytes, .success(request))
  }
}

/// An opened request: its content or what is wrong with it, and the sealer of the answer.
package struct OpenedRequest: ~Copyable, Sendable {
  /// The request, or the error that the client gets sealed.
  package let content: Result<CanonicalRequest, SealedError>
  /// What was said in clear.
  package let routing: Routing
  private let materials: AnswerMaterials

  init(
    content: Result<CanonicalRequest, SealedError>, routing: Routing, materials: AnswerMaterials
  ) {
    self.content = content
    self.routing = routing
    self.materials = materials
  }

  /// Starts the answer, once: opening a second answer under one key would repeat nonces.
  ///
  /// - Parameters:
  ///   - start: When the part begins, for the receipts.
  ///   - steadyByteCount: Plaintext bytes of one chunk of profile `steady`: 512, with logprobs 4096.
  /// - Returns: The answer's sealer.
  /// - Throws: `internalFault` when libcrypto fails.
  package consuming func answer(
    start: UnixTime, steadyByteCount: Int = 512
  ) throws(OpenError) -> ResponseSealer {
    let nonce = Digest(SecureRandom.bytes(32)) ?? .zero
    return try answer(start: start, responseNonce: nonce, steadyByteCount: steadyByteCount)
  }

  /// Starts the answer with a given nonce, for test vectors.
  package consuming func answer(
    start: UnixTime, responseNonce: Digest, steadyByteCount: Int = 512
  ) throws(OpenError) -> ResponseSealer {
    do throws(CryptoError) {
      return try ResponseSealer(
        materials, responseNonce: responseNonce, start: start, steadyByteCount: steadyByteCount)
    } catch { throw OpenError(.internalFault) }
  }
}

extension CanonicalRequest {
  /// The most tokens that the body asks for, all choices together; `nil` when it does not say.
  package var maximumTokens: Int? {
    let limit = body["max_completion_tokens"]?.integer ?? body["max_tokens"]?.integer
    guard let limit, (0...(1 << 30)).contains(limit) else { return nil }
    let choices = max(1, min(body["n"]?.integer ?? 1, Int64(Limits.choices)))
    return Int(limit * choices)
  }
}

extension SealedError {
  fileprivate static func mismatch(_ field: String) -> SealedError {
    SealedError(
      code: .invalidRequest, message: "the sealed request's \(field) contradicts its routing")
  }
}
