internal import COpenSSL

/// The two NIST curves and the arithmetic on them that libcrypto's key objects would do slower.
///
/// `EVP_PKEY_derive` checks the peer's order with one more multiplication; both curves have cofactor
/// 1, so that a point which is on the curve and finite is already a valid key (SP 800-56A §5.6.2.3.4).
package enum PrimeCurve: Hashable, Sendable {
  /// secp256r1.
  case p256
  /// secp384r1.
  case p384

  /// Bytes of a coordinate and of a scalar.
  package var byteCount: Int { self == .p256 ? 32 : 48 }

  /// Bytes of an uncompressed point, SEC 1 §2.3.3.
  package var pointByteCount: Int { 1 + 2 * byteCount }

  /// What OSSL_PARAM calls it.
  var groupName: String { self == .p256 ? "P-256" : "P-384" }

  // Groups are immutable once made and never freed, so any thread may read them. EC_GROUP_new(3).
  private nonisolated(unsafe) static let p256Group = unsafe group(NID_X9_62_prime256v1)
  // As above.
  private nonisolated(unsafe) static let p384Group = unsafe group(NID_secp384r1)

  private static func group(_ identifier: Int32) -> OpaquePointer {
    guard let group = unsafe EC_GROUP_new_by_curve_name(identifier) else {
      fatalError("libcrypto lacks a NIST curve: install OpenSSL 3 with its default provider")
    }
    return unsafe group
  }

  /// The curve, for libcrypto; never freed.
  package var group: OpaquePointer {
    unsafe self == .p256 ? Self.p256Group : Self.p384Group
  }

  /// Whether a scalar is in 1…n−1.
  package func isValid(scalar: SecretBytes) -> Bool {
    guard scalar.count == byteCount, let number = try? unsafe number(scalar) else { return false }
    defer { unsafe BN_clear_free(number) }
    return unsafe BN_is_zero(number) == 0 && BN_cmp(number, EC_GROUP_get0_order(group)) < 0
  }

  /// Throws `.invalidKey` unless the bytes are an uncompressed, finite point of the curve.
  package func check(point: [UInt8]) throws(CryptoError) {
    unsafe EC_POINT_free(try decode(point))
  }

  /// The uncompressed public point of a scalar in 1…n−1.
  package func publicPoint(scalar: SecretBytes) throws(CryptoError) -> [UInt8] {
    guard isValid(scalar: scalar) else { throw CryptoError(.invalidKey, "a private key") }
    let number = try unsafe number(scalar)
    defer { unsafe BN_clear_free(number) }
    let result = try unsafe OpenSSL.check(EC_POINT_new(group), "EC_POINT_new")
    defer { unsafe EC_POINT_free(result) }
    try unsafe OpenSSL.check(EC_POINT_mul(group, result, number, nil, nil, nil), "EC_POINT_mul")
    var bytes = [UInt8](repeating: 0, count: pointByteCount)
    let written = unsafe EC_POINT_point2oct(
      group, result, POINT_CONVERSION_UNCOMPRESSED, &bytes, bytes.count, nil)
    guard written == bytes.count else { throw CryptoError(.backend, "EC_POINT_point2oct") }
    return bytes
  }

  /// The scalar as a number of its own; the caller clears it.
  ///
  /// BN_bin2bn(3).
  package func number(_ scalar: SecretBytes) throws(CryptoError) -> OpaquePointer {
    let number = try unsafe OpenSSL.check(BN_secure_new(), "BN_secure_new")
    unsafe BN_set_flags(number, BN_FLG_CONSTTIME)
    let result = unsafe scalar.withUnsafeBytes { (bytes) in
      unsafe BN_bin2bn(
        bytes.baseAddress?.assumingMemoryBound(to: UInt8.self), Int32(bytes.count), number)
    }
    guard unsafe result != nil else {
      unsafe BN_clear_free(number)
      throw CryptoError(.backend, "BN_bin2bn")
    }
    return unsafe number
  }

  /// The point as an object of its own; the caller frees it.
  ///
  /// EC_POINT_oct2point(3) checks the curve.
  package func decode(_ point: [UInt8]) throws(CryptoError) -> OpaquePointer {
    guard point.count == pointByteCount, point.first == 4 else {
      throw CryptoError(.invalidKey, "a public key")
    }
    let result = try unsafe OpenSSL.check(EC_POINT_new(group), "EC_POINT_new")
    guard unsafe EC_POINT_oct2point(group, result, point, point.count, nil) == 1 else {
      ERR_clear_error()
      unsafe EC_POINT_free(result)
      throw CryptoError(.invalidKey, "a public key")
    }
    return unsafe result
  }
}
