import BloomBase
import BloomCrypto
import BloomHPKE
import BloomOpen
import BloomRecords
import BloomSeal
import BloomWire

/// A machine with one worker, and a client that trusts it; everything from one seed.
struct Fixture {
  static let now = UnixTime(1_795_000_100)
  static let model = ModelID(digest(0x11))
  static let answer: AnswerID = {
    var generator = SeededGenerator(seed: 16)
    return AnswerID(using: &generator)
  }()

  let statement: KeyStatement
  let record: NodeRecord
  let target: SealTarget
  let secrets: WorkerSecrets
  let identity: WorkerIdentity

  static func digest(_ byte: UInt8) -> Digest {
    Digest([UInt8](repeating: byte, count: 32)) ?? .zero
  }

  init(seed: UInt8 = 1, suite: HPKESuite = .p256) throws {
    let bytes = [UInt8](repeating: seed, count: 32)
    let identityKey = try SigningKey.derive(.p256, seed: [1] + bytes)
    let receiptKey = try SigningKey.derive(.p256, seed: [2] + bytes)
    let encryptionKey = try SoftwareKEMKey.derive(
      suite.kem, keyMaterial: SecretBytes([3] + bytes))
    let evidence = Evidence.none
    statement = KeyStatement(
      identityKey: identityKey.verifyingKey,
      workers: [
        WorkerKeys(
          suite: suite, encryptionKey: encryptionKey.publicKey,
          receiptKey: receiptKey.verifyingKey, model: Self.model)
      ], notBefore: UnixTime(1_795_000_000), notAfter: UnixTime(1_795_003_600),
      release: Self.digest(0x22), evidence: evidence.digest, platform: .none, bootEpoch: 7,
      paddingProfiles: [.off, .padded, .steady], capacityBucket: 3,
      sandbox: [.noNetwork, .noFiles], engine: Self.digest(0x33))
    record = try NodeRecord(
      signedStatement: statement.signed(by: identityKey), evidence: evidence)
    let verified = try TierPolicy(minimum: .software).admit(record, at: Self.now)
    target = try SealTarget(verified, model: Self.model, at: Self.now)
    secrets = WorkerSecrets(suite: suite, encryptionKey: encryptionKey, receiptKey: receiptKey)
    identity = WorkerIdentity(
      node: statement.nodeID, model: Self.model, release: statement.release,
      engine: statement.engine, evidence: statement.evidence, notBefore: statement.notBefore,
      notAfter: statement.notAfter)
  }

  func opener() -> RequestOpener { RequestOpener(secrets: secrets, identity: identity) }

  static func request(content: String = "Hi", part: Int = 0) -> CanonicalRequest {
    CanonicalRequest(
      kind: .chat,
      body: .members([
        "messages": .array([.members(["role": .string("user"), "content": .string(content)])]),
        "max_tokens": .integer(200),
      ]),
      answer: .init(
        id: Fixture.answer, created: now, now: now, seed: 5),
      resume: part == 0
        ? nil : .init(part: part, choices: [.init(tokens: [1, 2], isDone: false)]), salt: "salt")
  }

  static func options(_ padding: PaddingProfile = .padded) -> SealOptions {
    SealOptions(tokenClass: .upTo256, deadlineMilliseconds: 30_000, padding: padding)
  }

  static func counts(
    _ finish: FinishReason? = nil, mode: ContinuationMode = .whole
  ) -> ReceiptCounts {
    ReceiptCounts(
      promptTokens: 12, finish: finish, end: now + 1, sampling: digest(0x44), mode: mode)
  }

  static func frame(_ token: UInt32, _ text: String) -> Frame {
    .tokens(TokenFrame(tokens: [token], deltas: [.content(text)]))
  }

  func seal(
    _ request: CanonicalRequest = Fixture.request(), _ padding: PaddingProfile = .padded,
    with others: [Fixture] = []
  ) throws -> SealedRequest {
    try RequestSealer.seal(
      request, options: Self.options(padding),
      contexts: ReadyContexts([target] + others.map(\.target)))
  }

  /// A short complete answer: preamble and chunks, split where the sealer split them.
  func answer(_ sealed: SealedRequest, tokens: Int = 3) throws -> [[UInt8]] {
    var opener = opener()
    var sealer = try opener.open(sealed.envelope, at: Self.now).answer(start: Self.now)
    var pieces: [[UInt8]] = []
    func take(_ body: (inout [UInt8]) throws -> Void) throws {
      var output: [UInt8] = []
      try body(&output)
      if !output.isEmpty { pieces.append(output) }
    }
    for index in 0..<tokens {
      try take { try sealer.send([Self.frame(UInt32(index), "t\(index)")], into: &$0) }
    }
    while sealer.needsTicks { try take { try sealer.tick(into: &$0) } }
    try take { _ = try sealer.receipt(Self.counts(), into: &$0) }
    while sealer.needsTicks { try take { try sealer.tick(into: &$0) } }
    try take { _ = try sealer.finish(Self.counts(.stop), into: &$0) }
    return pieces
  }
}
