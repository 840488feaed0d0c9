internal import BloomBase
internal import COpenSSL

/// Where secrets may be kept: for example pages that are locked, or unreadable to other processes.
package protocol SecretMemory: Sendable {
  /// Gives `byteCount` bytes, or `nil` when there is no room. Safe from any thread.
  func allocate(byteCount: Int) -> UnsafeMutableRawBufferPointer?
  /// Takes back what ``allocate(byteCount:)`` gave, already wiped. Safe from any thread.
  func deallocate(_ memory: UnsafeMutableRawBufferPointer)
}

/// Key material: wiped when the last reference goes, never printed, compared in constant time.
///
/// Immutable once made, so it may be shared between threads. Lives on the heap, or in the
/// ``SecretMemory`` given when it was made.
@safe
package final class SecretBytes: Sendable, CustomStringConvertible,
  CustomDebugStringConvertible, CustomReflectable
{
  // Written only by init and deinit, when no other reference exists.
  private nonisolated(unsafe) let memory: UnsafeMutableRawBufferPointer
  private let owner: (any SecretMemory)?

  /// The number of bytes.
  package var count: Int { unsafe memory.count }

  /// Lets a closure fill new memory, which is zero before.
  ///
  /// - Parameters:
  ///   - count: At least 0.
  ///   - owner: Where to keep the bytes; `nil` is the heap.
  ///   - fill: Writes the secret; what it throws is passed on after wiping.
  /// - Throws: `.exhausted` when `owner` has no room, or the error of `fill`.
  package init(
    count: Int, in owner: (any SecretMemory)? = nil,
    filling fill: (UnsafeMutableRawBufferPointer) throws(CryptoError) -> Void
  ) throws(CryptoError) {
    if let owner {
      guard let memory = unsafe owner.allocate(byteCount: count) else {
        throw CryptoError(.exhausted, "the protected memory for keys")
      }
      invariant(memory.count == count, "secret memory of the wrong size")
      unsafe self.memory = memory
    } else {
      unsafe memory = .allocate(byteCount: count, alignment: 16)
    }
    self.owner = owner
    if count > 0 { unsafe memory.initializeMemory(as: UInt8.self, repeating: 0) }
    try unsafe fill(memory)
  }

  deinit {
    unsafe OPENSSL_cleanse(memory.baseAddress, memory.count)
    if let owner { unsafe owner.deallocate(memory) } else { unsafe memory.deallocate() }
  }

  /// Copies bytes; the caller's copy is the caller's to wipe.
  package convenience init(_ bytes: [UInt8], in owner: (any SecretMemory)? = nil)
    throws(CryptoError)
  {
    try unsafe self.init(count: bytes.count, in: owner) { (memory) throws(CryptoError) in
      unsafe memory.copyBytes(from: bytes)
    }
  }

  /// Draws fresh secret bytes.
  ///
  /// RAND_priv_bytes(3).
  package static func random(count: Int, in owner: (any SecretMemory)? = nil)
    throws(CryptoError) -> SecretBytes
  {
    try unsafe SecretBytes(count: count, in: owner) { (memory) throws(CryptoError) in
      unsafe SecureRandom.fill(memory, isPrivate: true)
    }
  }

  /// Lends the bytes for the length of a call.
  package func withBytes<Result, Failure: Error>(
    _ body: (Span<UInt8>) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    let bytes = unsafe Span<UInt8>(_unsafeBytes: UnsafeRawBufferPointer(memory))
    return try body(bytes)
  }

  /// Lends the bytes by address, for C.
  package func withUnsafeBytes<Result, Failure: Error>(
    _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    defer { withExtendedLifetime(self) {} }
    return try unsafe body(UnsafeRawBufferPointer(memory))
  }

  /// An ordinary, unprotected copy: for writing a key to its file, or for a test.
  package func exposed() -> [UInt8] { unsafe [UInt8](memory) }

  /// Whether the bytes are equal; the time depends on the counts alone.
  package func isEqual(to other: SecretBytes) -> Bool {
    withBytes { (a) in other.withBytes { (b) in constantTimeEquals(a, b) } }
  }

  /// Fixed text.
  package var description: String { "(secret)" }
  /// Fixed text.
  package var debugDescription: String { "(secret)" }
  /// Shows nothing.
  package var customMirror: Mirror { Mirror(self, children: []) }
}

/// Whether two byte strings are equal, in a time that depends on their counts alone.
///
/// CRYPTO_memcmp(3).
package func constantTimeEquals(_ a: Span<UInt8>, _ b: Span<UInt8>) -> Bool {
  guard a.count == b.count else { return false }
  return unsafe a.withUnsafeBytes { (first) in
    unsafe b.withUnsafeBytes { (second) in
      unsafe CRYPTO_memcmp(first.baseAddress, second.baseAddress, first.count) == 0
    }
  }
}

/// Whether two byte strings are equal, in a time that depends on their counts alone.
package func constantTimeEquals(_ a: [UInt8], _ b: [UInt8]) -> Bool {
  constantTimeEquals(a.span, b.span)
}

/// Overwrites an array's own storage; copies made before are not reached.
///
/// OPENSSL_cleanse(3).
package func wipe(_ bytes: inout [UInt8]) {
  unsafe bytes.withUnsafeMutableBytes { (memory) in
    unsafe OPENSSL_cleanse(memory.baseAddress, memory.count)
  }
}
