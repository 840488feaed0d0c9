internal import BloomBase
package import BloomCrypto
internal import COpenSSL

/// AES-GCM under one key, NIST SP 800-38D: the key schedule is made once, chunks cost no allocation.
///
/// One owner, one thread at a time; the expanded key lives on libcrypto's heap and is wiped with it.
/// The caller never uses a nonce twice for sealing.
@safe
package struct AESGCM: ~Copyable {
  /// The number of bytes a sealed text is longer than its plaintext.
  package static let tagByteCount = 16
  /// The longest text of one call; OpenSSL counts in 32-bit integers.
  package static let maximumByteCount = 1 << 30

  /// Room for a tag; appending an array is one copy, appending a repeated element is a loop.
  private static let noTag = [UInt8](repeating: 0, count: tagByteCount)

  private let context: OpaquePointer

  /// Expands a key of 16 or 32 bytes.
  ///
  /// - Throws: `.wrongLength` for any other count.
  package init(key: SecretBytes) throws(CryptoError) {
    try unsafe context = Self.makeContext(key)
  }

  deinit { unsafe EVP_CIPHER_CTX_free(context) }

  /// Encrypts the end of a buffer where it stands and appends the tag.
  ///
  /// - Parameters:
  ///   - buffer: Its bytes from `start` on are the plaintext.
  ///   - start: 0…`buffer.count`.
  ///   - nonce: Never used before under this key.
  ///   - associatedData: Bound, not hidden.
  /// - Throws: `.wrongLength` beyond ``maximumByteCount``.
  package mutating func seal(
    _ buffer: inout [UInt8], from start: Int = 0, nonce: AEADNonce,
    associatedData: Span<UInt8>
  ) throws(CryptoError) {
    let count = buffer.count - start
    try checkCount(count)
    buffer.append(contentsOf: Self.noTag)
    try unsafe buffer.withUnsafeMutableBufferPointer { (bytes) throws(CryptoError) in
      let memory = UnsafeMutableRawBufferPointer(bytes)
      let text = unsafe UnsafeMutableRawBufferPointer(rebasing: memory[start..<start + count])
      let tag = unsafe UnsafeMutableRawBufferPointer(rebasing: memory[(start + count)...])
      try unsafe seal(text, tag: tag, nonce: nonce, associatedData: associatedData)
    }
  }

  /// Appends the sealed form of a text, 16 bytes longer than it.
  package mutating func seal(
    _ plaintext: Span<UInt8>, nonce: AEADNonce, associatedData: Span<UInt8>,
    appendingTo output: inout [UInt8]
  ) throws(CryptoError) {
    let start = output.count
    unsafe plaintext.withUnsafeBytes { (bytes) in unsafe output.append(contentsOf: bytes) }
    try seal(&output, from: start, nonce: nonce, associatedData: associatedData)
  }

  /// The sealed form of a text, 16 bytes longer than it.
  package mutating func seal(
    _ plaintext: [UInt8], nonce: AEADNonce, associatedData: [UInt8] = []
  ) throws(CryptoError) -> [UInt8] {
    var output: [UInt8] = []
    output.reserveCapacity(plaintext.count + Self.tagByteCount)
    output.append(contentsOf: plaintext)
    try seal(&output, nonce: nonce, associatedData: associatedData.span)
    return output
  }

  /// Encrypts memory where it stands and writes the 16-byte tag.
  package mutating func seal(
    _ text: UnsafeMutableRawBufferPointer, tag: UnsafeMutableRawBufferPointer, nonce: AEADNonce,
    associatedData: Span<UInt8>
  ) throws(CryptoError) {
    invariant(tag.count == Self.tagByteCount, "an AES-GCM tag has 16 bytes")
    let count = text.count
    try checkCount(count)
    try checkCount(associatedData.count)
    var written: Int32 = 0
    let result = unsafe nonce.withUnsafeBytes { (nonce) in
      unsafe EVP_EncryptInit_ex2(
        context, nil, nil, nonce.baseAddress?.assumingMemoryBound(to: UInt8.self), nil)
    }
    try OpenSSL.check(result, "EVP_EncryptInit_ex2")
    try authenticate(associatedData, isSealing: true)
    let address = unsafe text.baseAddress?.assumingMemoryBound(to: UInt8.self)
    if count > 0 {
      try unsafe OpenSSL.check(
        EVP_EncryptUpdate(context, address, &written, address, Int32(count)), "EVP_EncryptUpdate")
    }
    let tagAddress = unsafe tag.baseAddress?.assumingMemoryBound(to: UInt8.self)
    try unsafe OpenSSL.check(
      EVP_EncryptFinal_ex(context, tagAddress, &written), "EVP_EncryptFinal_ex")
    try unsafe OpenSSL.check(
      EVP_CIPHER_CTX_ctrl(
        context, EVP_CTRL_AEAD_GET_TAG, Int32(Self.tagByteCount), tag.baseAddress),
      "EVP_CTRL_AEAD_GET_TAG")
  }

  /// Opens the end of a buffer where it stands and cuts the tag off.
  ///
  /// - Parameters:
  ///   - buffer: Its bytes from `start` on are ciphertext and tag; on failure it is cut at `start`.
  ///   - start: 0…`buffer.count`.
  ///   - nonce: The one it was sealed with.
  ///   - associatedData: What was bound.
  /// - Throws: `.authenticationFailed` when anything differs from what was sealed.
  package mutating func open(
    _ buffer: inout [UInt8], from start: Int = 0, nonce: AEADNonce,
    associatedData: Span<UInt8>
  ) throws(CryptoError) {
    let count = buffer.count - start - Self.tagByteCount
    do throws(CryptoError) {
      guard count >= 0 else { throw CryptoError(.authenticationFailed, "the sealed text") }
      try unsafe buffer.withUnsafeMutableBufferPointer { (bytes) throws(CryptoError) in
        let memory = UnsafeMutableRawBufferPointer(bytes)
        let text = unsafe UnsafeMutableRawBufferPointer(rebasing: memory[start..<start + count])
        let tag = unsafe UnsafeMutableRawBufferPointer(rebasing: memory[(start + count)...])
        try unsafe open(text, tag: tag, nonce: nonce, associatedData: associatedData)
      }
      buffer.removeLast(Self.tagByteCount)
    } catch {
      buffer.removeSubrange(start...)
      throw error
    }
  }

  /// Appends the plaintext of a sealed text.
  ///
  /// - Throws: `.authenticationFailed`; `output` is then as it was before.
  package mutating func open(
    _ sealed: Span<UInt8>, nonce: AEADNonce, associatedData: Span<UInt8>,
    appendingTo output: inout [UInt8]
  ) throws(CryptoError) {
    let start = output.count
    unsafe sealed.withUnsafeBytes { (bytes) in unsafe output.append(contentsOf: bytes) }
    try open(&output, from: start, nonce: nonce, associatedData: associatedData)
  }

  /// The plaintext of a sealed text.
  ///
  /// - Throws: `.authenticationFailed` when anything differs from what was sealed.
  package mutating func open(
    _ sealed: [UInt8], nonce: AEADNonce, associatedData: [UInt8] = []
  ) throws(CryptoError) -> [UInt8] {
    var output = sealed
    try open(&output, nonce: nonce, associatedData: associatedData.span)
    return output
  }

  /// Decrypts memory where it stands; on failure the memory is wiped.
  ///
  /// - Throws: `.authenticationFailed` when anything differs from what was sealed.
  package mutating func open(
    _ text: UnsafeMutableRawBufferPointer, tag: UnsafeMutableRawBufferPointer, nonce: AEADNonce,
    associatedData: Span<UInt8>
  ) throws(CryptoError) {
    invariant(tag.count == Self.tagByteCount, "an AES-GCM tag has 16 bytes")
    let count = text.count
    try checkCount(count)
    try checkCount(associatedData.count)
    var written: Int32 = 0
    let result = unsafe nonce.withUnsafeBytes { (nonce) in
      unsafe EVP_DecryptInit_ex2(
        context, nil, nil, nonce.baseAddress?.assumingMemoryBound(to: UInt8.self), nil)
    }
    try OpenSSL.check(result, "EVP_DecryptInit_ex2")
    try authenticate(associatedData, isSealing: false)
    let address = unsafe text.baseAddress?.assumingMemoryBound(to: UInt8.self)
    if count > 0 {
      try unsafe OpenSSL.check(
        EVP_DecryptUpdate(context, address, &written, address, Int32(count)), "EVP_DecryptUpdate")
    }
    try unsafe OpenSSL.check(
      EVP_CIPHER_CTX_ctrl(
        context, EVP_CTRL_AEAD_SET_TAG, Int32(Self.tagByteCount), tag.baseAddress),
      "EVP_CTRL_AEAD_SET_TAG")
    var rest: UInt8 = 0
    guard unsafe EVP_DecryptFinal_ex(context, &rest, &written) == 1 else {
      ERR_clear_error()
      unsafe OPENSSL_cleanse(text.baseAddress, count)
      throw CryptoError(.authenticationFailed, "the sealed text")
    }
  }

  private static func makeContext(_ key: SecretBytes) throws(CryptoError) -> OpaquePointer {
    let cipher: OpaquePointer
    switch key.count {
    case 16: unsafe cipher = FetchedCipher.aes128GCM
    case 32: unsafe cipher = FetchedCipher.aes256GCM
    default: throw CryptoError(.wrongLength, "an AES key")
    }
    let context = try unsafe OpenSSL.check(EVP_CIPHER_CTX_new(), "EVP_CIPHER_CTX_new")
    let result = unsafe key.withUnsafeBytes { (bytes) in
      unsafe EVP_EncryptInit_ex2(
        context, cipher, bytes.baseAddress?.assumingMemoryBound(to: UInt8.self), nil, nil)
    }
    guard result == 1 else {
      unsafe EVP_CIPHER_CTX_free(context)
      throw CryptoError(.backend, "EVP_EncryptInit_ex2")
    }
    return unsafe context
  }

  private func authenticate(_ data: Span<UInt8>, isSealing: Bool) throws(CryptoError) {
    guard data.count > 0 else { return }
    var written: Int32 = 0
    let result = unsafe data.withUnsafeBytes { (bytes) in
      let address = unsafe bytes.baseAddress?.assumingMemoryBound(to: UInt8.self)
      return unsafe isSealing
        ? EVP_EncryptUpdate(context, nil, &written, address, Int32(bytes.count))
        : EVP_DecryptUpdate(context, nil, &written, address, Int32(bytes.count))
    }
    try OpenSSL.check(result, "EVP_CipherUpdate")
  }

  private func checkCount(_ count: Int) throws(CryptoError) {
    guard (0...Self.maximumByteCount).contains(count) else {
      throw CryptoError(.wrongLength, "a text for AES-GCM")
    }
  }
}

// The OpenSSL context is reachable through this one owner alone, so it may move between threads.
extension AESGCM: @unchecked Sendable {}

/// The algorithms fetched once from libcrypto.
///
/// A fetch costs microseconds and a lock, so nothing on a request's path may do one.
private enum FetchedCipher: Sendable {
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
}
