package import BloomCrypto
internal import COpenSSL

/// A private encryption key in memory, optionally in protected memory.
///
/// Safe from any thread.
///
/// The scalar is handed to libcrypto for each use and its copy cleared after it.
package struct SoftwareKEMKey: KEMPrivateKey, CustomStringConvertible {
  /// The public half.
  package let publicKey: KEMPublicKey

  private let scalar: SecretBytes

  /// Takes a 32-byte scalar.
  ///
  /// - Throws: `.invalidKey` when it is out of range.
  package init(_ kem: KEM, scalar: SecretBytes) throws(CryptoError) {
    self.scalar = scalar
    switch kem {
    case .p256:
      publicKey = try KEMPublicKey(kem, PrimeCurve.p256.publicPoint(scalar: scalar))
    case .x25519:
      let handle = try KeyHandle(rawPrivate: scalar, type: EVP_PKEY_X25519)
      publicKey = try KEMPublicKey(kem, handle.rawPublicKey())
    }
  }

  /// Draws a new key, in `owner` or on the heap.
  package static func generate(_ kem: KEM, in owner: (any SecretMemory)? = nil)
    throws(CryptoError) -> SoftwareKEMKey
  {
    while true {
      let scalar = try SecretBytes.random(count: 32, in: owner)
      guard kem == .x25519 || PrimeCurve.p256.isValid(scalar: scalar) else { continue }
      return try SoftwareKEMKey(kem, scalar: scalar)
    }
  }

  /// DeriveKeyPair, RFC 9180 §7.1.3: the same key for the same material.
  package static func derive(_ kem: KEM, keyMaterial: SecretBytes) throws(CryptoError)
    -> SoftwareKEMKey
  {
    let labels = LabeledKDF(kem.suiteIdentifier)
    let root = try labels.extract(salt: nil, "dkp_prk", keyMaterial)
    switch kem {
    case .x25519:
      return try SoftwareKEMKey(kem, scalar: labels.expand(root, "sk", [], 32))
    case .p256:
      for counter in UInt8.min...UInt8.max {
        let scalar = try labels.expand(root, "candidate", [counter], 32)
        guard PrimeCurve.p256.isValid(scalar: scalar) else { continue }
        return try SoftwareKEMKey(kem, scalar: scalar)
      }
      throw CryptoError(.invalidKey, "the key material")
    }
  }

  /// The raw Diffie-Hellman value.
  ///
  /// EVP_PKEY_derive(3) for X25519.
  package func sharedSecret(with peer: KEMPublicKey) throws(CryptoError) -> SecretBytes {
    guard peer.kem == publicKey.kem else { throw CryptoError(.invalidKey, "a peer's key") }
    switch publicKey.kem {
    case .p256: return try PrimeCurve.p256.sharedSecret(scalar: scalar, point: peer.bytes)
    case .x25519: return try x25519(peer.bytes)
    }
  }

  /// The scalar, for test vectors.
  package var exposedScalar: [UInt8] { scalar.exposed() }

  /// Fixed text.
  package var description: String { "(\(publicKey.kem) private key)" }

  private func x25519(_ peer: [UInt8]) throws(CryptoError) -> SecretBytes {
    let own = try KeyHandle(rawPrivate: scalar, type: EVP_PKEY_X25519)
    let other = try KeyHandle(rawPublic: peer, type: EVP_PKEY_X25519)
    let context = try unsafe OpenSSL.check(
      EVP_PKEY_CTX_new_from_pkey(nil, own.pointer, nil), "EVP_PKEY_CTX_new_from_pkey")
    defer { unsafe EVP_PKEY_CTX_free(context) }
    try unsafe OpenSSL.check(EVP_PKEY_derive_init(context), "EVP_PKEY_derive_init")
    try unsafe OpenSSL.check(
      EVP_PKEY_derive_set_peer_ex(context, other.pointer, 0), "EVP_PKEY_derive_set_peer_ex")
    let shared = try unsafe SecretBytes(count: 32) { (memory) throws(CryptoError) in
      var count = memory.count
      let address = unsafe memory.baseAddress?.assumingMemoryBound(to: UInt8.self)
      guard unsafe EVP_PKEY_derive(context, address, &count) == 1, count == 32 else {
        // libcrypto refuses a peer of small order, whose result is all zero. RFC 9180 §7.1.4.
        ERR_clear_error()
        throw CryptoError(.invalidKey, "a peer's key")
      }
    }
    let zero = try SecretBytes([UInt8](repeating: 0, count: 32))
    guard !shared.isEqual(to: zero) else { throw CryptoError(.invalidKey, "a peer's key") }
    return shared
  }
}
