internal import BloomBase
internal import COpenSSL

/// SHA-512, FIPS 180-4.
package struct SHA512: HashFunction {
  /// 64.
  package static let byteCount = 64
  /// 128.
  package static let blockByteCount = 128

  private var context = SHA512_CTX()

  /// Starts with the empty input.
  ///
  /// SHA512_Init(3).
  package init() { unsafe SHA512_Init(&context) }

  /// Appends to the input.
  package mutating func update(_ bytes: Span<UInt8>) {
    unsafe bytes.withUnsafeBytes { (memory) in
      _ = unsafe SHA512_Update(&context, memory.baseAddress, memory.count)
    }
  }

  /// The hash of the input so far, written to exactly 64 bytes; the state is used up.
  package mutating func finalize(into memory: UnsafeMutableRawBufferPointer) {
    invariant(memory.count == Self.byteCount, "a SHA-512 digest has 64 bytes")
    unsafe SHA512_Final(memory.baseAddress?.assumingMemoryBound(to: UInt8.self), &context)
  }
}

/// SHA-384, FIPS 180-4.
package struct SHA384: HashFunction {
  /// 48.
  package static let byteCount = 48
  /// 128.
  package static let blockByteCount = 128

  private var context = SHA512_CTX()

  /// Starts with the empty input.
  ///
  /// SHA384_Init(3).
  package init() { unsafe SHA384_Init(&context) }

  /// Appends to the input.
  package mutating func update(_ bytes: Span<UInt8>) {
    unsafe bytes.withUnsafeBytes { (memory) in
      _ = unsafe SHA384_Update(&context, memory.baseAddress, memory.count)
    }
  }

  /// The hash of the input so far, written to exactly 48 bytes; the state is used up.
  package mutating func finalize(into memory: UnsafeMutableRawBufferPointer) {
    invariant(memory.count == Self.byteCount, "a SHA-384 digest has 48 bytes")
    unsafe SHA384_Final(memory.baseAddress?.assumingMemoryBound(to: UInt8.self), &context)
  }
}
