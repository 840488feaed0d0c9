/// Bounds of one CBOR document; every decoder of the program states its own.
package struct CBORLimits: Sendable, Equatable {
  /// Bytes of the document.
  package var byteCount: Int
  /// Arrays, maps and tags inside each other.
  package var depth: Int
  /// Items of all arrays and maps together; a map pair counts as two.
  package var itemCount: Int

  /// Sets the three bounds.
  package init(byteCount: Int, depth: Int, itemCount: Int) {
    self.byteCount = byteCount
    self.depth = depth
    self.itemCount = itemCount
  }

  /// 64 KiB, 8 deep, 4,096 items: every message that is not a list.
  package static let message = CBORLimits(byteCount: 65_536, depth: 8, itemCount: 4_096)
}

/// What the next item is, by its first byte.
package enum CBORKind: Sendable, Equatable {
  case unsigned, negative, bytes, text, array, map, tag, bool, null, float
}

/// Reads deterministic CBOR item by item, and refuses everything else (RFC 8949 §4.2.1).
///
/// A pull reader: the caller asks for the type that its field has. Long heads, indefinite lengths,
/// wide floats, unsorted or repeated keys, bad UTF-8 and trailing bytes are errors, so one message
/// has one encoding and signatures over it are unambiguous.
package struct CBORReader: Sendable {
  private let bytes: [UInt8]
  private let end: Int
  private let limits: CBORLimits
  private var itemsLeft: Int
  /// Bytes read so far, counted from the start of the array.
  package private(set) var offset: Int

  /// Starts at the first byte; throws `tooLarge` beyond the limit.
  package init(_ bytes: [UInt8], limits: CBORLimits = .message) throws(WireError) {
    try self.init(bytes, range: 0..<bytes.count, limits: limits)
  }

  /// Reads a part of an array without copying it.
  package init(
    _ bytes: [UInt8], range: Range<Int>, limits: CBORLimits = .message
  ) throws(WireError) {
    guard range.count <= limits.byteCount else { throw .tooLarge }
    self.bytes = bytes
    self.limits = limits
    offset = range.lowerBound
    end = range.upperBound
    itemsLeft = limits.itemCount
  }

  /// Whether every byte was read.
  package var isAtEnd: Bool { offset == end }

  /// Throws `trailingBytes` unless every byte was read.
  package func finish() throws(WireError) {
    guard isAtEnd else { throw .trailingBytes }
  }

  /// The kind of the next item; nothing is read.
  package func peek() throws(WireError) -> CBORKind {
    guard offset < end else { throw .truncated }
    switch bytes[offset] >> 5 {
    case 0: return .unsigned
    case 1: return .negative
    case 2: return .bytes
    case 3: return .text
    case 4: return .array
    case 5: return .map
    case 6: return .tag
    default:
      switch bytes[offset] {
      case 0xf4, 0xf5: return .bool
      case 0xf6: return .null
      case 0xf9, 0xfa, 0xfb: return .float
      default: throw .unsupported
      }
    }
  }

  /// Reads an unsigned integer of at most `maximum`.
  package mutating func unsigned(
    _ field: String, maximum: UInt64 = .max
  ) throws(WireError) -> UInt64 {
    let value = try head(0, field)
    guard value <= maximum else { throw .outOfRange(field: field) }
    return value
  }

  /// Reads a count or size: an unsigned integer of at most `maximum`.
  package mutating func count(_ field: String, maximum: Int) throws(WireError) -> Int {
    Int(try unsigned(field, maximum: UInt64(maximum)))
  }

  /// Reads an integer of either sign that fits 64 bits.
  package mutating func integer(_ field: String) throws(WireError) -> Int64 {
    if try peek() == .negative {
      let value = try head(1, field)
      guard value <= UInt64(Int64.max) else { throw .outOfRange(field: field) }
      return -1 - Int64(value)
    }
    let value = try head(0, field)
    guard value <= UInt64(Int64.max) else { throw .outOfRange(field: field) }
    return Int64(value)
  }

  /// Reads the `n` of −1 − n.
  package mutating func negative(_ field: String) throws(WireError) -> UInt64 {
    try head(1, field)
  }

  /// Reads a byte string with a permitted count.
  package mutating func byteString(
    _ field: String, _ counts: ClosedRange<Int>
  ) throws(WireError) -> [UInt8] {
    let range = try stringRange(2, field)
    guard counts.contains(range.count) else { throw .outOfRange(field: field) }
    return Array(bytes[range])
  }

  /// Reads a byte string of exactly `count` bytes.
  package mutating func byteString(_ field: String, count: Int) throws(WireError) -> [UInt8] {
    try byteString(field, count...count)
  }

  /// Reads text of at most `maximum` UTF-8 bytes.
  package mutating func text(_ field: String, maximum: Int) throws(WireError) -> String {
    let range = try stringRange(3, field)
    guard range.count <= maximum else { throw .outOfRange(field: field) }
    guard let text = String(strictUTF8: bytes[range]) else { throw .invalidText }
    return text
  }

  /// Reads an array's head: the number of items that follow.
  package mutating func array(_ field: String, maximum: Int) throws(WireError) -> Int {
    try container(4, field, maximum: maximum, itemsEach: 1)
  }

  /// Reads the head of an array of exactly `count` items.
  package mutating func array(_ field: String, count: Int) throws(WireError) {
    guard try array(field, maximum: count) == count else { throw .outOfRange(field: field) }
  }

  /// Reads a map's head: the number of pairs that follow.
  package mutating func map(_ field: String, maximum: Int = 64) throws(WireError) -> Int {
    try container(5, field, maximum: maximum, itemsEach: 2)
  }

  /// Reads a tag number; the tagged item follows.
  package mutating func tag(_ field: String) throws(WireError) -> UInt64 { try head(6, field) }

  /// Reads true or false.
  package mutating func bool(_ field: String) throws(WireError) -> Bool {
    guard try peek() == .bool else { throw .wrongType(field: field) }
    offset += 1
    return bytes[offset - 1] == 0xf5
  }

  /// Reads a null if it is next, and says whether it was.
  package mutating func null() throws(WireError) -> Bool {
    guard try peek() == .null else { return false }
    offset += 1
    return true
  }

  /// Reads a finite float.
  package mutating func float(_ field: String) throws(WireError) -> Double {
    guard try peek() == .float else { throw .wrongType(field: field) }
    let value = try anyFloat()
    guard value.isFinite else { throw .outOfRange(field: field) }
    return value
  }

  /// Reads one item of any kind, checks it completely and returns the bytes it occupies.
  @discardableResult
  package mutating func skip() throws(WireError) -> Range<Int> {
    let start = offset
    try skip(depth: limits.depth)
    return start..<offset
  }

  /// The bytes of a range that ``skip()`` returned.
  package func encoded(_ range: Range<Int>) -> [UInt8] { Array(bytes[range]) }

  /// Reads one item of any kind as a tree.
  package mutating func value() throws(WireError) -> CBORValue { try value(depth: limits.depth) }

  private mutating func value(depth: Int) throws(WireError) -> CBORValue {
    switch try peek() {
    case .unsigned: return .unsigned(try head(0, "item"))
    case .negative: return .negative(try head(1, "item"))
    case .bytes: return .bytes(Array(bytes[try stringRange(2, "item")]))
    case .text: return .text(try text("item", maximum: limits.byteCount))
    case .bool: return .bool(try bool("item"))
    case .null:
      offset += 1
      return .null
    case .float: return .float(try anyFloat())
    case .tag:
      guard depth > 0 else { throw .tooDeep }
      return .tagged(try head(6, "item"), try value(depth: depth - 1))
    case .array:
      guard depth > 0 else { throw .tooDeep }
      var items: [CBORValue] = []
      for _ in 0..<(try array("item", maximum: limits.itemCount)) {
        items.append(try value(depth: depth - 1))
      }
      return .array(items)
    case .map:
      guard depth > 0 else { throw .tooDeep }
      var pairs: [CBORValue.Pair] = []
      var previous = offset..<offset
      for _ in 0..<(try map("item", maximum: limits.itemCount)) {
        let start = offset
        let key = try value(depth: depth - 1)
        try order(previous, start..<offset)
        previous = start..<offset
        pairs.append(CBORValue.Pair(key, try value(depth: depth - 1)))
      }
      return .map(pairs)
    }
  }

  private mutating func skip(depth: Int) throws(WireError) {
    switch try peek() {
    case .unsigned: _ = try head(0, "item")
    case .negative: _ = try head(1, "item")
    case .bytes: _ = try stringRange(2, "item")
    case .text: _ = try text("item", maximum: limits.byteCount)
    case .bool, .null: offset += 1
    case .float: _ = try anyFloat()
    case .tag:
      guard depth > 0 else { throw .tooDeep }
      _ = try head(6, "item")
      try skip(depth: depth - 1)
    case .array:
      guard depth > 0 else { throw .tooDeep }
      for _ in 0..<(try array("item", maximum: limits.itemCount)) { try skip(depth: depth - 1) }
    case .map:
      guard depth > 0 else { throw .tooDeep }
      var previous = offset..<offset
      for _ in 0..<(try map("item", maximum: limits.itemCount)) {
        let start = offset
        try skip(depth: depth - 1)
        try order(previous, start..<offset)
        previous = start..<offset
        try skip(depth: depth - 1)
      }
    }
  }

  private func order(_ first: Range<Int>, _ second: Range<Int>) throws(WireError) {
    guard first.isEmpty || bytes[first].lexicographicallyPrecedes(bytes[second]) else {
      throw .keyOrder
    }
  }

  private mutating func container(
    _ major: UInt8, _ field: String, maximum: Int, itemsEach: Int
  ) throws(WireError) -> Int {
    let value = try head(major, field)
    guard value <= UInt64(maximum), value <= UInt64(end - offset) else { throw .tooManyItems }
    let items = Int(value) * itemsEach
    guard items <= itemsLeft else { throw .tooManyItems }
    itemsLeft -= items
    return Int(value)
  }

  private mutating func stringRange(_ major: UInt8, _ field: String) throws(WireError) -> Range<Int>
  {
    let count = try head(major, field)
    guard count <= UInt64(end - offset) else { throw .truncated }
    let start = offset
    offset += Int(count)
    return start..<offset
  }

  private mutating func head(_ major: UInt8, _ field: String) throws(WireError) -> UInt64 {
    guard offset < end else { throw .truncated }
    let first = bytes[offset]
    guard first >> 5 == major else { throw .wrongType(field: field) }
    offset += 1
    let information = first & 31
    switch information {
    case 0..<24: return UInt64(information)
    case 24:
      let value = try bigEndian(1)
      guard value >= 24 else { throw .notCanonical }
      return value
    case 25:
      let value = try bigEndian(2)
      guard value > 0xff else { throw .notCanonical }
      return value
    case 26:
      let value = try bigEndian(4)
      guard value > 0xffff else { throw .notCanonical }
      return value
    case 27:
      let value = try bigEndian(8)
      guard value > 0xffff_ffff else { throw .notCanonical }
      return value
    case 31: throw .notCanonical
    default: throw .unsupported
    }
  }

  private mutating func bigEndian(_ count: Int) throws(WireError) -> UInt64 {
    guard end - offset >= count else { throw .truncated }
    var value: UInt64 = 0
    for index in offset..<offset + count { value = value << 8 | UInt64(bytes[index]) }
    offset += count
    return value
  }

  private mutating func anyFloat() throws(WireError) -> Double {
    let first = bytes[offset]
    offset += 1
    switch first {
    case 0xf9:
      let half = UInt16(try bigEndian(2))
      let value = HalfFloat.value(half)
      guard !value.isNaN || half == 0x7e00 else { throw .notCanonical }
      return value
    case 0xfa:
      let value = Double(Float(bitPattern: UInt32(try bigEndian(4))))
      guard !value.isNaN, HalfFloat.exactly(value) == nil else { throw .notCanonical }
      return value
    default:
      let value = Double(bitPattern: try bigEndian(8))
      guard !value.isNaN, Double(Float(value)) != value else { throw .notCanonical }
      return value
    }
  }
}
