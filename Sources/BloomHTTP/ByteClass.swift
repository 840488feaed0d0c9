// The character classes of RFC 9110 §5.6 and RFC 3986, as bit sets over ASCII.

/// A set of ASCII bytes that answers in two instructions.
struct ASCIISet: Sendable {
  private let low: UInt64
  private let high: UInt64

  init(_ characters: StaticString, letters: Bool = false, digits: Bool = false) {
    var low: UInt64 = 0
    var high: UInt64 = 0
    func insert(_ byte: UInt8) {
      if byte < 64 { low |= 1 << UInt64(byte) } else { high |= 1 << UInt64(byte - 64) }
    }
    for byte in "\(characters)".utf8 { insert(byte) }
    if letters {
      for byte in UInt8(0x41)...0x5a { insert(byte) }
      for byte in UInt8(0x61)...0x7a { insert(byte) }
    }
    if digits { for byte in UInt8(0x30)...0x39 { insert(byte) } }
    self.low = low
    self.high = high
  }

  @inline(__always)
  func contains(_ byte: UInt8) -> Bool {
    if byte >= 128 { return false }
    return (byte < 64 ? low >> UInt64(byte) : high >> UInt64(byte - 64)) & 1 == 1
  }
}

/// `tchar` of RFC 9110 §5.6.2.
@inline(__always)
func isTokenByte(_ byte: UInt8) -> Bool {
  // The set of "!#$%&'*+-.^_`|~", digits and letters, written as constants for the hot path.
  if byte >= 128 { return false }
  let low: UInt64 = 0x03ff_6cfa_0000_0000
  let high: UInt64 = 0x57ff_ffff_c7ff_fffe
  return (byte < 64 ? low >> UInt64(byte) : high >> UInt64(byte & 63)) & 1 == 1
}

/// A byte of a field value: visible, space, tab or obs-text, RFC 9110 §5.5.
@inline(__always)
func isFieldValueByte(_ byte: UInt8) -> Bool { (byte >= 0x20 && byte != 0x7f) || byte == 0x09 }

/// The value of a hexadecimal digit.
@inline(__always)
func hexValue(_ byte: UInt8) -> UInt8? {
  switch byte {
  case 0x30...0x39: byte - 0x30
  case 0x61...0x66: byte - 0x61 + 10
  case 0x41...0x46: byte - 0x41 + 10
  default: nil
  }
}

/// The lower-case form of an ASCII letter; other bytes as they are.
@inline(__always)
func lowercased(_ byte: UInt8) -> UInt8 { byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte }

/// Whether two ASCII texts are equal but for the case of letters.
func equalIgnoringCase(_ a: some Collection<UInt8>, _ b: some Collection<UInt8>) -> Bool {
  a.count == b.count && zip(a, b).allSatisfy { lowercased($0) == lowercased($1) }
}

extension Array where Element == UInt8 {
  /// Copies part of a span; one allocation, one copy.
  init(_ span: Span<UInt8>, _ range: Range<Int>) {
    self = unsafe span.extracting(range).withUnsafeBufferPointer { unsafe Array($0) }
  }

  /// Appends part of a span.
  mutating func append(_ span: Span<UInt8>, _ range: Range<Int>) {
    unsafe span.extracting(range).withUnsafeBufferPointer { unsafe append(contentsOf: $0) }
  }

  /// Appends the ASCII digits of a number that is not negative.
  mutating func appendDecimal(_ value: Int) {
    if value < 10 {
      append(0x30 + UInt8(truncatingIfNeeded: value))
      return
    }
    let start = count
    var rest = value
    while rest > 0 {
      append(0x30 + UInt8(truncatingIfNeeded: rest % 10))
      rest /= 10
    }
    self[start...].reverse()
  }
}
