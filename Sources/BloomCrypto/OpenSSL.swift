internal import COpenSSL

/// The algorithms fetched once from libcrypto, and the one check of its return codes.
///
/// A fetch costs microseconds and a lock, so nothing on a request's path may do one.
enum OpenSSL: Sendable {
  // A fetched EVP_CIPHER is immutable and counted; we never free these. EVP_CIPHER_fetch(3).
  nonisolated(unsafe) static let aes128GCM = unsafe cipher("AES-128-GCM")
  // As above.
  nonisolated(unsafe) static let aes256GCM = unsafe cipher("AES-256-GCM")

  private static func cipher(_ name: String) -> OpaquePointer {
    guard let cipher = unsafe EVP_CIPHER_fetch(nil, name, nil) else {
      fatalError("libcrypto has no \(name): install OpenSSL 3 with its default provider")
    }
    return unsafe cipher
  }

  /// Throws `.backend` unless a call returned 1, and clears the thread's error queue.
  static func check(_ result: Int32, _ function: String) throws(CryptoError) {
    guard result == 1 else {
      ERR_clear_error()
      throw CryptoError(.backend, function)
    }
  }

  /// Throws `.backend` when a constructor gave nothing.
  static func check(_ result: OpaquePointer?, _ function: String) throws(CryptoError)
    -> OpaquePointer
  {
    guard let result = unsafe result else {
      ERR_clear_error()
      throw CryptoError(.backend, function)
    }
    return unsafe result
  }

  /// Throws `.backend` when a constructor gave nothing.
  static func check<T>(_ result: UnsafeMutablePointer<T>?, _ function: String)
    throws(CryptoError) -> UnsafeMutablePointer<T>
  {
    guard let result = unsafe result else {
      ERR_clear_error()
      throw CryptoError(.backend, function)
    }
    return unsafe result
  }
}
