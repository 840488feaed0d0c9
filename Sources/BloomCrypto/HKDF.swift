internal import BloomBase
internal import COpenSSL

/// HKDF with SHA-256, RFC 5869.
package enum HKDF: Sendable {
  /// The longest output, 255 blocks of 32 bytes.
  package static let maximumByteCount = 255 * SHA256.byteCount

  /// Extracts a 32-byte key from uneven key material.
  ///
  /// RFC 5869 §2.2.
  ///
  /// - Parameters:
  ///   - salt: Any length; empty counts as 32 zero bytes.
  ///   - keyMaterial: The secret.
  /// - Returns: 32 bytes.
  /// - Throws: Nothing but a failure of the memory.
  package static func extract(salt: [UInt8], keyMaterial: SecretBytes) throws(CryptoError)
    -> SecretBytes
  {
    var code = HMAC<SHA256>(key: salt.span)
    defer { code.wipe() }
    keyMaterial.withBytes { (bytes) in code.update(bytes) }
    return try secret(&code)
  }

  /// Expands a key to output for one purpose.
  ///
  /// RFC 5869 §2.3.
  ///
  /// - Parameters:
  ///   - key: From ``extract(salt:keyMaterial:)``.
  ///   - info: Names the purpose.
  ///   - count: 0…8160 bytes.
  ///   - owner: Where to keep the result; `nil` is the heap.
  /// - Returns: `count` bytes.
  /// - Throws: `.exhausted` when `owner` has no room.
  package static func expand(
    _ key: SecretBytes, info: [UInt8], count: Int, in owner: (any SecretMemory)? = nil
  ) throws(CryptoError) -> SecretBytes {
    try expand(key, count: count, in: owner) { (code) in code.update(info) }
  }

  /// Expands with an info that the closure feeds part by part.
  package static func expand(
    _ key: SecretBytes, count: Int, in owner: (any SecretMemory)? = nil,
    info feed: (inout HMAC<SHA256>) -> Void
  ) throws(CryptoError) -> SecretBytes {
    invariant((0...maximumByteCount).contains(count), "HKDF gives 0 to 8160 bytes")
    var keyed = HMAC<SHA256>(key: key)
    defer { keyed.wipe() }
    return try unsafe SecretBytes(count: count, in: owner) { (memory) throws(CryptoError) in
      unsafe withUnsafeTemporaryAllocation(byteCount: SHA256.byteCount, alignment: 8) { (block) in
        defer { unsafe OPENSSL_cleanse(block.baseAddress, block.count) }
        var offset = 0
        var index: UInt8 = 0
        while offset < count {
          index += 1
          var code = keyed
          defer { code.wipe() }
          if index > 1 {
            code.update(unsafe Span<UInt8>(_unsafeBytes: UnsafeRawBufferPointer(block)))
          }
          feed(&code)
          code.update(CollectionOfOne(index).span)
          unsafe code.finalize(into: block)
          let part = min(count - offset, SHA256.byteCount)
          unsafe UnsafeMutableRawBufferPointer(rebasing: memory[offset..<offset + part])
            .copyMemory(from: UnsafeRawBufferPointer(rebasing: block[..<part]))
          offset += part
        }
      }
    }
  }

  /// The code of what was fed, as a secret.
  package static func secret(_ code: inout HMAC<SHA256>) throws(CryptoError) -> SecretBytes {
    try unsafe SecretBytes(count: SHA256.byteCount) { (memory) throws(CryptoError) in
      unsafe code.finalize(into: memory)
    }
  }
}
