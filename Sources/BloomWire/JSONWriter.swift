internal import BloomBase

/// Appends JSON to a byte array, with commas and escapes put in (RFC 8259).
///
/// For hot paths: one buffer, no tree, no intermediate strings. The caller nests correctly; a
/// writer that closes what it did not open is a programming error.
package struct JSONWriter: Sendable {
  /// What was written so far.
  package private(set) var bytes: [UInt8]
  private var needsComma = false
  private var depth = 0

  /// Starts an empty document.
  ///
  /// - Parameter capacity: Bytes to reserve.
  package init(capacity: Int = 256) {
    bytes = []
    bytes.reserveCapacity(capacity)
  }

  /// Opens an object.
  package mutating func beginObject() { open(0x7b) }

  /// Closes an object.
  package mutating func endObject() { close(0x7d) }

  /// Opens an array.
  package mutating func beginArray() { open(0x5b) }

  /// Closes an array.
  package mutating func endArray() { close(0x5d) }

  /// Writes an object whose members `body` writes.
  package mutating func object<E: Error>(_ body: (inout JSONWriter) throws(E) -> Void) throws(E) {
    beginObject()
    try body(&self)
    endObject()
  }

  /// Writes an array whose items `body` writes.
  package mutating func array<E: Error>(_ body: (inout JSONWriter) throws(E) -> Void) throws(E) {
    beginArray()
    try body(&self)
    endArray()
  }

  /// Writes a member's name; its value must follow.
  package mutating func key(_ name: StaticString) {
    separate()
    bytes.append(0x22)
    name.withUTF8Buffer { unsafe bytes.append(contentsOf: $0) }
    bytes.append(0x22)
    bytes.append(0x3a)
    needsComma = false
  }

  /// Writes a member's name that may need escapes; its value must follow.
  package mutating func key(_ name: String) {
    separate()
    quote(name.utf8)
    bytes.append(0x3a)
    needsComma = false
  }

  /// Writes a string.
  package mutating func string(_ value: String) {
    separate()
    quote(value.utf8)
  }

  /// Writes a string from UTF-8 bytes that the caller knows to be valid.
  package mutating func string(utf8 value: some Sequence<UInt8>) {
    separate()
    quote(value)
  }

  /// Writes an integer.
  package mutating func integer(_ value: some BinaryInteger) {
    separate()
    bytes.append(contentsOf: String(value).utf8)
  }

  /// Writes a finite number in the shortest form that reads back equal; others become null.
  package mutating func number(_ value: Double) {
    guard value.isFinite else { return null() }
    if let whole = Int64(exactly: value), whole.magnitude < 1 << 53 { return integer(whole) }
    separate()
    bytes.append(contentsOf: "\(value)".utf8)
  }

  /// Writes a number's text as it came.
  package mutating func number(_ value: JSONNumber) {
    separate()
    bytes.append(contentsOf: value.text.utf8)
  }

  /// Writes true or false.
  package mutating func bool(_ value: Bool) {
    separate()
    bytes.append(contentsOf: (value ? "true" : "false").utf8)
  }

  /// Writes null.
  package mutating func null() {
    separate()
    bytes.append(contentsOf: "null".utf8)
  }

  /// Writes a value that is JSON already.
  package mutating func raw(_ json: some Collection<UInt8>) {
    separate()
    bytes.append(contentsOf: json)
  }

  /// Writes a tree.
  package mutating func value(_ value: JSONValue) {
    switch value {
    case .null: null()
    case .bool(let flag): bool(flag)
    case .number(let text): number(text)
    case .string(let text): string(text)
    case .array(let items):
      beginArray()
      for item in items { self.value(item) }
      endArray()
    case .object(let members):
      beginObject()
      for member in members {
        key(member.name)
        self.value(member.value)
      }
      endObject()
    }
  }

  /// Forgets what was written and keeps the memory, for hot paths.
  package mutating func removeAll() {
    bytes.removeAll(keepingCapacity: true)
    needsComma = false
  }

  private mutating func open(_ bracket: UInt8) {
    separate()
    bytes.append(bracket)
    needsComma = false
    depth += 1
  }

  private mutating func close(_ bracket: UInt8) {
    invariant(depth > 0, "JSON writer closes more than it opened")
    bytes.append(bracket)
    needsComma = true
    depth -= 1
  }

  private mutating func separate() {
    if needsComma { bytes.append(0x2c) }
    needsComma = true
  }

  private mutating func quote(_ utf8: some Sequence<UInt8>) {
    bytes.append(0x22)
    defer { bytes.append(0x22) }
    let block = 64
    guard utf8.underestimatedCount >= block else { return escape(utf8) }
    // Long prompts have few bytes to escape: whole blocks without any are copied at once.
    let text = Array(utf8)
    bytes.reserveCapacity(bytes.count + text.count + 256)
    var clean = 0
    var start = 0
    while text.count - start >= block {
      var special: UInt8 = 0
      for index in start..<start + block {
        let byte = text[index]
        special |= (byte < 0x20 ? 1 : 0) | (byte == 0x22 ? 1 : 0) | (byte == 0x5c ? 1 : 0)
      }
      if special != 0 {
        bytes.append(contentsOf: text[clean..<start])
        escape(text[start..<start + block])
        clean = start + block
      }
      start += block
    }
    bytes.append(contentsOf: text[clean..<start])
    escape(text[start...])
  }

  private mutating func escape(_ text: some Sequence<UInt8>) {
    for byte in text {
      switch byte {
      case 0x22, 0x5c:
        bytes.append(0x5c)
        bytes.append(byte)
      case 0x20...: bytes.append(byte)
      default: escape(control: byte)
      }
    }
  }

  private mutating func escape(control byte: UInt8) {
    bytes.append(0x5c)
    switch byte {
    case 0x08: bytes.append(0x62)
    case 0x09: bytes.append(0x74)
    case 0x0a: bytes.append(0x6e)
    case 0x0c: bytes.append(0x66)
    case 0x0d: bytes.append(0x72)
    default: bytes.append(contentsOf: "u00\(Hex.encode([byte]))".utf8)
    }
  }
}
