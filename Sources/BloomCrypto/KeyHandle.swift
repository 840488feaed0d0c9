internal import COpenSSL

/// Owns one `EVP_PKEY`, which is never changed after it is made.
@safe
package final class KeyHandle: Sendable {
  /// The key for libcrypto, valid while this object is.
  // Reference-counted by libcrypto, and safe to read from any thread once made. EVP_PKEY_new(3).
  package nonisolated(unsafe) let pointer: OpaquePointer

  /// Takes over a key.
  init(_ pointer: OpaquePointer) { unsafe self.pointer = pointer }

  deinit { unsafe EVP_PKEY_free(pointer) }

  /// A key pair or a public key on a NIST curve.
  ///
  /// EVP_PKEY_fromdata(3).
  package convenience init(_ curve: PrimeCurve, point: [UInt8], scalar: SecretBytes?)
    throws(CryptoError)
  {
    try curve.check(point: point)
    let builder = try unsafe OpenSSL.check(OSSL_PARAM_BLD_new(), "OSSL_PARAM_BLD_new")
    defer { unsafe OSSL_PARAM_BLD_free(builder) }
    // A number from BN_secure_new is wiped inside the parameters too.
    var number: OpaquePointer?
    if let scalar { unsafe number = try curve.number(scalar) }
    defer { unsafe BN_clear_free(number) }
    // The builder keeps the addresses it is given until the parameters are made.
    let parameters = unsafe curve.groupName.withCString { (name) in
      unsafe point.withUnsafeBufferPointer { (point) in
        var result =
          unsafe OSSL_PARAM_BLD_push_utf8_string(builder, copenssl_param_group(), name, 0)
          & OSSL_PARAM_BLD_push_octet_string(
            builder, copenssl_param_public(), point.baseAddress, point.count)
        if unsafe number != nil {
          result &= unsafe OSSL_PARAM_BLD_push_BN(builder, copenssl_param_private(), number)
        }
        return unsafe result == 1 ? OSSL_PARAM_BLD_to_param(builder) : nil
      }
    }
    let checked = try unsafe OpenSSL.check(parameters, "OSSL_PARAM_BLD_to_param")
    defer { unsafe OSSL_PARAM_free(checked) }
    let context = try unsafe OpenSSL.check(
      EVP_PKEY_CTX_new_from_name(nil, "EC", nil), "EVP_PKEY_CTX_new_from_name")
    defer { unsafe EVP_PKEY_CTX_free(context) }
    try unsafe OpenSSL.check(EVP_PKEY_fromdata_init(context), "EVP_PKEY_fromdata_init")
    var key: OpaquePointer?
    let selection = scalar == nil ? copenssl_public_key : copenssl_key_pair
    guard unsafe EVP_PKEY_fromdata(context, &key, selection, checked) == 1, let made = unsafe key
    else {
      ERR_clear_error()
      throw CryptoError(.invalidKey, "an elliptic curve key")
    }
    unsafe self.init(made)
  }

  /// An Ed25519 or X25519 public key.
  ///
  /// EVP_PKEY_new_raw_public_key(3).
  package convenience init(rawPublic bytes: [UInt8], type: Int32) throws(CryptoError) {
    guard bytes.count == 32 else { throw CryptoError(.invalidKey, "a public key") }
    try unsafe self.init(
      OpenSSL.check(
        EVP_PKEY_new_raw_public_key(type, nil, bytes, bytes.count), "EVP_PKEY_new_raw_public_key"))
  }

  /// An Ed25519 or X25519 private key.
  ///
  /// EVP_PKEY_new_raw_private_key(3).
  package convenience init(rawPrivate secret: SecretBytes, type: Int32) throws(CryptoError) {
    guard secret.count == 32 else { throw CryptoError(.invalidKey, "a private key") }
    let key = unsafe secret.withUnsafeBytes { (bytes) in
      unsafe EVP_PKEY_new_raw_private_key(
        type, nil, bytes.baseAddress?.assumingMemoryBound(to: UInt8.self), bytes.count)
    }
    try unsafe self.init(OpenSSL.check(key, "EVP_PKEY_new_raw_private_key"))
  }

  /// The public bytes of an Ed25519 or X25519 key.
  ///
  /// EVP_PKEY_get_raw_public_key(3).
  package func rawPublicKey() throws(CryptoError) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: 32)
    var count = bytes.count
    try unsafe OpenSSL.check(
      EVP_PKEY_get_raw_public_key(pointer, &bytes, &count), "EVP_PKEY_get_raw_public_key")
    guard count == 32 else { throw CryptoError(.backend, "EVP_PKEY_get_raw_public_key") }
    return bytes
  }
}
