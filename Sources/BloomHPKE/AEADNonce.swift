package import BloomCrypto

/// A 96-bit AEAD nonce, counted by XOR as in RFC 9180 §5.2 and chunked OHTTP.
package struct AEADNonce: Hashable, Sendable {
  /// 12.
  package static let byteCount = 12

  private let high: UInt32
  private let low: UInt64

  /// Reads 12 bytes; `nil` for any other count.
  package init?(_ bytes: [UInt8]) {
    guard bytes.count == Self.byteCount else { return nil }
    high = bytes.prefix(4).reduce(0) { $0 << 8 | UInt32($1) }
    low = bytes.dropFirst(4).reduce(0) { $0 << 8 | UInt64($1) }
  }

  /// Reads a derived 12-byte secret.
  ///
  /// - Throws: `.wrongLength` for any other count.
  package init(_ secret: SecretBytes) throws(CryptoError) {
    guard let nonce = AEADNonce(secret.exposed()) else {
      throw CryptoError(.wrongLength, "an AEAD nonce")
    }
    self = nonce
  }

  private init(high: UInt32, low: UInt64) {
    self.high = high
    self.low = low
  }

  /// This nonce XOR a big-endian counter: the nonce of message `counter`.
  package func counting(_ counter: UInt64) -> AEADNonce {
    AEADNonce(high: high, low: low ^ counter)
  }

  /// The 12 bytes, first byte first.
  package var bytes: [UInt8] { unsafe withUnsafeBytes { unsafe [UInt8]($0) } }

  /// Lends the 12 bytes by address.
  func withUnsafeBytes<Result, Failure: Error>(
    _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    // Three words, so that there is no gap between the first 4 bytes and the last 8.
    let words = (
      high.bigEndian, UInt32(truncatingIfNeeded: low >> 32).bigEndian,
      UInt32(truncatingIfNeeded: low).bigEndian
    )
    return try unsafe Swift.withUnsafeBytes(of: words, body)
  }
}
