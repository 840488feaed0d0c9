/// An incremental hash whose state is a plain value: copying it forks the computation.
package protocol HashFunction: Sendable {
  /// The number of bytes of the result.
  static var byteCount: Int { get }
  /// The number of bytes of an input block, for HMAC.
  static var blockByteCount: Int { get }

  /// Starts with the empty input.
  init()
  /// Appends to the input.
  mutating func update(_ bytes: Span<UInt8>)
  /// The hash of the input so far, written to exactly ``byteCount`` bytes; the state is used up.
  mutating func finalize(into memory: UnsafeMutableRawBufferPointer)
}

extension HashFunction {
  /// Appends to the input.
  package mutating func update(_ bytes: [UInt8]) { update(bytes.span) }

  /// Appends to the input.
  package mutating func update(_ bytes: ArraySlice<UInt8>) { update(bytes.span) }

  /// Appends a text's UTF-8 bytes; for fixed labels.
  package mutating func update(_ label: StaticString) {
    label.withUTF8Buffer { (text) in update(unsafe Span(_unsafeElements: text)) }
  }

  /// The hash of the input so far; more input may follow.
  package func finalize() -> [UInt8] {
    var copy = self
    return unsafe [UInt8](unsafeUninitializedCapacity: Self.byteCount) { (buffer, filled) in
      unsafe copy.finalize(into: UnsafeMutableRawBufferPointer(buffer))
      filled = Self.byteCount
    }
  }

  /// The hash of one byte string.
  package static func hash(_ bytes: [UInt8]) -> [UInt8] {
    var state = Self()
    state.update(bytes)
    return state.finalize()
  }
}
