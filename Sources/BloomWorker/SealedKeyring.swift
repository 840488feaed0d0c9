internal import BloomBase
internal import BloomCrypto
internal import BloomHPKE
internal import BloomOpen
internal import BloomRecords
internal import BloomWire

/// The worker's real keys: two encryption keys and one receipt key an epoch, in locked memory.
final class SealedKeyring: WorkerKeyring {
  /// What every receipt of this worker names.
  struct Identity: Sendable {
    var node: NodeID
    var model: ModelID
    var release: Digest
    var engine: Digest
  }

  /// One key: its secrets from the start, its opener once evidence vouches for it.
  private final class Slot: Sendable {
    let secrets: WorkerSecrets
    let madeAt: UnixTime
    let opener = Locked<OpenerBox?>(nil)

    init(secrets: WorkerSecrets, madeAt: UnixTime) {
      self.secrets = secrets
      self.madeAt = madeAt
    }
  }

  private let identity: Identity
  private let arena: SecretArena
  private let slots = Locked<[KeyID: Slot]>([:])

  init(_ identity: Identity, arena: SecretArena) {
    self.identity = identity
    self.arena = arena
  }

  func makeEpoch(madeAt: UnixTime) throws(WorkerError) -> [WorkerKey] {
    do throws(CryptoError) {
      let receiptKey = try SigningKey.generate(.p256, in: arena)
      var keys: [WorkerKey] = []
      for suite in [HPKESuite.p256, .x25519] {
        let encryptionKey = try SoftwareKEMKey.generate(suite.kem, in: arena)
        let secrets = WorkerSecrets(
          suite: suite, encryptionKey: encryptionKey, receiptKey: receiptKey)
        slots.withLock { $0[secrets.keyID] = Slot(secrets: secrets, madeAt: madeAt) }
        keys.append(
          WorkerKey(
            suite: suite.bytes, kid: secrets.keyID,
            encryptionKey: encryptionKey.publicKey.bytes,
            receiptKey: receiptKey.verifyingKey.bytes, madeAt: madeAt))
      }
      return keys
    } catch { throw WorkerError(.unprotected, error.publicDescription) }
  }

  /// Dropping a slot drops its secrets, which wipe themselves, once its last answer has ended.
  func wipe(_ kids: [KeyID]) {
    slots.withLock { slots in for kid in kids { slots[kid] = nil } }
  }

  func kid(of envelope: [UInt8]) -> KeyID? {
    // Anything that cannot be read is refused as malformed, whatever it is.
    guard let prefix = try? EnvelopePrefix.read(envelope) else { return nil }
    return prefix.candidates.first { $0.node == identity.node }?.key
  }

  func open(
    _ envelope: [UInt8], evidence: Digest, now: UnixTime
  ) throws(OpeningFailure) -> any OpenedExchange {
    guard let kid = kid(of: envelope) else { throw OpeningFailure(.malformed) }
    guard let slot = slots.withLock({ $0[kid] }) else { throw OpeningFailure(.staleKey) }
    let box = slot.opener.withLock { box in
      let existing = box ?? OpenerBox(makeOpener(slot, evidence: evidence))
      box = existing
      return existing
    }
    return try box.open(envelope, kid: kid, now: now)
  }

  private func makeOpener(_ slot: Slot, evidence: Digest) -> RequestOpener {
    RequestOpener(
      secrets: slot.secrets,
      identity: WorkerIdentity(
        node: identity.node, model: identity.model, release: identity.release,
        engine: identity.engine, evidence: evidence, notBefore: slot.madeAt,
        notAfter: slot.madeAt + 3_600))
  }
}
