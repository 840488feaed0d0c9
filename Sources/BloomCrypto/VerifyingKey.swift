internal import COpenSSL

/// A public key that checks signatures.
///
/// Safe from any thread.
package struct VerifyingKey: Hashable, Sendable, CustomStringConvertible {
  /// The kinds of keys we take.
  package enum Kind: Hashable, Sendable {
    case p256
    case p384
    case ed25519
    /// 2048…8192 bits.
    case rsa
  }

  /// Which algorithm.
  package let kind: Kind
  /// SEC 1 uncompressed point, 32 bytes of Ed25519, or the SPKI of an RSA key.
  package let bytes: [UInt8]

  private let handle: KeyHandle

  /// Reads an uncompressed point or 32 raw bytes.
  ///
  /// - Throws: `.invalidKey` when the point is not on the curve or the count is wrong;
  ///   `.unsupported` for RSA, which comes as SPKI.
  package init(_ kind: Kind, _ bytes: [UInt8]) throws(CryptoError) {
    self.kind = kind
    self.bytes = bytes
    switch kind {
    case .p256: handle = try KeyHandle(.p256, point: bytes, scalar: nil)
    case .p384: handle = try KeyHandle(.p384, point: bytes, scalar: nil)
    case .ed25519: handle = try KeyHandle(rawPublic: bytes, type: EVP_PKEY_ED25519)
    case .rsa: throw CryptoError(.unsupported, "an RSA key outside SubjectPublicKeyInfo")
    }
  }

  /// Reads a SubjectPublicKeyInfo, RFC 5280 §4.1.2.7, in its one DER form.
  ///
  /// - Throws: `.invalidKey` for another form (compressed points, explicit curves, trailing bytes),
  ///   `.unsupported` for RSA outside 2048…8192 bits.
  package init(subjectPublicKeyInfo spki: [UInt8]) throws(CryptoError) {
    for (kind, prefix) in KeyEncoding.publicPrefixes where spki.starts(with: prefix) {
      try self.init(kind, Array(spki.dropFirst(prefix.count)))
      return
    }
    self.init(.rsa, spki, try Self.rsaHandle(spki))
  }

  private init(_ kind: Kind, _ bytes: [UInt8], _ handle: KeyHandle) {
    self.kind = kind
    self.bytes = bytes
    self.handle = handle
  }

  /// The SubjectPublicKeyInfo in DER.
  package var subjectPublicKeyInfo: [UInt8] {
    for (kind, prefix) in KeyEncoding.publicPrefixes where kind == self.kind {
      return prefix + bytes
    }
    return bytes
  }

  /// Whether a signature of a message is valid; every malformed signature is simply not.
  package func isValid(_ signature: [UInt8], for message: [UInt8], _ scheme: SignatureScheme)
    -> Bool
  {
    switch scheme {
    case .ecdsa(let hash), .ecdsaDER(let hash), .rsaPKCS1(let hash), .rsaPSS(let hash):
      return isValid(signature, forHash: hash.hash(message), scheme)
    case .ed25519:
      guard kind == .ed25519, signature.count == 64 else { return false }
      guard let context = unsafe EVP_MD_CTX_new() else { return false }
      defer { unsafe EVP_MD_CTX_free(context) }
      defer { ERR_clear_error() }
      return unsafe EVP_DigestVerifyInit(context, nil, nil, nil, handle.pointer) == 1
        && EVP_DigestVerify(context, signature, signature.count, message, message.count) == 1
    }
  }

  /// Whether a signature is valid for a message whose hash the caller has; not for Ed25519.
  package func isValid(
    _ signature: [UInt8], forHash digest: [UInt8], _ scheme: SignatureScheme
  ) -> Bool {
    switch (scheme, kind) {
    case (.ecdsa(let hash), .p256): isValidECDSA(signature, digest, hash, .p256)
    case (.ecdsa(let hash), .p384): isValidECDSA(signature, digest, hash, .p384)
    case (.ecdsaDER(let hash), .p256): isValidDER(signature, digest, hash, .p256)
    case (.ecdsaDER(let hash), .p384): isValidDER(signature, digest, hash, .p384)
    case (.rsaPKCS1(let hash), .rsa): isValidRSA(signature, digest, hash, RSA_PKCS1_PADDING)
    case (.rsaPSS(let hash), .rsa): isValidRSA(signature, digest, hash, RSA_PKCS1_PSS_PADDING)
    case (.ecdsa, _), (.ecdsaDER, _), (.rsaPKCS1, _), (.rsaPSS, _), (.ed25519, _): false
    }
  }

  /// Throws `.invalidSignature` unless ``isValid(_:for:_:)``; `context` names what was signed.
  package func verify(
    _ signature: [UInt8], for message: [UInt8], _ scheme: SignatureScheme, context: String
  ) throws(CryptoError) {
    guard isValid(signature, for: message, scheme) else {
      throw CryptoError(.invalidSignature, context)
    }
  }

  /// The kind alone.
  package var description: String { "\(kind)" }

  /// Whether kind and bytes are equal.
  package static func == (a: VerifyingKey, b: VerifyingKey) -> Bool {
    a.kind == b.kind && a.bytes == b.bytes
  }

  /// Feeds the bytes.
  package func hash(into hasher: inout Hasher) { hasher.combine(bytes) }

  private func isValidDER(
    _ signature: [UInt8], _ digest: [UInt8], _ hash: HashName, _ curve: PrimeCurve
  ) -> Bool {
    guard
      let raw = try? ECDSASignature.raw(fromDER: signature, coordinateByteCount: curve.byteCount)
    else { return false }
    return isValidECDSA(raw, digest, hash, curve)
  }

  /// EVP_PKEY_verify(3) without a digest name, so that P-256 with SHA-384 is cut as FIPS 186-4 says.
  private func isValidECDSA(
    _ raw: [UInt8], _ digest: [UInt8], _ hash: HashName, _ curve: PrimeCurve
  ) -> Bool {
    guard raw.count == 2 * curve.byteCount, digest.count == hash.byteCount else { return false }
    return unsafe isValidByPKEY(ECDSASignature.der(fromRaw: raw), digest) { _ in true }
  }

  /// Verifies with one of the two paddings.
  ///
  /// EVP_PKEY_CTX_set_rsa_padding(3).
  private func isValidRSA(
    _ signature: [UInt8], _ digest: [UInt8], _ hash: HashName, _ padding: Int32
  ) -> Bool {
    guard digest.count == hash.byteCount else { return false }
    return unsafe isValidByPKEY(signature, digest) { (context) in
      guard unsafe EVP_PKEY_CTX_set_rsa_padding(context, padding) == 1,
        unsafe EVP_PKEY_CTX_set_signature_md(context, hash.description) == 1
      else { return false }
      return unsafe padding != RSA_PKCS1_PSS_PADDING
        || EVP_PKEY_CTX_set_rsa_pss_saltlen(context, RSA_PSS_SALTLEN_DIGEST) == 1
    }
  }

  private func isValidByPKEY(
    _ signature: [UInt8], _ digest: [UInt8], configure: (OpaquePointer) -> Bool
  ) -> Bool {
    defer { ERR_clear_error() }
    guard let context = unsafe EVP_PKEY_CTX_new_from_pkey(nil, handle.pointer, nil) else {
      return false
    }
    defer { unsafe EVP_PKEY_CTX_free(context) }
    return unsafe EVP_PKEY_verify_init(context) == 1 && configure(context)
      && EVP_PKEY_verify(context, signature, signature.count, digest, digest.count) == 1
  }

  /// d2i_PUBKEY(3), then encoded again: one form, no trailing bytes.
  private static func rsaHandle(_ spki: [UInt8]) throws(CryptoError) -> KeyHandle {
    defer { ERR_clear_error() }
    let refusal = CryptoError(.invalidKey, "a SubjectPublicKeyInfo")
    guard (256...2048).contains(spki.count) else { throw refusal }
    let key = unsafe spki.withUnsafeBufferPointer { (bytes) in
      var position = bytes.baseAddress
      return unsafe d2i_PUBKEY(nil, &position, bytes.count)
    }
    guard let key = unsafe key else { throw refusal }
    let handle = unsafe KeyHandle(key)
    guard unsafe EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA else { throw refusal }
    guard unsafe (2048...8192).contains(EVP_PKEY_get_bits(key)) else {
      throw CryptoError(.unsupported, "an RSA key of this size")
    }
    let count = unsafe i2d_PUBKEY(key, nil)
    guard Int(count) == spki.count else { throw refusal }
    var encoded = [UInt8](repeating: 0, count: spki.count)
    let written = unsafe encoded.withUnsafeMutableBufferPointer { (bytes) in
      var position = bytes.baseAddress
      return unsafe i2d_PUBKEY(key, &position)
    }
    guard written == count, encoded == spki else { throw refusal }
    return handle
  }
}

/// The fixed beginnings of key encodings: with named curves and full points nothing else varies.
enum KeyEncoding: Sendable {
  /// SubjectPublicKeyInfo up to the key's own bytes; RFC 5480 §2, RFC 8410 §4.
  static let publicPrefixes: [(VerifyingKey.Kind, [UInt8])] = [
    (
      .p256,
      [
        0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08,
        0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
      ]
    ),
    (
      .p384,
      [
        0x30, 0x76, 0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x05,
        0x2b, 0x81, 0x04, 0x00, 0x22, 0x03, 0x62, 0x00,
      ]
    ),
    (.ed25519, [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00]),
  ]

  /// PKCS #8 up to the scalar, RFC 5958 and RFC 5915.
  static let p256PrivatePrefix: [UInt8] = [
    0x30, 0x81, 0x87, 0x02, 0x01, 0x00, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02,
    0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x04, 0x6d, 0x30, 0x6b, 0x02,
    0x01, 0x01, 0x04, 0x20,
  ]
  /// Between the scalar and the public point.
  static let p256PrivateMiddle: [UInt8] = [0xa1, 0x44, 0x03, 0x42, 0x00]

  /// As above, for P-384.
  static let p384PrivatePrefix: [UInt8] = [
    0x30, 0x81, 0xb6, 0x02, 0x01, 0x00, 0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02,
    0x01, 0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22, 0x04, 0x81, 0x9e, 0x30, 0x81, 0x9b, 0x02, 0x01,
    0x01, 0x04, 0x30,
  ]
  /// As above, for P-384.
  static let p384PrivateMiddle: [UInt8] = [0xa1, 0x64, 0x03, 0x62, 0x00]

  /// PKCS #8 of Ed25519, RFC 8410 §7.
  static let ed25519PrivatePrefix: [UInt8] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
  ]
}
