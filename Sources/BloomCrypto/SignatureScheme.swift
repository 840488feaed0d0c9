internal import COpenSSL

/// The hash inside a signature scheme.
package enum HashName: Hashable, Sendable {
  case sha256
  case sha384
  case sha512

  /// The hash of a message.
  package func hash(_ message: [UInt8]) -> [UInt8] {
    switch self {
    case .sha256: SHA256.hash(message)
    case .sha384: SHA384.hash(message)
    case .sha512: SHA512.hash(message)
    }
  }

  /// Bytes of the hash.
  package var byteCount: Int {
    switch self {
    case .sha256: SHA256.byteCount
    case .sha384: SHA384.byteCount
    case .sha512: SHA512.byteCount
    }
  }

  /// libcrypto's description of it.
  ///
  /// EVP_sha256(3).
  var description: OpaquePointer? {
    switch self {
    case .sha256: unsafe EVP_sha256()
    case .sha384: unsafe EVP_sha384()
    case .sha512: unsafe EVP_sha512()
    }
  }
}

/// How a signature is made and written.
package enum SignatureScheme: Hashable, Sendable {
  /// ECDSA, r ‖ s of fixed width as in COSE and JOSE.
  case ecdsa(HashName)
  /// ECDSA, DER as in X.509, TPM and App Attest.
  case ecdsaDER(HashName)
  /// Ed25519, RFC 8032, over the message itself.
  case ed25519
  /// RSASSA-PKCS1-v1_5, RFC 8017 §8.2.
  case rsaPKCS1(HashName)
  /// RSASSA-PSS, RFC 8017 §8.1, with MGF1 of the same hash and a salt as long as it.
  case rsaPSS(HashName)
}

/// The two spellings of an ECDSA signature.
package enum ECDSASignature: Sendable {
  /// r ‖ s from strict DER.
  ///
  /// - Throws: `.invalidSignature` unless the DER is minimal, positive and fits the curve.
  package static func raw(fromDER der: [UInt8], coordinateByteCount: Int) throws(CryptoError)
    -> [UInt8]
  {
    let refusal = CryptoError(.invalidSignature, "an ECDSA signature in DER")
    do {
      var reader = DERReader(der)
      var sequence = try reader.sequence()
      try reader.finish()
      let r = try sequence.unsigned()
      let s = try sequence.unsigned()
      try sequence.finish()
      guard r.count <= coordinateByteCount, s.count <= coordinateByteCount else { throw refusal }
      return padded(r, coordinateByteCount) + padded(s, coordinateByteCount)
    } catch {
      throw refusal
    }
  }

  /// DER from r ‖ s of equal widths.
  package static func der(fromRaw raw: [UInt8]) -> [UInt8] {
    let half = raw.count / 2
    var body: [UInt8] = []
    for part in [raw[..<half], raw[half...]] {
      var digits = Array(part.drop { $0 == 0 })
      if (digits.first ?? 0x80) >= 0x80 { digits.insert(0, at: 0) }
      body.append(contentsOf: [2, UInt8(digits.count)] + digits)
    }
    // Two numbers of at most 48 bytes and a sign byte: never more than 102 bytes.
    return [0x30, UInt8(body.count)] + body
  }

  private static func padded(_ digits: [UInt8], _ count: Int) -> [UInt8] {
    [UInt8](repeating: 0, count: count - digits.count) + digits
  }
}
