import BloomBase
import BloomCrypto
import BloomHPKE
import BloomModels
import BloomOpen
import BloomRecords
import BloomSeal
import BloomWire

/// A machine with one worker: its keys, its record, and how a client seals to it.
struct Machine: Sendable {
  /// No coordinator of the tests lists it unless it is told to.
  static let manifest = ModelManifest(
    name: "test:q8", kind: .chat,
    files: [.init(role: .weights, name: "w.gguf", sha256: .zero, byteCount: 1 << 30)],
    licence: "", contextTokens: 4_096, weightBytes: 1 << 30, contextBytesPerToken: 1
  ).encoded
  static let model = ModelID(SHA256.digest(manifest))

  let identityKey: SigningKey
  let record: NodeRecord
  let target: SealTarget
  let secrets: WorkerSecrets
  let identity: WorkerIdentity

  init(seed: UInt8 = 1) throws {
    let now = SystemTime().unixTime()
    let bytes = [UInt8](repeating: seed, count: 32)
    identityKey = try SigningKey.derive(.p256, seed: [1] + bytes)
    let receiptKey = try SigningKey.derive(.p256, seed: [2] + bytes)
    let encryptionKey = try SoftwareKEMKey.derive(
      HPKESuite.p256.kem, keyMaterial: SecretBytes([3] + bytes))
    let statement = KeyStatement(
      identityKey: identityKey.verifyingKey,
      workers: [
        WorkerKeys(
          suite: .p256, encryptionKey: encryptionKey.publicKey,
          receiptKey: receiptKey.verifyingKey, model: Self.model)
      ], notBefore: now + -60, notAfter: now + 3_000,
      release: SHA256.digest([1]), evidence: Evidence.none.digest, platform: .none, bootEpoch: 7,
      paddingProfiles: [.off, .padded, .steady], capacityBucket: 1, sandbox: [.noNetwork],
      engine: SHA256.digest([2]))
    record = try NodeRecord(
      signedStatement: statement.signed(by: identityKey), evidence: Evidence.none)
    let verified = try TierPolicy(minimum: .software).admit(record, at: now)
    target = try SealTarget(verified, model: Self.model, at: now)
    secrets = WorkerSecrets(suite: .p256, encryptionKey: encryptionKey, receiptKey: receiptKey)
    identity = WorkerIdentity(
      node: statement.nodeID, model: Self.model, release: statement.release,
      engine: statement.engine, evidence: statement.evidence, notBefore: statement.notBefore,
      notAfter: statement.notAfter)
  }

  var node: NodeID { identity.node }

  func opener() -> RequestOpener { RequestOpener(secrets: secrets, identity: identity) }
}

/// A request as the gateway would send it.
func request(
  _ answer: AnswerID, part: Int = 0, content: String = "secret words"
) -> CanonicalRequest {
  let now = SystemTime().unixTime()
  return CanonicalRequest(
    kind: .chat,
    body: .members([
      "messages": .array([.members(["role": .string("user"), "content": .string(content)])]),
      "max_tokens": .integer(200),
    ]),
    answer: .init(id: answer, created: now, now: now, seed: 5),
    resume: part == 0
      ? nil : .init(part: part, choices: [.init(tokens: [0, 1, 2, 3, 4], isDone: false)]),
    salt: "salt")
}

func newAnswer() -> AnswerID {
  var random = SecureRandom()
  return AnswerID(using: &random)
}
