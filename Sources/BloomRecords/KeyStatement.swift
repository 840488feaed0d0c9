package import BloomBase
package import BloomCrypto
package import BloomWire

/// What a machine's identity key is kept in; evidence must prove it.
package enum Platform: UInt8, Sendable, Hashable, CaseIterable {
  /// A file: no proof.
  case none = 0
  /// Secure Enclave and App Attest.
  case mac = 1
  /// TPM 2.0.
  case tpm = 2
  /// AMD SEV-SNP guest.
  case snp = 3
  /// Intel TDX guest.
  case tdx = 4
}

/// What protects the plaintext in every worker of a machine: what they reported by name, as bits.
package struct SandboxBits: OptionSet, Sendable, Hashable {
  /// One bit a fact; unknown bits are kept.
  package let rawValue: UInt64

  /// Wraps bits.
  package init(rawValue: UInt64) { self.rawValue = rawValue }

  /// The worker has no network.
  package static let noNetwork = SandboxBits(rawValue: 1)
  /// The worker can open no file.
  package static let noFiles = SandboxBits(rawValue: 2)
  /// The worker can start no process.
  package static let noProcesses = SandboxBits(rawValue: 4)
  /// No debugger can attach and no core is written.
  package static let noDebugger = SandboxBits(rawValue: 8)
  /// Keys lie in memory that other processes and the kernel's readers cannot map.
  package static let secretMemory = SandboxBits(rawValue: 16)
  /// Plaintext is locked into memory and never swapped.
  package static let noSwap = SandboxBits(rawValue: 32)
}

/// The keys of one worker, so of one model.
package struct WorkerKeys: Sendable, Hashable {
  /// KEM, KDF and AEAD that requests are sealed with.
  package let suite: HPKESuite
  /// The encryption key.
  package let encryptionKey: KEMPublicKey
  /// The encryption key's name; kept, since every request asks for it.
  package let keyID: KeyID
  /// The key that signs receipts, P-256.
  package let receiptKey: VerifyingKey
  /// The model that this worker has loaded.
  package let model: ModelID

  /// Joins the keys of a worker.
  package init(
    suite: HPKESuite, encryptionKey: KEMPublicKey, receiptKey: VerifyingKey, model: ModelID
  ) {
    self.suite = suite
    self.encryptionKey = encryptionKey
    keyID = encryptionKey.keyID
    self.receiptKey = receiptKey
    self.model = model
  }
}

/// A machine's promise: these keys are mine, until then, with this release; signed by HIK.
///
/// COSE_Sign1 ES256. Unknown fields 0 and up are refused, so that nothing critical is passed over.
package struct KeyStatement: Sendable, Hashable {
  /// The longest time that a key may be offered, 1 hour.
  package static let maximumLifetimeSeconds: Int64 = 3_600
  /// How far clocks may differ, in seconds.
  package static let clockSkewSeconds: Int64 = 120
  /// Seconds after the offer during which nodes still open requests.
  package static let graceSeconds: Int64 = 600

  /// HIK.
  package var identityKey: VerifyingKey
  /// One entry a worker, 1…64.
  package var workers: [WorkerKeys]
  /// First second of the offer.
  package var notBefore: UnixTime
  /// End of the offer; nodes accept for ten minutes more.
  package var notAfter: UnixTime
  /// Digest over agent and worker as released.
  package var release: Digest
  /// Digest of the encoded evidence.
  package var evidence: Digest
  /// Where HIK is kept.
  package var platform: Platform
  /// Counts the machine's boots or key epochs; never goes back.
  package var bootEpoch: UInt64
  /// The padding profiles that the node serves.
  package var paddingProfiles: [PaddingProfile]
  /// Base-2 logarithm of the node's slots, for weighted drawing; 0…15.
  package var capacityBucket: UInt8
  /// What protects the worker.
  package var sandbox: SandboxBits
  /// Digest of engine build and flags, processor features and decoding profile.
  package var engine: Digest

  /// Sets every field.
  package init(
    identityKey: VerifyingKey, workers: [WorkerKeys], notBefore: UnixTime, notAfter: UnixTime,
    release: Digest, evidence: Digest, platform: Platform, bootEpoch: UInt64,
    paddingProfiles: [PaddingProfile], capacityBucket: UInt8, sandbox: SandboxBits,
    engine: Digest
  ) {
    self.identityKey = identityKey
    self.workers = workers
    self.notBefore = notBefore
    self.notAfter = notAfter
    self.release = release
    self.evidence = evidence
    self.platform = platform
    self.bootEpoch = bootEpoch
    self.paddingProfiles = paddingProfiles
    self.capacityBucket = capacityBucket
    self.sandbox = sandbox
    self.engine = engine
  }

  /// SHA-256("darkbloom/1 node" ‖ SPKI of HIK).
  package static func nodeID(of identityKey: VerifyingKey) -> NodeID {
    NodeID(SHA256.digest(Labels.node + identityKey.subjectPublicKeyInfo))
  }

  /// The machine's identity.
  package var nodeID: NodeID { Self.nodeID(of: identityKey) }

  /// The value that every evidence format binds: the statement without its evidence digest.
  package var binding: Digest { SHA256.digest(Labels.binding + payload(includingEvidence: false)) }

  /// Whether the offer covers a time, give or take the clock skew.
  package func isOffered(at now: UnixTime) -> Bool { validity.isOffered(at: now) }

  /// Whether a node may have begun a request at a time: a sealed one waits for its turn.
  package func isAccepted(at time: UnixTime) -> Bool { validity.isAccepted(at: time) }

  /// When the keys may be used.
  package var validity: ValidityWindow { ValidityWindow(notBefore: notBefore, notAfter: notAfter) }

  /// Signs the statement with HIK; throws what the key's holder throws.
  package func signed(by signer: some MessageSigner) throws(RecordError) -> [UInt8] {
    guard signer.verifyingKey == identityKey else { throw .identity }
    return try checking { () throws(CryptoError) in
      try COSESign1(
        signing: payload(includingEvidence: true), contentType: Labels.keyStatementType,
        externalData: Labels.keyStatement, signer: signer
      ).encoded
    }
  }

  /// Reads a signed statement and checks all that needs no time and no policy.
  ///
  /// - Throws: `crypto` for the signature, `identity` when an identity or key name is not derived
  ///   from its key, `lifetime` over one hour, `wire` for the rest.
  package init(verifying bytes: [UInt8]) throws(RecordError) {
    let message = try checking { () throws(CryptoError) in try COSESign1(decoding: bytes) }
    guard message.contentType == Labels.keyStatementType else { throw .contentType }
    try self.init(payload: message.payload)
    let key = identityKey
    try checking { () throws(CryptoError) in
      try message.verify(key, externalData: Labels.keyStatement)
    }
    guard notBefore < notAfter,
      notAfter.seconds - notBefore.seconds <= Self.maximumLifetimeSeconds
    else { throw .lifetime }
  }
}
