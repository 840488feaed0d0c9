package import BloomBase

/// A public encryption key, checked when it is made.
package struct KEMPublicKey: Hashable, Sendable {
  /// Which mechanism.
  package let kem: KEM
  /// The serialized form, RFC 9180 §7.1.1: uncompressed point, or 32 bytes.
  package let bytes: [UInt8]

  /// Reads a serialized key.
  ///
  /// - Throws: `.invalidKey` for a wrong count or a point that is not on the curve.
  package init(_ kem: KEM, _ bytes: [UInt8]) throws(CryptoError) {
    switch kem {
    case .p256: try PrimeCurve.p256.check(point: bytes)
    case .x25519:
      guard bytes.count == 32 else { throw CryptoError(.invalidKey, "a public key") }
    }
    self.kem = kem
    self.bytes = bytes
  }

  /// The first 8 bytes of SHA-256 of the serialized key, as in our key statements.
  package var keyID: KeyID {
    var rawValue: UInt64 = 0
    for byte in SHA256.hash(bytes).prefix(KeyID.byteCount) {
      rawValue = rawValue << 8 | UInt64(byte)
    }
    return KeyID(rawValue)
  }
}
