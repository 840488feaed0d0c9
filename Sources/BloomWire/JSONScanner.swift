internal import BloomBase

/// Bounds of one JSON document; every decoder of the program states its own.
package struct JSONLimits: Sendable, Equatable {
  /// Bytes of the document.
  package var byteCount: Int
  /// Arrays and objects inside each other.
  package var depth: Int
  /// Items and members of all containers together.
  package var itemCount: Int

  /// Sets the three bounds.
  package init(byteCount: Int, depth: Int, itemCount: Int) {
    self.byteCount = byteCount
    self.depth = depth
    self.itemCount = itemCount
  }

  /// 1 MiB, 64 deep, 65,536 items: control documents.
  package static let document = JSONLimits(byteCount: 1 << 20, depth: 64, itemCount: 1 << 16)
  /// 64 MiB, 64 deep, 2^20 items: a user's request with images inside.
  package static let request = JSONLimits(byteCount: 1 << 26, depth: 64, itemCount: 1 << 20)
}

/// What the next JSON value is, by its first byte.
package enum JSONKind: Sendable, Equatable {
  case null, bool, number, string, array, object
}

/// Reads JSON value by value (RFC 8259): strict UTF-8, strict numbers, unique keys, bounded.
///
/// A pull scanner. Objects are walked with ``nextKey()``:
/// ```
/// try scanner.beginObject()
/// while let key = try scanner.nextKey() {
///   switch key {
///   case "model": model = try scanner.string("model")
///   default: try scanner.skip()
///   }
/// }
/// ```
package struct JSONScanner: Sendable {
  private struct Container: Sendable {
    var isObject: Bool
    var isFirst = true
    var keys: Set<String> = []
  }

  private let bytes: [UInt8]
  private let limits: JSONLimits
  private var containers: [Container] = []
  private var itemsLeft: Int
  /// Bytes read so far.
  package private(set) var offset = 0

  /// Starts at the first byte; throws `tooLarge` beyond the limit.
  package init(_ bytes: [UInt8], limits: JSONLimits = .document) throws(WireError) {
    guard bytes.count <= limits.byteCount else { throw .tooLarge }
    self.bytes = bytes
    self.limits = limits
    itemsLeft = limits.itemCount
  }

  /// Throws `trailingBytes` unless only white space is left and every container is closed.
  package mutating func finish() throws(WireError) {
    skipSpace()
    guard containers.isEmpty else { throw .truncated }
    guard offset == bytes.count else { throw .trailingBytes }
  }

  /// The kind of the next value; nothing is read but white space.
  package mutating func peek() throws(WireError) -> JSONKind {
    skipSpace()
    guard offset < bytes.count else { throw .truncated }
    switch bytes[offset] {
    case 0x22: return .string
    case 0x7b: return .object
    case 0x5b: return .array
    case 0x74, 0x66: return .bool
    case 0x6e: return .null
    case 0x2d, 0x30...0x39: return .number
    default: throw .malformedJSON(offset: offset)
    }
  }

  /// Enters an object.
  package mutating func beginObject(_ field: String = "value") throws(WireError) {
    guard try peek() == .object else { throw .wrongType(field: field) }
    try enter(isObject: true)
  }

  /// Enters an array.
  package mutating func beginArray(_ field: String = "value") throws(WireError) {
    guard try peek() == .array else { throw .wrongType(field: field) }
    try enter(isObject: false)
  }

  /// Reads the next member's name, or leaves the object and returns `nil`.
  package mutating func nextKey() throws(WireError) -> String? {
    guard try advance(closing: 0x7d) else { return nil }
    let start = offset
    guard offset < bytes.count, bytes[offset] == 0x22 else { throw malformed() }
    let key = try scanString()
    guard containers[containers.count - 1].keys.insert(key).inserted else {
      throw .duplicateJSONKey(offset: start)
    }
    skipSpace()
    guard offset < bytes.count, bytes[offset] == 0x3a else { throw malformed() }
    offset += 1
    return key
  }

  /// Whether an array has another item, which must then be read; leaves the array if not.
  package mutating func nextItem() throws(WireError) -> Bool { try advance(closing: 0x5d) }

  /// Reads a string.
  package mutating func string(_ field: String = "value") throws(WireError) -> String {
    guard try peek() == .string else { throw .wrongType(field: field) }
    return try scanString()
  }

  /// Reads a number's text.
  package mutating func number(_ field: String = "value") throws(WireError) -> JSONNumber {
    guard try peek() == .number else { throw .wrongType(field: field) }
    let start = offset
    try scanNumber()
    return JSONNumber(checked: String(decoding: bytes[start..<offset], as: UTF8.self))
  }

  /// Reads an integer within a range; `1.0` is not one.
  package mutating func integer(
    _ field: String = "value", _ range: ClosedRange<Int64> = .min ... .max
  ) throws(WireError) -> Int64 {
    guard let value = try number(field).integer, range.contains(value) else {
      throw .outOfRange(field: field)
    }
    return value
  }

  /// Reads a number as the nearest double.
  package mutating func double(_ field: String = "value") throws(WireError) -> Double {
    guard let value = try number(field).double else { throw .outOfRange(field: field) }
    return value
  }

  /// Reads true or false.
  package mutating func bool(_ field: String = "value") throws(WireError) -> Bool {
    guard try peek() == .bool else { throw .wrongType(field: field) }
    let value = bytes[offset] == 0x74
    try literal(value ? "true" : "false")
    return value
  }

  /// Reads a null if it is next, and says whether it was.
  package mutating func null() throws(WireError) -> Bool {
    guard try peek() == .null else { return false }
    try literal("null")
    return true
  }

  /// Reads one value of any kind, checks it completely and returns the bytes it occupies.
  @discardableResult
  package mutating func skip() throws(WireError) -> Range<Int> {
    let kind = try peek()
    let start = offset
    switch kind {
    case .null: try literal("null")
    case .bool: _ = try bool()
    case .number: try scanNumber()
    case .string: _ = try scanString()
    case .array:
      try enter(isObject: false)
      while try nextItem() { try skip() }
    case .object:
      try enter(isObject: true)
      while try nextKey() != nil { try skip() }
    }
    return start..<offset
  }

  /// The bytes of a range that ``skip()`` returned.
  package func raw(_ range: Range<Int>) -> [UInt8] { Array(bytes[range]) }

  /// Reads one value of any kind as a tree.
  package mutating func value() throws(WireError) -> JSONValue {
    switch try peek() {
    case .null:
      try literal("null")
      return .null
    case .bool: return .bool(try bool())
    case .number: return .number(try number())
    case .string: return .string(try scanString())
    case .array:
      try enter(isObject: false)
      var items: [JSONValue] = []
      while try nextItem() { items.append(try value()) }
      return .array(items)
    case .object:
      try enter(isObject: true)
      var members: [JSONValue.Member] = []
      while let key = try nextKey() { members.append(JSONValue.Member(key, try value())) }
      return .object(members)
    }
  }

  private func malformed() -> WireError {
    offset < bytes.count ? .malformedJSON(offset: offset) : .truncated
  }

  private mutating func skipSpace() {
    while offset < bytes.count {
      switch bytes[offset] {
      case 0x20, 0x09, 0x0a, 0x0d: offset += 1
      default: return
      }
    }
  }

  private mutating func enter(isObject: Bool) throws(WireError) {
    guard containers.count < limits.depth else { throw .tooDeep }
    offset += 1
    containers.append(Container(isObject: isObject))
  }

  /// Steps over a comma or the closing bracket; the bracket must match the open container.
  private mutating func advance(closing bracket: UInt8) throws(WireError) -> Bool {
    let last = containers.count - 1
    invariant(
      last >= 0 && containers[last].isObject == (bracket == 0x7d),
      "JSON scanner left a container it is not in")
    skipSpace()
    guard offset < bytes.count else { throw .truncated }
    if bytes[offset] == bracket {
      offset += 1
      containers.removeLast()
      return false
    }
    if containers[last].isFirst {
      containers[last].isFirst = false
    } else {
      guard bytes[offset] == 0x2c else { throw malformed() }
      offset += 1
      skipSpace()
    }
    guard itemsLeft > 0 else { throw .tooManyItems }
    itemsLeft -= 1
    return true
  }

  private mutating func literal(_ text: StaticString) throws(WireError) {
    let expected = text.description.utf8
    for byte in expected {
      guard offset < bytes.count, bytes[offset] == byte else { throw malformed() }
      offset += 1
    }
  }

  private mutating func scanNumber() throws(WireError) {
    if bytes[offset] == 0x2d { offset += 1 }
    guard offset < bytes.count else { throw .truncated }
    if bytes[offset] == 0x30 { offset += 1 } else { try digits() }
    if offset < bytes.count, bytes[offset] == 0x2e {
      offset += 1
      try digits()
    }
    if offset < bytes.count, bytes[offset] | 0x20 == 0x65 {
      offset += 1
      if offset < bytes.count, bytes[offset] == 0x2b || bytes[offset] == 0x2d { offset += 1 }
      try digits()
    }
    if offset < bytes.count, case 0x30...0x39 = bytes[offset] { throw malformed() }
  }

  private mutating func digits() throws(WireError) {
    let start = offset
    while offset < bytes.count, case 0x30...0x39 = bytes[offset] { offset += 1 }
    guard offset > start else { throw malformed() }
  }

  private mutating func scanString() throws(WireError) -> String {
    offset += 1
    let start = offset
    skipPlainBlocks()
    while offset < bytes.count {
      switch bytes[offset] {
      case 0x22:
        guard let text = String(strictUTF8: bytes[start..<offset]) else { throw .invalidText }
        offset += 1
        return text
      case 0x5c: return try scanEscapedString(from: start)
      case 0x00..<0x20: throw malformed()
      default: offset += 1
      }
    }
    throw .truncated
  }

  /// Steps over whole blocks of a string without quote, backslash or control character.
  ///
  /// A block is looked at without an early end, so that it compiles to wide instructions: prompts
  /// are mostly such text.
  private mutating func skipPlainBlocks() {
    let block = 32
    while bytes.count - offset >= block {
      var special: UInt8 = 0
      for byte in bytes[offset..<offset + block] {
        special |= (byte < 0x20 ? 1 : 0) | (byte == 0x22 ? 1 : 0) | (byte == 0x5c ? 1 : 0)
      }
      if special != 0 { return }
      offset += block
    }
  }

  /// The slow path: at `offset` stands the first backslash.
  private mutating func scanEscapedString(from start: Int) throws(WireError) -> String {
    var unescaped = Array(bytes[start..<offset])
    while offset < bytes.count {
      let byte = bytes[offset]
      switch byte {
      case 0x22:
        guard let text = String(strictUTF8: unescaped[...]) else { throw .invalidText }
        offset += 1
        return text
      case 0x5c:
        offset += 1
        try scanEscape(into: &unescaped)
      case 0x00..<0x20: throw malformed()
      default:
        unescaped.append(byte)
        offset += 1
      }
    }
    throw .truncated
  }

  private mutating func scanEscape(into unescaped: inout [UInt8]) throws(WireError) {
    guard offset < bytes.count else { throw .truncated }
    let byte = bytes[offset]
    offset += 1
    switch byte {
    case 0x22, 0x5c, 0x2f: unescaped.append(byte)
    case 0x62: unescaped.append(0x08)
    case 0x66: unescaped.append(0x0c)
    case 0x6e: unescaped.append(0x0a)
    case 0x72: unescaped.append(0x0d)
    case 0x74: unescaped.append(0x09)
    case 0x75:
      var code = UInt32(try fourDigits())
      if (0xd800..<0xdc00).contains(code) {
        guard bytes.count - offset >= 6, bytes[offset] == 0x5c, bytes[offset + 1] == 0x75 else {
          throw .invalidText
        }
        offset += 2
        let low = UInt32(try fourDigits())
        guard (0xdc00..<0xe000).contains(low) else { throw .invalidText }
        code = 0x10000 + (code - 0xd800) << 10 + (low - 0xdc00)
      }
      guard let scalar = Unicode.Scalar(code) else { throw .invalidText }
      unescaped.append(contentsOf: UTF8.encode(scalar).map { Array($0) } ?? [])
    default:
      offset -= 1
      throw malformed()
    }
  }

  private mutating func fourDigits() throws(WireError) -> UInt16 {
    guard bytes.count - offset >= 4 else { throw .truncated }
    guard let pair = Hex.decode(String(decoding: bytes[offset..<offset + 4], as: UTF8.self)),
      pair.count == 2
    else { throw malformed() }
    offset += 4
    return UInt16(pair[0]) << 8 | UInt16(pair[1])
  }
}
