package import BloomBase
internal import COpenSSL

/// Builds and checks a certification path to pinned roots at a given time, RFC 5280 §6.
///
/// libcrypto builds the path and checks names, signatures, validity, basicConstraints, path lengths,
/// keyUsage of issuers, name constraints and unknown critical extensions. We add: every issuer below
/// the root says that it is one, and only the signature algorithms below.
package enum CertificatePath: Sendable {
  /// The most intermediates a path may have.
  package static let maximumDepth: Int32 = 8
  /// The most certificates we look at for one path, roots included.
  package static let maximumCandidates = 512

  private static let signatureAlgorithms: Set<DERReader.ObjectIdentifier> = [
    // ecdsa-with-SHA256, -384, -512; RFC 5758.
    [1, 2, 840, 10045, 4, 3, 2], [1, 2, 840, 10045, 4, 3, 3], [1, 2, 840, 10045, 4, 3, 4],
    // RSASSA-PSS; sha256, 384, 512WithRSAEncryption; RFC 4055.
    [1, 2, 840, 113549, 1, 1, 10], [1, 2, 840, 113549, 1, 1, 11],
    [1, 2, 840, 113549, 1, 1, 12], [1, 2, 840, 113549, 1, 1, 13],
    // Ed25519, RFC 8410.
    [1, 3, 101, 112],
  ]

  /// The path from a leaf to one of the roots.
  ///
  /// - Parameters:
  ///   - leaf: What is to be trusted.
  ///   - intermediates: Untrusted help, in any order.
  ///   - roots: Pinned. A root may itself be signed by somebody else.
  ///   - time: All certificates of the path must be valid at it.
  /// - Returns: Leaf first, root last.
  /// - Throws: `.refused` with libcrypto's reason, a fixed text.
  package static func verify(
    _ leaf: Certificate, intermediates: [Certificate], roots: [Certificate], at time: UnixTime
  ) throws(CryptoError) -> [Certificate] {
    guard intermediates.count + roots.count <= maximumCandidates else {
      throw CryptoError(.refused, "too many certificates")
    }
    let store = try unsafe OpenSSL.check(X509_STORE_new(), "X509_STORE_new")
    defer { unsafe X509_STORE_free(store) }
    for root in roots {
      let certificate = try unsafe decode(root)
      defer { unsafe X509_free(certificate) }
      try unsafe OpenSSL.check(X509_STORE_add_cert(store, certificate), "X509_STORE_add_cert")
    }
    let helpers = try unsafe OpenSSL.check(copenssl_certificates_new(), "sk_X509_new_null")
    defer { unsafe copenssl_certificates_free(helpers) }
    for intermediate in intermediates {
      let certificate = try unsafe decode(intermediate)
      guard unsafe copenssl_certificates_push(helpers, certificate) > 0 else {
        unsafe X509_free(certificate)
        throw CryptoError(.backend, "sk_X509_push")
      }
    }
    let subject = try unsafe decode(leaf)
    defer { unsafe X509_free(subject) }
    let path = try unsafe build(subject, helpers, store, time)
    try check(path)
    return path
  }

  /// X509_verify_cert(3); the parameters: X509_VERIFY_PARAM_set_flags(3).
  private static func build(
    _ subject: OpaquePointer, _ helpers: OpaquePointer, _ store: OpaquePointer, _ time: UnixTime
  ) throws(CryptoError) -> [Certificate] {
    defer { ERR_clear_error() }
    let context = try unsafe OpenSSL.check(X509_STORE_CTX_new(), "X509_STORE_CTX_new")
    defer { unsafe X509_STORE_CTX_free(context) }
    try unsafe OpenSSL.check(
      X509_STORE_CTX_init(context, store, subject, helpers), "X509_STORE_CTX_init")
    let parameters = try unsafe OpenSSL.check(
      X509_STORE_CTX_get0_param(context), "X509_STORE_CTX_get0_param")
    unsafe X509_VERIFY_PARAM_set_time(parameters, time_t(time.seconds))
    unsafe X509_VERIFY_PARAM_set_depth(parameters, maximumDepth)
    // 112 bits: no SHA-1, no RSA below 2048 bits, in any signature but a root's own.
    unsafe X509_VERIFY_PARAM_set_auth_level(parameters, 2)
    try unsafe OpenSSL.check(
      X509_VERIFY_PARAM_set_flags(parameters, UInt(X509_V_FLAG_PARTIAL_CHAIN)),
      "X509_VERIFY_PARAM_set_flags")
    guard unsafe X509_verify_cert(context) == 1 else {
      let reason = unsafe String(
        cString: X509_verify_cert_error_string(Int(X509_STORE_CTX_get_error(context))))
      throw CryptoError(.refused, "certificate path: \(reason)")
    }
    guard let chain = unsafe X509_STORE_CTX_get0_chain(context) else {
      throw CryptoError(.backend, "X509_STORE_CTX_get0_chain")
    }
    var path: [Certificate] = []
    for index in unsafe 0..<copenssl_certificates_count(chain) {
      path.append(try unsafe encode(copenssl_certificates_get(chain, index)))
    }
    return path
  }

  private static func check(_ path: [Certificate]) throws(CryptoError) {
    for certificate in path.dropLast() {
      guard signatureAlgorithms.contains(certificate.signatureAlgorithm) else {
        throw CryptoError(.refused, "certificate path: signature algorithm")
      }
    }
    for issuer in path.dropFirst().dropLast() {
      let usage = try issuer.keyUsage()
      guard try issuer.isAuthority(), usage?.contains(.keyCertificateSign) ?? true else {
        throw CryptoError(.refused, "certificate path: an issuer is not an authority")
      }
    }
  }

  /// d2i_X509(3).
  private static func decode(_ certificate: Certificate) throws(CryptoError) -> OpaquePointer {
    let decoded = unsafe certificate.der.withUnsafeBufferPointer { (bytes) in
      var position = bytes.baseAddress
      return unsafe d2i_X509(nil, &position, bytes.count)
    }
    guard let decoded = unsafe decoded else {
      ERR_clear_error()
      throw CryptoError(.malformed, "a certificate")
    }
    return unsafe decoded
  }

  /// i2d_X509(3) gives back the bytes it was made from.
  private static func encode(_ certificate: OpaquePointer?) throws(CryptoError) -> Certificate {
    let count = unsafe i2d_X509(certificate, nil)
    guard count > 0 else { throw CryptoError(.backend, "i2d_X509") }
    var der = [UInt8](repeating: 0, count: Int(count))
    let written = unsafe der.withUnsafeMutableBufferPointer { (bytes) in
      var position = bytes.baseAddress
      return unsafe i2d_X509(certificate, &position)
    }
    guard written == count else { throw CryptoError(.backend, "i2d_X509") }
    return try Certificate(der: der)
  }
}
