import BloomBase
import BloomCrypto
import BloomEngine
import BloomRecords
import BloomSeal
import BloomWire
import Testing

@testable import BloomWorker

/// The worker's real keys against the client's half: sealing, receipts, replay.
@Suite struct SealedRoundTripTests {
  private let model = ModelID(.zero)

  /// A keyring and a client that trusts its keys.
  private func parts() throws -> (SealedKeyring, SealTarget, Digest) {
    let identityKey = try SigningKey.generate(.p256)
    let engine = SHA256.digest(Array("engine=scripted/1".utf8))
    let node = KeyStatement.nodeID(of: identityKey.verifyingKey)
    let keyring = SealedKeyring(
      SealedKeyring.Identity(node: node, model: model, release: .zero, engine: engine),
      arena: try SecretArena())
    let now = SystemTime().unixTime()
    let keys = try keyring.makeEpoch(madeAt: now)
    let first = try #require(keys.first)
    let evidence = Evidence.none
    let statement = KeyStatement(
      identityKey: identityKey.verifyingKey,
      workers: [
        WorkerKeys(
          suite: .p256, encryptionKey: try KEMPublicKey(.p256, first.encryptionKey),
          receiptKey: try VerifyingKey(.p256, first.receiptKey), model: model)
      ], notBefore: now, notAfter: now + 3_600, release: .zero, evidence: evidence.digest,
      platform: .none, bootEpoch: 1, paddingProfiles: [.off, .padded, .steady], capacityBucket: 1,
      sandbox: [], engine: engine)
    let record = try NodeRecord(
      signedStatement: statement.signed(by: identityKey), evidence: evidence)
    let verified = try TierPolicy(minimum: .software).admit(record, at: now)
    return (keyring, try SealTarget(verified, model: model, at: now), evidence.digest)
  }

  @Test(arguments: [PaddingProfile.off, .padded, .steady])
  func `the client opens the answer and its receipt holds`(padding: PaddingProfile) throws {
    let (keyring, target, evidence) = try parts()
    let sealed = try RequestSealer.seal(
      try chat(),
      options: SealOptions(
        tokenClass: .upTo64, deadlineMilliseconds: 30_000, padding: padding),
      contexts: ReadyContexts([target]))
    let now = SystemTime().unixTime()
    let exchange = try keyring.open(sealed.envelope, evidence: evidence, now: now)
    #expect(try exchange.content.get().body == chat().body)
    var counts = PartCounts(end: now, sampling: .zero, mode: .whole)
    var bytes = try exchange.send([.tokens(TokenFrame(tokens: [1, 2], deltas: [.content("hi")]))])
    while exchange.needsTicks { bytes += try exchange.tick() }
    counts.finish = .stop
    let (receipt, last) = try exchange.finish(counts)
    bytes += last
    var opener = sealed.opener()
    let events = try opener.receive(bytes)
    guard case .finished(let final) = events.last else {
      Issue.record("the answer did not end")
      return
    }
    #expect(final.encoded == receipt)
    #expect(final.claims.completionTokens == 2)
  }

  @Test func `an envelope is opened once, and never after its key is wiped`() throws {
    let (keyring, target, evidence) = try parts()
    let options = SealOptions(tokenClass: .upTo64, deadlineMilliseconds: 30_000)
    let first = try RequestSealer.seal(
      try chat(), options: options, contexts: ReadyContexts([target]))
    let second = try RequestSealer.seal(
      try chat(), options: options, contexts: ReadyContexts([target]))
    let now = SystemTime().unixTime()
    _ = try keyring.open(first.envelope, evidence: evidence, now: now)
    #expect(throws: OpeningFailure(.replay)) {
      _ = try keyring.open(first.envelope, evidence: evidence, now: now)
    }
    let kid = try #require(keyring.kid(of: second.envelope))
    keyring.wipe([kid])
    #expect(throws: OpeningFailure(.staleKey)) {
      _ = try keyring.open(second.envelope, evidence: evidence, now: now)
    }
  }
}
