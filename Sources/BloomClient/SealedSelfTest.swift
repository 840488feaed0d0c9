package import BloomBase
internal import BloomCrypto
package import BloomModels
internal import BloomRecords
internal import BloomSeal
internal import BloomWire

/// Asks a machine itself: seals a small request to its record, opens the answer, checks its
/// receipt.
///
/// The same code that a user's gateway runs, without a coordinator between.
package struct SealedSelfTest: Sendable {
  /// What did not hold.
  package struct Failure: PublicError {
    /// One sentence.
    package let publicDescription: String
  }

  private static let tokens = 8
  private let time: any TimeSource

  /// Creates a test.
  package init(time: any TimeSource = SystemTime()) { self.time = time }

  /// Runs it.
  ///
  /// - Parameters:
  ///   - manifest: The model to ask.
  ///   - record: The machine's record, as clients get it.
  ///   - send: Runs an envelope and gives the whole sealed answer.
  /// - Returns: Tokens of the answer, as the checked receipt counts them.
  /// - Throws: ``Failure``, or what `send` throws.
  package func run(
    _ manifest: ModelManifest, record: [UInt8],
    send: @Sendable ([UInt8]) async throws -> [UInt8]
  ) async throws -> Int {
    let now = time.unixTime()
    let sealed: SealedRequest
    do {
      let verified = try TierPolicy(minimum: .software).admit(
        try NodeRecord(verifying: record), at: now)
      let target = try SealTarget(verified, model: manifest.id, at: now)
      sealed = try RequestSealer.seal(
        Self.request(manifest, now),
        options: SealOptions(
          tokenClass: TokenClass(holding: Self.tokens) ?? .upTo65536, deadlineMilliseconds: 60_000),
        contexts: try ReadyContexts([target]))
    } catch {
      throw Failure(
        publicDescription: "the machine's record cannot be used: \(error.safeDescription)")
    }
    let answer = try await send(sealed.envelope)
    var opener = sealed.opener()
    var receipt: Receipt?
    do throws(SealError) {
      for event in try opener.receive(answer) {
        if case .finished(let last) = event { receipt = last }
        if case .frame(.error(let error)) = event {
          throw SealError.record(.invalid("the engine says \(error.code)"))
        }
      }
      try opener.end()
    } catch {
      throw Failure(publicDescription: "the sealed answer does not hold: \(error.safeDescription)")
    }
    guard let receipt else { throw Failure(publicDescription: "the answer has no last receipt") }
    return receipt.claims.completionTokens
  }

  private static func request(_ manifest: ModelManifest, _ now: UnixTime) -> CanonicalRequest {
    let kind: JobKind
    let body: JSONValue
    let name = JSONValue.string(manifest.name)
    switch manifest.kind {
    case .embeddings:
      kind = .embeddings
      body = .members(["model": name, "input": .string("ready")])
    case .completion, .transcription:
      kind = .completion
      body = .members([
        "model": name, "prompt": .string("One, two,"), "max_tokens": .integer(tokens),
        "temperature": .integer(0),
      ])
    case .chat:
      kind = .chat
      body = .members([
        "model": name, "max_tokens": .integer(tokens), "temperature": .integer(0),
        "messages": .array([
          .members(["role": .string("user"), "content": .string("Say: ready.")])
        ]),
      ])
    }
    var random = SecureRandom()
    return CanonicalRequest(
      kind: kind, body: body,
      answer: .init(id: AnswerID(using: &random), created: now, now: now, seed: 1),
      salt: "self-test")
  }
}
