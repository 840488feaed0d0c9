internal import COpenSSL

/// The operating system's random numbers through OpenSSL's generator; safe after fork(2).
///
/// A failing generator stops the process: nothing secure can be done without it.
package struct SecureRandom: RandomNumberGenerator, Sendable {
  /// Creates a generator; it holds nothing.
  package init() {}

  /// The next 64 bits.
  ///
  /// RAND_bytes(3).
  package mutating func next() -> UInt64 {
    var value: UInt64 = 0
    unsafe withUnsafeMutableBytes(of: &value) { (memory) in
      unsafe Self.fill(memory, isPrivate: false)
    }
    return value
  }

  /// Bytes that will be public: nonces, identifiers.
  ///
  /// Secrets come from ``SecretBytes``.
  package static func bytes(_ count: Int) -> [UInt8] {
    unsafe [UInt8](unsafeUninitializedCapacity: count) { (buffer, filled) in
      unsafe fill(UnsafeMutableRawBufferPointer(buffer), isPrivate: false)
      filled = count
    }
  }

  /// Fills memory from the public or the private generator.
  static func fill(_ memory: UnsafeMutableRawBufferPointer, isPrivate: Bool) {
    let count = Int32(memory.count)
    let address = unsafe memory.baseAddress?.assumingMemoryBound(to: UInt8.self)
    let result = unsafe isPrivate ? RAND_priv_bytes(address, count) : RAND_bytes(address, count)
    guard count == 0 || result == 1 else { fatalError("the system gives no random numbers") }
  }
}
