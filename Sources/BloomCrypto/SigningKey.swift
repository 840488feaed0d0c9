internal import COpenSSL

/// Something that signs: a key in memory, in a TPM or in a Secure Enclave.
package protocol MessageSigner: Sendable {
  /// What the signatures verify under.
  var verifyingKey: VerifyingKey { get }
  /// Signs a message with the key kind's own scheme, ECDSA as r ‖ s. May block on hardware.
  ///
  /// - Throws: `.backend` when the key's holder fails.
  func sign(_ message: [UInt8]) throws(CryptoError) -> [UInt8]
}

extension VerifyingKey.Kind {
  /// The NIST curve; `nil` for the others.
  var curve: PrimeCurve? {
    switch self {
    case .p256: .p256
    case .p384: .p384
    case .ed25519, .rsa: nil
    }
  }

  /// The scheme COSE and our own records use with it; `nil` for RSA.
  package var ownScheme: SignatureScheme? {
    switch self {
    case .p256: .ecdsa(.sha256)
    case .p384: .ecdsa(.sha384)
    case .ed25519: .ed25519
    case .rsa: nil
    }
  }
}

/// A private signing key in memory; wiped with its last reference.
///
/// Safe from any thread.
///
/// libcrypto keeps its own copy on its heap and clears it too. Seeds and scalars may lie in
/// protected memory.
package struct SigningKey: MessageSigner, CustomStringConvertible {
  /// What the signatures verify under.
  package let verifyingKey: VerifyingKey

  private let secret: SecretBytes
  private let handle: KeyHandle

  /// Takes a scalar (P-256, P-384) or an Ed25519 seed.
  ///
  /// - Throws: `.invalidKey` when it is out of range; `.unsupported` for RSA.
  package init(_ kind: VerifyingKey.Kind, secret: SecretBytes) throws(CryptoError) {
    self.secret = secret
    switch kind {
    case .p256, .p384:
      let curve: PrimeCurve = kind == .p256 ? .p256 : .p384
      let point = try curve.publicPoint(scalar: secret)
      handle = try KeyHandle(curve, point: point, scalar: secret)
      verifyingKey = try VerifyingKey(kind, point)
    case .ed25519:
      handle = try KeyHandle(rawPrivate: secret, type: EVP_PKEY_ED25519)
      verifyingKey = try VerifyingKey(kind, handle.rawPublicKey())
    case .rsa:
      throw CryptoError(.unsupported, "an RSA private key")
    }
  }

  /// Draws a new key.
  ///
  /// - Throws: `.unsupported` for RSA; `.exhausted` when `owner` has no room.
  package static func generate(_ kind: VerifyingKey.Kind, in owner: (any SecretMemory)? = nil)
    throws(CryptoError) -> SigningKey
  {
    while true {
      let secret = try SecretBytes.random(count: kind == .p384 ? 48 : 32, in: owner)
      // A scalar beyond the order comes once in 2^32 draws: draw again.
      if let curve = kind.curve, !curve.isValid(scalar: secret) { continue }
      return try SigningKey(kind, secret: secret)
    }
  }

  /// The same key for the same seed, for test vectors: HPKE's way to a scalar, RFC 9180 §7.1.3.
  package static func derive(_ kind: VerifyingKey.Kind, seed: [UInt8]) throws(CryptoError)
    -> SigningKey
  {
    let root = try HKDF.extract(salt: [], keyMaterial: try SecretBytes(seed))
    for counter in UInt8.min...UInt8.max {
      let secret = try HKDF.expand(
        root, info: Array("darkbloom signing key".utf8) + [counter], count: kind == .p384 ? 48 : 32)
      if let curve = kind.curve, !curve.isValid(scalar: secret) { continue }
      return try SigningKey(kind, secret: secret)
    }
    throw CryptoError(.invalidKey, "a seed")
  }

  /// Signs a message with the kind's own scheme, ECDSA as r ‖ s; ECDSA nonces are random.
  package func sign(_ message: [UInt8]) throws(CryptoError) -> [UInt8] {
    switch verifyingKey.kind {
    case .p256: try signECDSA(SHA256.hash(message), .p256)
    case .p384: try signECDSA(SHA384.hash(message), .p384)
    case .ed25519: try signEd25519(message)
    case .rsa: throw CryptoError(.unsupported, "an RSA private key")
    }
  }

  /// The key in PKCS #8 DER, unencrypted, as `openssl genpkey` writes it.
  package func pkcs8() throws(CryptoError) -> SecretBytes {
    var scalar = secret.exposed()
    defer { wipe(&scalar) }
    // All its room at once: growth would leave copies behind that nobody wipes.
    var bytes: [UInt8] = []
    bytes.reserveCapacity(256)
    defer { wipe(&bytes) }
    switch verifyingKey.kind {
    case .p256:
      bytes += KeyEncoding.p256PrivatePrefix
      bytes += scalar
      bytes += KeyEncoding.p256PrivateMiddle + verifyingKey.bytes
    case .p384:
      bytes += KeyEncoding.p384PrivatePrefix
      bytes += scalar
      bytes += KeyEncoding.p384PrivateMiddle + verifyingKey.bytes
    case .ed25519:
      bytes += KeyEncoding.ed25519PrivatePrefix
      bytes += scalar
    case .rsa: throw CryptoError(.unsupported, "an RSA private key")
    }
    return try SecretBytes(bytes)
  }

  /// Reads PKCS #8 DER in the one form ``pkcs8()`` writes.
  ///
  /// - Throws: `.malformed` for another form, `.invalidKey` when the public half does not belong.
  package init(pkcs8 encoded: SecretBytes, in owner: (any SecretMemory)? = nil)
    throws(CryptoError)
  {
    let forms: [(VerifyingKey.Kind, [UInt8], [UInt8], Int)] = [
      (.p256, KeyEncoding.p256PrivatePrefix, KeyEncoding.p256PrivateMiddle, 32),
      (.p384, KeyEncoding.p384PrivatePrefix, KeyEncoding.p384PrivateMiddle, 48),
      (.ed25519, KeyEncoding.ed25519PrivatePrefix, [], 32),
    ]
    var bytes = encoded.exposed()
    defer { wipe(&bytes) }
    for (kind, prefix, middle, count) in forms where bytes.starts(with: prefix) {
      guard bytes.count >= prefix.count + count else { break }
      var scalar = Array(bytes[prefix.count..<prefix.count + count])
      defer { wipe(&scalar) }
      let key = try SigningKey(kind, secret: SecretBytes(scalar, in: owner))
      let publicPart = kind == .ed25519 ? [] : key.verifyingKey.bytes
      guard Array(bytes[(prefix.count + count)...]) == middle + publicPart else {
        throw CryptoError(.invalidKey, "a PKCS #8 key")
      }
      self = key
      return
    }
    throw CryptoError(.malformed, "a PKCS #8 key")
  }

  /// The kind alone.
  package var description: String { "(\(verifyingKey.kind) signing key)" }

  /// EVP_PKEY_sign(3).
  private func signECDSA(_ digest: [UInt8], _ curve: PrimeCurve) throws(CryptoError) -> [UInt8] {
    let context = try unsafe OpenSSL.check(
      EVP_PKEY_CTX_new_from_pkey(nil, handle.pointer, nil), "EVP_PKEY_CTX_new_from_pkey")
    defer { unsafe EVP_PKEY_CTX_free(context) }
    try unsafe OpenSSL.check(EVP_PKEY_sign_init(context), "EVP_PKEY_sign_init")
    var der = [UInt8](repeating: 0, count: 128)
    var count = der.count
    try unsafe OpenSSL.check(
      EVP_PKEY_sign(context, &der, &count, digest, digest.count), "EVP_PKEY_sign")
    return try ECDSASignature.raw(
      fromDER: Array(der.prefix(count)), coordinateByteCount: curve.byteCount)
  }

  /// EVP_DigestSign(3).
  private func signEd25519(_ message: [UInt8]) throws(CryptoError) -> [UInt8] {
    let context = try unsafe OpenSSL.check(EVP_MD_CTX_new(), "EVP_MD_CTX_new")
    defer { unsafe EVP_MD_CTX_free(context) }
    try unsafe OpenSSL.check(
      EVP_DigestSignInit(context, nil, nil, nil, handle.pointer), "EVP_DigestSignInit")
    var signature = [UInt8](repeating: 0, count: 64)
    var count = signature.count
    try unsafe OpenSSL.check(
      EVP_DigestSign(context, &signature, &count, message, message.count), "EVP_DigestSign")
    guard count == 64 else { throw CryptoError(.backend, "EVP_DigestSign") }
    return signature
  }
}
