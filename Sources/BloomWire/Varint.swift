internal import BloomBase

/// Variable-length integers of RFC 9000 §16: 1, 2, 4 or 8 bytes, at most 2^62 − 1.
///
/// The shortest form is required, so that one message has one encoding.
package enum Varint: Sendable {
  /// The largest value.
  package static let maximum: UInt64 = 1 << 62 - 1

  /// The bytes that a value takes: 1, 2, 4 or 8.
  package static func byteCount(_ value: Int) -> Int {
    value < 1 << 6 ? 1 : value < 1 << 14 ? 2 : value < 1 << 30 ? 4 : 8
  }

  /// Appends a value.
  package static func append(_ value: Int, to bytes: inout [UInt8]) {
    invariant(value >= 0 && UInt64(value) <= maximum, "varint out of range")
    let count = byteCount(value)
    let prefix = UInt64(count.trailingZeroBitCount) << UInt64(8 * count - 2)
    let word = UInt64(value) | prefix
    var shift = 8 * count
    while shift > 0 {
      shift -= 8
      bytes.append(UInt8(truncatingIfNeeded: word >> UInt64(shift)))
    }
  }

  /// Reads a value at an offset; concrete types, since it stands in every chunk's path.
  ///
  /// - Returns: `nil` when the bytes end inside the value.
  /// - Throws: `notCanonical` for a longer form than needed, `tooLarge` beyond `maximum`.
  package static func read(
    _ bytes: [UInt8], at offset: Int = 0, maximum: Int
  ) throws(WireError) -> (value: Int, byteCount: Int)? {
    guard offset < bytes.count else { return nil }
    let first = bytes[offset]
    let count = 1 << Int(first >> 6)
    guard bytes.count - offset >= count else { return nil }
    var value = UInt64(first & 0x3f)
    for index in offset + 1..<offset + count { value = value << 8 | UInt64(bytes[index]) }
    guard value <= UInt64(maximum) else { throw .tooLarge }
    guard byteCount(Int(value)) == count else { throw .notCanonical }
    return (Int(value), count)
  }
}
