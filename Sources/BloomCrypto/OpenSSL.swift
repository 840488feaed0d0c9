internal import COpenSSL

/// The one check of libcrypto's return codes.
package enum OpenSSL: Sendable {
  /// Throws `.backend` unless a call returned 1, and clears the thread's error queue.
  package static func check(_ result: Int32, _ function: String) throws(CryptoError) {
    guard result == 1 else {
      ERR_clear_error()
      throw CryptoError(.backend, function)
    }
  }

  /// Throws `.backend` when a constructor gave nothing.
  package static func check(_ result: OpaquePointer?, _ function: String) throws(CryptoError)
    -> OpaquePointer
  {
    guard let result = unsafe result else {
      ERR_clear_error()
      throw CryptoError(.backend, function)
    }
    return unsafe result
  }

  /// Throws `.backend` when a constructor gave nothing.
  package static func check<T>(_ result: UnsafeMutablePointer<T>?, _ function: String)
    throws(CryptoError) -> UnsafeMutablePointer<T>
  {
    guard let result = unsafe result else {
      ERR_clear_error()
      throw CryptoError(.backend, function)
    }
    return unsafe result
  }
}
