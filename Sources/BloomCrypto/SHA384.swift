internal import BloomBase
internal import COpenSSL

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
