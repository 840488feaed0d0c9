internal import BloomCrypto
internal import COpenSSL

extension PrimeCurve {
  /// ECDH: the x coordinate of scalar · point, SEC 1 §3.3.1.
  ///
  /// EC_POINT_mul(3).
  func sharedSecret(scalar: SecretBytes, point: [UInt8]) throws(CryptoError) -> SecretBytes {
    guard isValid(scalar: scalar) else { throw CryptoError(.invalidKey, "a private key") }
    let peer = try unsafe decode(point)
    defer { unsafe EC_POINT_free(peer) }
    let number = try unsafe number(scalar)
    defer { unsafe BN_clear_free(number) }
    try unsafe OpenSSL.check(EC_POINT_mul(group, peer, nil, peer, number, nil), "EC_POINT_mul")
    let x = try unsafe OpenSSL.check(BN_secure_new(), "BN_secure_new")
    defer { unsafe BN_clear_free(x) }
    try unsafe OpenSSL.check(
      EC_POINT_get_affine_coordinates(group, peer, x, nil, nil), "EC_POINT_get_affine_coordinates")
    let count = byteCount
    return try unsafe SecretBytes(count: count) { (memory) throws(CryptoError) in
      let address = unsafe memory.baseAddress?.assumingMemoryBound(to: UInt8.self)
      guard unsafe BN_bn2binpad(x, address, Int32(count)) == count else {
        throw CryptoError(.backend, "BN_bn2binpad")
      }
    }
  }
}
