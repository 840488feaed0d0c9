package import BloomBase
internal import COpenSSL

/// SHA-256, FIPS 180-4.
///
/// 112 bytes of state without any allocation: forking a transcript is a copy.
package struct SHA256: HashFunction {
  /// 32.
  package static let byteCount = 32
  /// 64.
  package static let blockByteCount = 64

  private var context = SHA256_CTX()

  /// Starts with the empty input.
  ///
  /// SHA256_Init(3).
  package init() { unsafe SHA256_Init(&context) }

  /// Appends to the input.
  package mutating func update(_ bytes: Span<UInt8>) {
    unsafe bytes.withUnsafeBytes { (memory) in
      _ = unsafe SHA256_Update(&context, memory.baseAddress, memory.count)
    }
  }

  /// Appends a digest's 32 bytes, as in a hash chain.
  package mutating func update(_ digest: Digest) {
    digest.withBytes { (bytes) in update(bytes) }
  }

  /// The hash of the input so far, written to exactly 32 bytes; the state is used up.
  package mutating func finalize(into memory: UnsafeMutableRawBufferPointer) {
    invariant(memory.count == Self.byteCount, "a SHA-256 digest has 32 bytes")
    unsafe SHA256_Final(memory.baseAddress?.assumingMemoryBound(to: UInt8.self), &context)
  }

  /// The hash of the input as a value; the state is used up.
  package mutating func finish() -> Digest {
    unsafe Digest { (memory) in unsafe finalize(into: memory) }
  }

  /// The hash of the input so far as a value; more input may follow.
  package func digest() -> Digest {
    var copy = self
    return unsafe Digest { (memory) in unsafe copy.finalize(into: memory) }
  }

  /// The digest of one byte string.
  package static func digest(_ bytes: [UInt8]) -> Digest {
    var state = SHA256()
    state.update(bytes)
    return state.digest()
  }

  /// The digest of a byte string lent by its owner.
  package static func digest(_ bytes: Span<UInt8>) -> Digest {
    var state = SHA256()
    state.update(bytes)
    return state.digest()
  }
}
