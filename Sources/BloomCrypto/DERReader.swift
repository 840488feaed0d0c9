/// Reads distinguished encoding rules, X.690 §10, forward only and without copying its input.
///
/// Strict: definite minimal lengths, single-byte tags, minimal integers. Depth is the caller's: each
/// ``sequence()`` is one call, so nothing recurses on input. Used for what we must look at ourselves.
package struct DERReader: Sendable {
  private let bytes: [UInt8]
  private let end: Int

  /// The position of the next element in the bytes the first reader was given.
  package private(set) var offset: Int

  /// One element: its tag byte, its contents, and its whole encoding.
  package struct Element: Sendable {
    /// Class, constructed bit and number, X.690 §8.1.2.
    package let tag: UInt8
    /// Where the contents are in the first reader's bytes.
    package let contents: Range<Int>
    /// Where tag, length and contents are.
    package let encoding: Range<Int>
  }

  /// Starts at the first byte.
  package init(_ bytes: [UInt8]) {
    self.bytes = bytes
    offset = 0
    end = bytes.count
  }

  private init(_ bytes: [UInt8], _ range: Range<Int>) {
    self.bytes = bytes
    offset = range.lowerBound
    end = range.upperBound
  }

  /// Whether nothing is left.
  package var isAtEnd: Bool { offset == end }

  /// The tag of the next element; `nil` at the end.
  package var nextTag: UInt8? { isAtEnd ? nil : bytes[offset] }

  /// Throws `.malformed` unless nothing is left.
  package func finish() throws(CryptoError) {
    guard isAtEnd else { throw Self.refusal }
  }

  /// The bytes of a range given by an element.
  package func bytes(_ range: Range<Int>) -> [UInt8] { Array(bytes[range]) }

  /// A reader of an element's contents.
  package func reader(_ element: Element) -> DERReader { DERReader(bytes, element.contents) }

  /// The next element, of any tag below 31.
  package mutating func element() throws(CryptoError) -> Element {
    let start = offset
    guard end - offset >= 2, bytes[offset] & 0x1f != 0x1f else { throw Self.refusal }
    let tag = bytes[offset]
    var count = Int(bytes[offset + 1])
    var position = offset + 2
    if count >= 0x80 {
      let digits = count & 0x7f
      // Four digits hold any length we accept; zero digits would be the indefinite form.
      guard (1...4).contains(digits), end - position >= digits, bytes[position] != 0 else {
        throw Self.refusal
      }
      count = bytes[position..<position + digits].reduce(0) { $0 << 8 | Int($1) }
      guard count >= 0x80 else { throw Self.refusal }
      position += digits
    }
    guard end - position >= count else { throw Self.refusal }
    offset = position + count
    return Element(tag: tag, contents: position..<offset, encoding: start..<offset)
  }

  /// The next element, which must have a tag.
  package mutating func element(_ tag: UInt8) throws(CryptoError) -> Element {
    let element = try element()
    guard element.tag == tag else { throw Self.refusal }
    return element
  }

  /// The next element when it has a tag; `nil`, and nothing read, otherwise.
  package mutating func optional(_ tag: UInt8) throws(CryptoError) -> Element? {
    nextTag == tag ? try element(tag) : nil
  }

  /// A reader of the next element, which must be a SEQUENCE.
  package mutating func sequence() throws(CryptoError) -> DERReader {
    reader(try element(0x30))
  }

  /// A non-negative INTEGER's digits without leading zeros; zero has none.
  package mutating func unsigned() throws(CryptoError) -> [UInt8] {
    let digits = bytes[try integer()]
    guard let first = digits.first, first < 0x80 else { throw Self.refusal }
    return Array(digits.drop { $0 == 0 })
  }

  /// The contents of any INTEGER in minimal form.
  package mutating func integer() throws(CryptoError) -> Range<Int> {
    let element = try element(2)
    let digits = bytes[element.contents]
    guard let first = digits.first else { throw Self.refusal }
    if digits.count > 1 {
      let second = digits[digits.startIndex + 1]
      let isPadded = (first == 0 && second < 0x80) || (first == 0xff && second >= 0x80)
      guard !isPadded else { throw Self.refusal }
    }
    return element.contents
  }

  /// A non-negative INTEGER of at most 31 bits.
  package mutating func smallInteger() throws(CryptoError) -> Int {
    let digits = try unsigned()
    guard digits.count <= 4, (digits.first ?? 0) < 0x80 || digits.count < 4 else {
      throw Self.refusal
    }
    return digits.reduce(0) { $0 << 8 | Int($1) }
  }

  /// A BOOLEAN, 00 or FF.
  package mutating func boolean() throws(CryptoError) -> Bool {
    switch bytes(try element(1).contents) {
    case [0]: return false
    case [0xff]: return true
    default: throw Self.refusal
    }
  }

  /// An OCTET STRING's bytes.
  package mutating func octetString() throws(CryptoError) -> [UInt8] {
    bytes(try element(4).contents)
  }

  /// A BIT STRING's bytes; it must have no unused bits.
  package mutating func bitString() throws(CryptoError) -> [UInt8] {
    let contents = try element(3).contents
    guard let first = contents.first, bytes[first] == 0 else { throw Self.refusal }
    return bytes(contents.dropFirst())
  }

  /// An OBJECT IDENTIFIER's contents, which name it uniquely.
  package mutating func objectIdentifier() throws(CryptoError) -> ObjectIdentifier {
    let contents = bytes(try element(6).contents)
    guard let identifier = ObjectIdentifier(contents: contents) else { throw Self.refusal }
    return identifier
  }

  private static let refusal = CryptoError(.malformed, "a DER structure")

  /// An OBJECT IDENTIFIER, held by its encoded contents.
  package struct ObjectIdentifier: Hashable, Sendable, CustomStringConvertible,
    ExpressibleByArrayLiteral
  {
    /// The encoded contents.
    package let contents: [UInt8]

    /// Checks minimal base-128 arcs; `nil` when empty, cut off, padded or longer than 64 bytes.
    package init?(contents: [UInt8]) {
      guard let last = contents.last, last < 0x80, contents.count <= 64 else { return nil }
      var isStart = true
      for byte in contents {
        if isStart && byte == 0x80 { return nil }
        isStart = byte < 0x80
      }
      self.contents = contents
    }

    /// Names a known identifier by its arcs, such as `[2, 5, 29, 15]`; at least two arcs.
    package init(arrayLiteral arcs: UInt64...) {
      var contents: [UInt8] = []
      for arc in [arcs[0] * 40 + arcs[1]] + arcs.dropFirst(2) {
        var digits = [UInt8(arc & 0x7f)]
        var rest = arc >> 7
        while rest > 0 {
          digits.append(UInt8(rest & 0x7f) | 0x80)
          rest >>= 7
        }
        contents.append(contentsOf: digits.reversed())
      }
      self.contents = contents
    }

    /// Dotted numbers; arcs beyond 64 bits print as `?`.
    package var description: String {
      var arcs: [String] = []
      var arc: UInt64? = 0
      for byte in contents {
        arc = arc.flatMap { $0 >> 57 == 0 ? $0 << 7 | UInt64(byte & 0x7f) : nil }
        guard byte < 0x80 else { continue }
        if arcs.isEmpty, let first = arc {
          arcs = ["\(min(first / 40, 2))", "\(first - 40 * min(first / 40, 2))"]
        } else {
          arcs.append(arc.map { "\($0)" } ?? "?")
        }
        arc = 0
      }
      return arcs.joined(separator: ".")
    }
  }
}
