internal import BloomWire

/// The signature algorithms we take in COSE, RFC 9053 §2; the raw value is the registered number.
package enum COSEAlgorithm: Int64, Hashable, Sendable {
  /// ECDSA P-256 with SHA-256; this curve alone.
  case es256 = -7
  /// ECDSA P-384 with SHA-384; this curve alone.
  case es384 = -35
  /// Ed25519.
  case edDSA = -8

  /// The algorithm of a kind of key; `nil` for RSA.
  package init?(_ kind: VerifyingKey.Kind) {
    switch kind {
    case .p256: self = .es256
    case .p384: self = .es384
    case .ed25519: self = .edDSA
    case .rsa: return nil
    }
  }

  /// The one kind of key it is used with.
  package var keyKind: VerifyingKey.Kind {
    switch self {
    case .es256: .p256
    case .es384: .p384
    case .edDSA: .ed25519
    }
  }
}

/// A COSE_Sign1 message with its payload inside, RFC 9052 §4.2.
///
/// Decoding keeps the protected header byte for byte; nothing in it is trusted before
/// ``verify(_:externalData:)``.
package struct COSESign1: Hashable, Sendable {
  /// How much of COSE a decoder takes.
  package enum Profile: Hashable, Sendable {
    /// Our own records: untagged, only algorithm, content type and key identifier, all of them
    /// protected, so that one statement has one encoding but for the signature.
    case own
    /// Others' messages: tag 18 and unprotected headers allowed, uncritical unknown headers ignored.
    case general
  }

  /// Which algorithm the protected header names.
  package let algorithm: COSEAlgorithm
  /// The media type in the protected header, label 3.
  package let contentType: String?
  /// The key identifier in the protected header, label 4.
  package let keyIdentifier: [UInt8]?
  /// What is signed.
  package let payload: [UInt8]
  /// 64 or 96 bytes.
  package let signature: [UInt8]

  private let protected: [UInt8]

  private static let limits = CBORLimits(byteCount: 1 << 20, depth: 6, itemCount: 256)
  private static let algorithmLabel = CBORValue.unsigned(1)
  private static let criticalLabel = CBORValue.unsigned(2)
  private static let contentTypeLabel = CBORValue.unsigned(3)
  private static let keyIdentifierLabel = CBORValue.unsigned(4)
  private static let knownLabels = [algorithmLabel, contentTypeLabel, keyIdentifierLabel]

  /// Signs a payload; every header is protected.
  ///
  /// - Parameters:
  ///   - payload: At most 1 MiB less the headers.
  ///   - contentType: A media type.
  ///   - keyIdentifier: Helps the verifier to find the key.
  ///   - externalData: Bound by the signature but not sent, RFC 9052 §4.4.
  ///   - signer: Not an RSA key.
  /// - Throws: `.unsupported` for RSA; what the signer throws.
  package init(
    signing payload: [UInt8], contentType: String? = nil, keyIdentifier: [UInt8]? = nil,
    externalData: [UInt8], signer: some MessageSigner
  ) throws(CryptoError) {
    guard let algorithm = COSEAlgorithm(signer.verifyingKey.kind) else {
      throw CryptoError(.unsupported, "an RSA key in COSE")
    }
    var header = [
      CBORValue.Pair(Self.algorithmLabel, .negative(UInt64(-1 - algorithm.rawValue)))
    ]
    if let contentType {
      header.append(CBORValue.Pair(Self.contentTypeLabel, .text(contentType)))
    }
    if let keyIdentifier {
      header.append(CBORValue.Pair(Self.keyIdentifierLabel, .bytes(keyIdentifier)))
    }
    self.algorithm = algorithm
    self.contentType = contentType
    self.keyIdentifier = keyIdentifier
    self.payload = payload
    protected = CBORValue.map(header).encoded
    signature = try signer.sign(Self.toBeSigned(protected, externalData, payload))
  }

  /// Decodes a message that fills all bytes; the signature is not checked yet.
  ///
  /// - Throws: `.malformed` for anything but deterministic CBOR of the right shape, `.unsupported`
  ///   for another algorithm or a detached payload, `.refused` for a critical header we do not know.
  package init(decoding bytes: [UInt8], profile: Profile = .own) throws(CryptoError) {
    let parts = try Self.parts(bytes, profile)
    let header = try Self.header(parts.protected)
    let unprotected = parts.unprotected
    try Self.check(header, unprotected, profile)

    guard let number = header.first(where: { $0.key == Self.algorithmLabel })?.value.integer,
      let algorithm = COSEAlgorithm(rawValue: number)
    else { throw CryptoError(.unsupported, "the algorithm of a COSE message") }
    let contentType = header.first { $0.key == Self.contentTypeLabel }?.value
    let keyIdentifier = header.first { $0.key == Self.keyIdentifierLabel }?.value
    guard contentType == nil || contentType?.string != nil,
      keyIdentifier == nil || keyIdentifier?.byteString != nil,
      parts.signature.count == (algorithm == .es384 ? 96 : 64)
    else { throw Self.refusal }
    self.algorithm = algorithm
    self.contentType = contentType?.string
    self.keyIdentifier = keyIdentifier?.byteString
    payload = parts.payload
    signature = parts.signature
    protected = parts.protected
  }

  /// The message without a tag, all headers protected.
  package var encoded: [UInt8] {
    var encoder = CBOREncoder(capacity: payload.count + protected.count + signature.count + 16)
    encoder.array(4)
    encoder.byteString(protected)
    encoder.map(0)
    encoder.byteString(payload)
    encoder.byteString(signature)
    return encoder.bytes
  }

  /// Throws `.invalidSignature` unless the message was signed by a key over the same external data.
  package func verify(_ key: VerifyingKey, externalData: [UInt8]) throws(CryptoError) {
    guard key.kind == algorithm.keyKind, let scheme = key.kind.ownScheme else {
      throw CryptoError(.invalidSignature, "a COSE message")
    }
    try key.verify(
      signature, for: Self.toBeSigned(protected, externalData, payload), scheme,
      context: "a COSE message")
  }

  private static let refusal = CryptoError(.malformed, "a COSE_Sign1 message")

  /// Sig_structure, RFC 9052 §4.4.
  private static func toBeSigned(
    _ protected: [UInt8], _ externalData: [UInt8], _ payload: [UInt8]
  ) -> [UInt8] {
    var encoder = CBOREncoder(capacity: payload.count + protected.count + externalData.count + 32)
    encoder.array(4)
    encoder.text("Signature1")
    encoder.byteString(protected)
    encoder.byteString(externalData)
    encoder.byteString(payload)
    return encoder.bytes
  }

  private struct Parts {
    let protected: [UInt8]
    let unprotected: [CBORValue.Pair]
    let payload: [UInt8]
    let signature: [UInt8]
  }

  private static func parts(_ bytes: [UInt8], _ profile: Profile) throws(CryptoError) -> Parts {
    do throws(WireError) {
      var reader = try CBORReader(bytes, limits: limits)
      if profile == .general, try reader.peek() == .tag {
        guard try reader.tag("tag") == 18 else { throw WireError.unsupported }
      }
      try reader.array("message", count: 4)
      let protected = try reader.byteString("protected", 0...4096)
      guard case .map(let unprotected) = try reader.value() else {
        throw WireError.wrongType(field: "unprotected")
      }
      let payload = try reader.byteString("payload", 0...limits.byteCount)
      let signature = try reader.byteString("signature", 0...96)
      try reader.finish()
      return Parts(
        protected: protected, unprotected: unprotected, payload: payload, signature: signature)
    } catch {
      throw refusal
    }
  }

  /// The protected header's pairs; CBORValue refuses repeated labels.
  private static func header(_ bytes: [UInt8]) throws(CryptoError) -> [CBORValue.Pair] {
    do throws(WireError) {
      guard case .map(let pairs) = try CBORValue(decoding: bytes, limits: limits) else {
        throw WireError.wrongType(field: "protected")
      }
      return pairs
    } catch {
      throw refusal
    }
  }

  private static func check(
    _ header: [CBORValue.Pair], _ unprotected: [CBORValue.Pair], _ profile: Profile
  ) throws(CryptoError) {
    let labels = header.map(\.key)
    if let critical = header.first(where: { $0.key == criticalLabel })?.value {
      // RFC 9052 §3.1: a non-empty list of labels that are in the protected header and understood.
      guard let named = critical.items, !named.isEmpty, named.allSatisfy(labels.contains) else {
        throw refusal
      }
      guard profile == .general, named.allSatisfy(knownLabels.contains) else {
        throw CryptoError(.refused, "a COSE message has a critical header that is not understood")
      }
    }
    for pair in unprotected {
      // A label may stand in one of the two maps only, and what decides must be protected.
      guard !labels.contains(pair.key), pair.key != criticalLabel, pair.key != algorithmLabel else {
        throw refusal
      }
    }
    guard profile == .general || unprotected.isEmpty && labels.allSatisfy(knownLabels.contains)
    else { throw refusal }
  }
}
