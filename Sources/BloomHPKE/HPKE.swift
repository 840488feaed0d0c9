package import BloomCrypto

/// What both sides of one HPKE exchange share: the AEAD, the nonce, the counter, the exporter.
private struct HPKEContext: ~Copyable, Sendable {
  private let labels: LabeledKDF
  private let exporterSecret: SecretBytes
  private let baseNonce: AEADNonce
  private var cipher: AESGCM
  private var sequence: UInt64 = 0

  /// KeySchedule in base mode, RFC 9180 §5.1, over ExtractAndExpand of §4.1.
  init(
    suite: HPKESuite, dh: SecretBytes, encapsulatedKey: [UInt8], recipient: [UInt8], info: [UInt8]
  ) throws(CryptoError) {
    let kemLabels = LabeledKDF(suite.kem.suiteIdentifier)
    let root = try kemLabels.extract(salt: nil, "eae_prk", dh)
    let shared = try kemLabels.expand(root, "shared_secret", encapsulatedKey + recipient, 32)

    let labels = LabeledKDF(suite.identifier)
    let identifierHash = try labels.extract(salt: nil, "psk_id_hash", [UInt8]())
    let infoHash = try labels.extract(salt: nil, "info_hash", info)
    let context = [0] + identifierHash.exposed() + infoHash.exposed()
    let secret = try labels.extract(salt: shared, "secret", [UInt8]())
    let key = try labels.expand(secret, "key", context, suite.aead.keyByteCount)
    let nonce = try labels.expand(secret, "base_nonce", context, AEADNonce.byteCount)
    let exporterSecret = try labels.expand(secret, "exp", context, SHA256.byteCount)
    let baseNonce = try AEADNonce(nonce)
    let cipher = try AESGCM(key: key)
    self.labels = labels
    self.exporterSecret = exporterSecret
    self.baseNonce = baseNonce
    self.cipher = cipher
  }

  mutating func seal(_ plaintext: [UInt8], associatedData: [UInt8]) throws(CryptoError) -> [UInt8] {
    let nonce = try nextNonce()
    let sealed = try cipher.seal(plaintext, nonce: nonce, associatedData: associatedData)
    sequence += 1
    return sealed
  }

  mutating func open(_ sealed: [UInt8], associatedData: [UInt8]) throws(CryptoError) -> [UInt8] {
    let nonce = try nextNonce()
    let plaintext = try cipher.open(sealed, nonce: nonce, associatedData: associatedData)
    sequence += 1
    return plaintext
  }

  borrowing func export(_ label: [UInt8], count: Int, in owner: (any SecretMemory)?)
    throws(CryptoError) -> SecretBytes
  {
    try labels.expand(exporterSecret, "sec", label, count, in: owner)
  }

  private borrowing func nextNonce() throws(CryptoError) -> AEADNonce {
    guard sequence < .max else { throw CryptoError(.exhausted, "an HPKE context") }
    return baseNonce.counting(sequence)
  }
}

/// The sender's half of one HPKE exchange in base mode, RFC 9180 §5.1.1.
///
/// Setting it up costs two multiplications and needs no message, so that ready contexts can be kept.
/// It cannot be copied: whoever takes one out of a pool is its only user. One thread at a time.
package struct HPKESender: ~Copyable, Sendable {
  /// What the recipient needs to set up its half; public.
  package let encapsulatedKey: [UInt8]

  private var context: HPKEContext

  /// Runs SetupBaseS with a fresh ephemeral key.
  ///
  /// - Parameters:
  ///   - recipient: Its KEM must be the suite's.
  ///   - suite: The KEM and AEAD.
  ///   - info: Bound into every key.
  /// - Throws: `.invalidKey` when the recipient's key gives an all-zero secret or is of another KEM.
  package init(to recipient: KEMPublicKey, suite: HPKESuite, info: [UInt8]) throws(CryptoError) {
    let ephemeral = try SoftwareKEMKey.generate(suite.kem)
    try self.init(to: recipient, suite: suite, info: info, ephemeral: ephemeral)
  }

  /// Runs SetupBaseS with a given ephemeral key, for test vectors and reproducible simulations.
  package init(
    to recipient: KEMPublicKey, suite: HPKESuite, info: [UInt8], ephemeral: SoftwareKEMKey
  ) throws(CryptoError) {
    guard recipient.kem == suite.kem, ephemeral.publicKey.kem == suite.kem else {
      throw CryptoError(.invalidKey, "a key of another KEM")
    }
    let encapsulatedKey = ephemeral.publicKey.bytes
    let context = try HPKEContext(
      suite: suite, dh: ephemeral.sharedSecret(with: recipient), encapsulatedKey: encapsulatedKey,
      recipient: recipient.bytes, info: info)
    self.encapsulatedKey = encapsulatedKey
    self.context = context
  }

  /// Seals the next message; 16 bytes longer than the plaintext.
  ///
  /// - Throws: `.exhausted` after 2^64 − 1 messages.
  package mutating func seal(_ plaintext: [UInt8], associatedData: [UInt8]) throws(CryptoError)
    -> [UInt8]
  {
    try context.seal(plaintext, associatedData: associatedData)
  }

  /// Derives a secret that both sides share, RFC 9180 §5.3.
  ///
  /// - Parameters:
  ///   - label: The exporter context; one purpose each.
  ///   - count: 0…8160 bytes.
  ///   - owner: Where to keep it; `nil` is the heap.
  /// - Returns: `count` bytes.
  /// - Throws: `.exhausted` when `owner` has no room.
  package borrowing func export(
    _ label: [UInt8], count: Int, in owner: (any SecretMemory)? = nil
  ) throws(CryptoError) -> SecretBytes {
    try context.export(label, count: count, in: owner)
  }
}

/// The recipient's half of one HPKE exchange in base mode, RFC 9180 §5.1.1.
///
/// One thread at a time.
package struct HPKERecipient: ~Copyable, Sendable {
  private var context: HPKEContext

  /// Runs SetupBaseR; the Diffie-Hellman step is done wherever the key lives.
  ///
  /// - Throws: `.invalidKey` for an encapsulated key that is off its curve, of small order or of
  ///   the wrong length; `.backend` when the key's holder fails.
  package init(
    encapsulatedKey: [UInt8], key: some KEMPrivateKey, suite: HPKESuite, info: [UInt8]
  ) throws(CryptoError) {
    let recipient = key.publicKey
    guard recipient.kem == suite.kem else { throw CryptoError(.invalidKey, "a key of another KEM") }
    let sender = try KEMPublicKey(suite.kem, encapsulatedKey)
    let context = try HPKEContext(
      suite: suite, dh: key.sharedSecret(with: sender), encapsulatedKey: encapsulatedKey,
      recipient: recipient.bytes, info: info)
    self.context = context
  }

  /// Opens the next message; a message that is refused does not count.
  ///
  /// - Throws: `.authenticationFailed` when anything differs from what was sealed.
  package mutating func open(_ sealed: [UInt8], associatedData: [UInt8]) throws(CryptoError)
    -> [UInt8]
  {
    try context.open(sealed, associatedData: associatedData)
  }

  /// Derives a secret that both sides share, RFC 9180 §5.3.
  package borrowing func export(
    _ label: [UInt8], count: Int, in owner: (any SecretMemory)? = nil
  ) throws(CryptoError) -> SecretBytes {
    try context.export(label, count: count, in: owner)
  }
}
