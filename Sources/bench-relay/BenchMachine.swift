internal import BloomBase
internal import BloomCrypto
internal import BloomHPKE
internal import BloomOpen
internal import BloomRecords
internal import BloomSeal
internal import BloomWire

/// A machine with real keys and a real record, and how a client seals to it.
struct BenchMachine: Sendable {
  static let model = ModelID(SHA256.digest([7]))

  let identityKey: SigningKey
  let record: NodeRecord
  let target: SealTarget
  let secrets: WorkerSecrets
  let identity: WorkerIdentity

  /// Makes the machine of a number.
  ///
  /// - Parameters:
  ///   - number: Decides its keys.
  ///   - evidenceBytes: Of a format that nobody knows, so that records have a real size.
  /// - Throws: What libcrypto throws.
  init(_ number: Int, evidenceBytes: Int) throws {
    let now = SystemTime().unixTime()
    let seed = (0..<32).map { UInt8(truncatingIfNeeded: number >> (8 * ($0 % 4))) }
    identityKey = try SigningKey.derive(.p256, seed: [1] + seed)
    let receiptKey = try SigningKey.derive(.p256, seed: [2] + seed)
    let encryptionKey = try SoftwareKEMKey.derive(
      HPKESuite.p256.kem, keyMaterial: SecretBytes([3] + seed))
    let evidence = Evidence(items: [
      Evidence.Format.none.rawValue: [],
      99: [UInt8](repeating: UInt8(truncatingIfNeeded: number), count: evidenceBytes),
    ])
    let statement = KeyStatement(
      identityKey: identityKey.verifyingKey,
      workers: [
        WorkerKeys(
          suite: .p256, encryptionKey: encryptionKey.publicKey,
          receiptKey: receiptKey.verifyingKey, model: Self.model)
      ], notBefore: now + -60, notAfter: now + 3_400,
      release: SHA256.digest([1]), evidence: evidence.digest, platform: .none, bootEpoch: 7,
      paddingProfiles: [.off, .padded, .steady], capacityBucket: 1, sandbox: [.noNetwork],
      engine: SHA256.digest([2]))
    record = try NodeRecord(
      signedStatement: statement.signed(by: identityKey), evidence: evidence)
    let verified = try TierPolicy(minimum: .software).admit(record, at: now)
    target = try SealTarget(verified, model: Self.model, at: now)
    secrets = WorkerSecrets(
      suite: .p256, encryptionKey: encryptionKey, receiptKey: receiptKey)
    identity = WorkerIdentity(
      node: statement.nodeID, model: Self.model, release: statement.release,
      engine: statement.engine, evidence: statement.evidence, notBefore: statement.notBefore,
      notAfter: statement.notAfter)
  }

  /// An envelope to this machine with a prompt of about a page.
  func seal(tokens: TokenClass) throws -> [UInt8] {
    let now = SystemTime().unixTime()
    var random = SecureRandom()
    let request = CanonicalRequest(
      kind: .chat,
      body: .members([
        "messages": .array([
          .members([
            "role": .string("user"),
            "content": .string(String(repeating: "a word or two ", count: 110)),
          ])
        ]),
        "max_tokens": .integer(tokens.tokens),
      ]), answer: .init(id: AnswerID(using: &random), created: now, now: now, seed: 5),
      resume: nil, salt: "salt")
    return try RequestSealer.seal(
      request,
      options: SealOptions(tokenClass: tokens, deadlineMilliseconds: 60_000, padding: .padded),
      contexts: ReadyContexts([target])
    ).envelope
  }

  func opener() -> RequestOpener { RequestOpener(secrets: secrets, identity: identity) }
}
