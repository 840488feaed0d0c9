internal import BloomBase
internal import COpenSSL

/// SHA-1, FIPS 180-4: only for old attestation formats, never for trust.
package struct SHA1: HashFunction {
  /// 20.
  package static let byteCount = 20
  /// 64.
  package static let blockByteCount = 64

  private var context = SHA_CTX()

  /// Starts with the empty input.
  ///
  /// SHA1_Init(3).
  package init() { unsafe SHA1_Init(&context) }

  /// Appends to the input.
  package mutating func update(_ bytes: Span<UInt8>) {
    unsafe bytes.withUnsafeBytes { (memory) in
      _ = unsafe SHA1_Update(&context, memory.baseAddress, memory.count)
    }
  }

  /// The hash of the input so far, written to exactly 20 bytes; the state is used up.
  package mutating func finalize(into memory: UnsafeMutableRawBufferPointer) {
    invariant(memory.count == Self.byteCount, "a SHA-1 digest has 20 bytes")
    unsafe SHA1_Final(memory.baseAddress?.assumingMemoryBound(to: UInt8.self), &context)
  }
}
