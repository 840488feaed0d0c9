package import BloomBase
package import BloomCrypto
package import BloomHPKE
internal import BloomRecords

/// One epoch of a worker's secrets: the key that opens requests and the key that signs receipts.
///
/// Made by the worker itself, never on disk; dropping the value drops the secrets.
package struct WorkerSecrets: Sendable {
  /// KEM, KDF and AEAD.
  package let suite: HPKESuite
  /// Opens requests; may live in a chip.
  package let encryptionKey: any KEMPrivateKey
  /// Signs receipts, P-256.
  package let receiptKey: any MessageSigner

  /// Joins the two keys.
  package init(
    suite: HPKESuite, encryptionKey: any KEMPrivateKey, receiptKey: any MessageSigner
  ) {
    self.suite = suite
    self.encryptionKey = encryptionKey
    self.receiptKey = receiptKey
  }

  /// Draws both keys, in protected memory if given.
  package static func generate(
    _ suite: HPKESuite = .p256, in memory: (any SecretMemory)? = nil
  ) throws(CryptoError) -> WorkerSecrets {
    WorkerSecrets(
      suite: suite, encryptionKey: try SoftwareKEMKey.generate(suite.kem, in: memory),
      receiptKey: try SigningKey.generate(.p256, in: memory))
  }

  /// The encryption key's name.
  package var keyID: KeyID { encryptionKey.publicKey.keyID }
}

/// What a worker's receipts say about the machine: the same as the statement that names its keys.
package struct WorkerIdentity: Sendable, Hashable {
  /// The machine.
  package var node: NodeID
  /// The model.
  package var model: ModelID
  /// Agent and worker as released.
  package var release: Digest
  /// Engine, flags, processor, decoding profile.
  package var engine: Digest
  /// The evidence that vouches for the keys.
  package var evidence: Digest
  /// First second of the offer.
  package var notBefore: UnixTime
  /// End of the offer.
  package var notAfter: UnixTime

  /// Sets every field.
  package init(
    node: NodeID, model: ModelID, release: Digest, engine: Digest, evidence: Digest,
    notBefore: UnixTime, notAfter: UnixTime
  ) {
    self.node = node
    self.model = model
    self.release = release
    self.engine = engine
    self.evidence = evidence
    self.notBefore = notBefore
    self.notAfter = notAfter
  }

  /// Whether requests are opened at a time; as ``BloomRecords/ValidityWindow/isAccepted(at:)``.
  package func isAccepted(at now: UnixTime) -> Bool {
    ValidityWindow(notBefore: notBefore, notAfter: notAfter).isAccepted(at: now)
  }
}
