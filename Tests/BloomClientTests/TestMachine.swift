import BloomBase
import BloomCrypto
import BloomHPKE
import BloomOpen
import BloomRecords
import BloomSeal
import BloomWire

/// A machine with one worker: its keys, its record, and its half of the seal.
struct TestMachine: Sendable {
  let record: NodeRecord
  let secrets: WorkerSecrets
  let identity: WorkerIdentity

  init(
    seed: UInt8, model: ModelID, now: UnixTime = SystemTime().unixTime(), release: UInt8 = 1,
    keySeed: UInt8? = nil
  ) throws {
    let bytes = [UInt8](repeating: seed, count: 32)
    let keyBytes = [UInt8](repeating: keySeed ?? seed, count: 32)
    let identityKey = try SigningKey.derive(.p256, seed: [1] + bytes)
    let receiptKey = try SigningKey.derive(.p256, seed: [2] + keyBytes)
    let encryptionKey = try SoftwareKEMKey.derive(
      HPKESuite.p256.kem, keyMaterial: SecretBytes([3] + keyBytes))
    let statement = KeyStatement(
      identityKey: identityKey.verifyingKey,
      workers: [
        WorkerKeys(
          suite: .p256, encryptionKey: encryptionKey.publicKey,
          receiptKey: receiptKey.verifyingKey, model: model)
      ], notBefore: now + -60, notAfter: now + 3_000,
      release: SHA256.digest([release]), evidence: Evidence.none.digest, platform: .none,
      bootEpoch: 7, paddingProfiles: [.off, .padded, .steady], capacityBucket: 1,
      sandbox: [.noNetwork], engine: SHA256.digest([2]))
    record = try NodeRecord(
      signedStatement: statement.signed(by: identityKey), evidence: Evidence.none)
    secrets = WorkerSecrets(suite: .p256, encryptionKey: encryptionKey, receiptKey: receiptKey)
    identity = WorkerIdentity(
      node: statement.nodeID, model: model, release: statement.release, engine: statement.engine,
      evidence: statement.evidence, notBefore: statement.notBefore, notAfter: statement.notAfter)
  }

  var node: NodeID { identity.node }

  /// Opens an envelope and answers with tokens, one frame each, and a last receipt.
  ///
  /// With `receiptAfter` a running receipt follows on so many tokens.
  ///
  /// - Returns: The sealed bytes and the last receipt's digest.
  func answer(
    _ envelope: [UInt8], tokens: [UInt32], isEnded: Bool = true, mode: ContinuationMode? = nil,
    receiptAfter: Int? = nil
  ) throws -> (bytes: [UInt8], receipt: Digest?) {
    try answer(
      envelope,
      frames: tokens.map { TokenFrame(tokens: [$0], deltas: [.content("t\($0) ")]) }
        + (isEnded ? [TokenFrame(tokens: [], finish: .stop)] : []),
      isEnded: isEnded, mode: mode, receiptAfter: receiptAfter)
  }

  /// The same with frames of the test's own.
  func answer(
    _ envelope: [UInt8], frames: [TokenFrame], isEnded: Bool = true,
    mode: ContinuationMode? = nil, receiptAfter: Int? = nil
  ) throws -> (bytes: [UInt8], receipt: Digest?) {
    let now = SystemTime().unixTime()
    var opener = RequestOpener(secrets: secrets, identity: identity)
    let opened = try opener.open(envelope, at: now)
    let mode = mode ?? (opened.routing.part == 0 ? .whole : .continued)
    var sealer = try opened.answer(start: now)
    var output: [UInt8] = []
    for (index, frame) in frames.enumerated() {
      if index == receiptAfter {
        let counts = ReceiptCounts(promptTokens: 9, end: now, sampling: .zero, mode: mode)
        _ = try sealer.receipt(counts, into: &output)
      }
      try sealer.send([.tokens(frame)], into: &output)
    }
    guard isEnded else { return (output, nil) }
    let count = frames.reduce(0) { $0 + $1.tokens.count }
    try sealer.send([.usage(Usage(promptTokens: 9, completionTokens: count))], into: &output)
    let last = try sealer.finish(
      ReceiptCounts(
        promptTokens: 9, replayedTokens: 0, finish: .stop, end: now + 1, sampling: .zero,
        mode: mode), into: &output)
    return (output, last.digest)
  }

  /// The tokens that a request says were delivered before.
  func resumedTokens(_ envelope: [UInt8]) throws -> [UInt32] {
    try resume(envelope)?.choices.first?.tokens ?? []
  }

  /// What a request says of the parts before it.
  func resume(_ envelope: [UInt8]) throws -> CanonicalRequest.Resume? {
    var opener = RequestOpener(secrets: secrets, identity: identity)
    let opened = try opener.open(envelope, at: SystemTime().unixTime())
    guard case .success(let request) = opened.content else { return nil }
    return request.resume
  }
}
