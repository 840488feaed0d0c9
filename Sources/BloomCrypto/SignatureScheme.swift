/// The hash inside a signature scheme.
package enum HashName: Hashable, Sendable {
  case sha256
  case sha384

  /// The hash of a message.
  package func hash(_ message: [UInt8]) -> [UInt8] {
    switch self {
    case .sha256: SHA256.hash(message)
    case .sha384: SHA384.hash(message)
    }
  }

  /// Bytes of the hash.
  package var byteCount: Int {
    switch self {
    case .sha256: SHA256.byteCount
    case .sha384: SHA384.byteCount
    }
  }
}

/// How a signature is made and written.
package enum SignatureScheme: Hashable, Sendable {
  /// ECDSA, r ‖ s of fixed width as in COSE and JOSE.
  case ecdsa(HashName)
  /// Ed25519, RFC 8032, over the message itself.
  case ed25519
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
