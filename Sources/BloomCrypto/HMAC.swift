package import BloomBase
internal import COpenSSL

/// HMAC, RFC 2104, over any hash; copying it forks the computation with the key already absorbed.
package struct HMAC<Hash: HashFunction>: Sendable {
  private var inner = Hash()
  private var outer = Hash()

  /// Absorbs the key, of any length.
  package init(key: Span<UInt8>) {
    let blockByteCount = Hash.blockByteCount
    unsafe withUnsafeTemporaryAllocation(byteCount: blockByteCount, alignment: 8) { (block) in
      unsafe block.initializeMemory(as: UInt8.self, repeating: 0)
      defer { unsafe OPENSSL_cleanse(block.baseAddress, block.count) }
      if key.count > blockByteCount {
        var hash = Hash()
        hash.update(key)
        unsafe hash.finalize(
          into: UnsafeMutableRawBufferPointer(rebasing: block[..<Hash.byteCount]))
      } else {
        unsafe key.withUnsafeBytes { (bytes) in unsafe block.copyMemory(from: bytes) }
      }
      for index in block.indices { unsafe block[index] ^= 0x36 }
      unsafe inner.update(Span<UInt8>(_unsafeBytes: UnsafeRawBufferPointer(block)))
      for index in block.indices { unsafe block[index] ^= 0x36 ^ 0x5c }
      unsafe outer.update(Span<UInt8>(_unsafeBytes: UnsafeRawBufferPointer(block)))
    }
  }

  /// Absorbs a secret key.
  package init(key: SecretBytes) {
    self = key.withBytes { (bytes) in HMAC(key: bytes) }
  }

  /// Appends to the message.
  package mutating func update(_ bytes: Span<UInt8>) { inner.update(bytes) }

  /// Appends to the message.
  package mutating func update(_ bytes: [UInt8]) { inner.update(bytes) }

  /// Appends to the message.
  package mutating func update(_ bytes: ArraySlice<UInt8>) { inner.update(bytes) }

  /// Appends a fixed label to the message.
  package mutating func update(_ label: StaticString) { inner.update(label) }

  /// The code of the message so far, written to exactly `Hash.byteCount` bytes; the state is used up.
  mutating func finalize(into memory: UnsafeMutableRawBufferPointer) {
    unsafe inner.finalize(into: memory)
    unsafe outer.update(Span<UInt8>(_unsafeBytes: UnsafeRawBufferPointer(memory)))
    unsafe outer.finalize(into: memory)
  }

  /// The code of the message so far; more may follow.
  package func finalize() -> [UInt8] {
    var copy = self
    return unsafe [UInt8](unsafeUninitializedCapacity: Hash.byteCount) { (buffer, filled) in
      unsafe copy.finalize(into: UnsafeMutableRawBufferPointer(buffer))
      filled = Hash.byteCount
    }
  }

  /// Overwrites the key that was absorbed; the value is useless afterwards.
  package mutating func wipe() {
    unsafe withUnsafeMutableBytes(of: &inner) { (memory) in
      unsafe OPENSSL_cleanse(memory.baseAddress, memory.count)
    }
    unsafe withUnsafeMutableBytes(of: &outer) { (memory) in
      unsafe OPENSSL_cleanse(memory.baseAddress, memory.count)
    }
  }
}

extension HMAC where Hash == SHA256 {
  /// The code of the message so far as a value; more may follow.
  package func digest() -> Digest {
    var copy = self
    return unsafe Digest { (memory) in unsafe copy.finalize(into: memory) }
  }

  /// The code of one message under one key.
  package static func digest(key: SecretBytes, message: [UInt8]) -> Digest {
    var state = HMAC(key: key)
    defer { state.wipe() }
    state.update(message)
    return state.digest()
  }
}
