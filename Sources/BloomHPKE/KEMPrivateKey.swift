package import BloomCrypto

/// A private encryption key, wherever it lives: memory, TPM 2.0, Secure Enclave.
///
/// Only the Diffie-Hellman step needs the key, so a chip that can do it can receive HPKE.
package protocol KEMPrivateKey: Sendable {
  /// The public half.
  var publicKey: KEMPublicKey { get }
  /// The raw Diffie-Hellman value with a peer of the same KEM: 32 bytes, x coordinate or u.
  ///
  /// May block on hardware. A peer of another KEM is the caller's error.
  ///
  /// - Throws: `.invalidKey` when the result is all zero; `.backend` when the key's holder fails.
  func sharedSecret(with peer: KEMPublicKey) throws(CryptoError) -> SecretBytes
}
