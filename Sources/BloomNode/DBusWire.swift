#if os(Linux)
/// A value of a D-Bus message, without the width of its number.
indirect enum DBusValue: Sendable, Equatable {
  case unsigned(UInt64)
  case signed(Int64)
  case double(Double)
  case bool(Bool)
  /// Texts, object paths and signatures.
  case string(String)
  /// The index of a file that came with the message.
  case file(Int)
  case array([DBusValue])
  /// Members of a structure, or key and value of a dictionary's entry.
  case structure([DBusValue])
  case variant(DBusValue)

  /// The value inside a variant, or the value itself.
  var plain: DBusValue { if case .variant(let value) = self { value.plain } else { self } }
  var string: String? { if case .string(let text) = plain { text } else { nil } }
  var bool: Bool? { if case .bool(let flag) = plain { flag } else { nil } }
  var unsigned: UInt64? { if case .unsigned(let number) = plain { number } else { nil } }
  var items: [DBusValue] {
    switch plain {
    case .array(let items), .structure(let items): items
    default: []
    }
  }
  /// A member of a dictionary with texts as keys.
  subscript(_ key: String) -> DBusValue? {
    items.first { $0.items.first?.string == key }?.items.last?.plain
  }
}

/// A message that came.
struct DBusMessage: Sendable, Equatable {
  /// 1 call, 2 reply, 3 error, 4 signal.
  var kind: UInt8
  var replySerial: UInt32?
  var errorName: String?
  var member: String?
  var body: [DBusValue]
}

/// The D-Bus marshalling that a caller of a few methods needs; pure.
///
/// D-Bus Specification 0.43, "Message Protocol".
enum DBusWire: Sendable {
  /// Bytes of a message at most; answers here are a few KiB.
  static let limit = 1 << 20
  /// The fixed part of a message's head.
  static let headByteCount = 16

  /// A method call whose arguments are texts.
  static func call(
    serial: UInt32, destination: String, path: String, interface: String, member: String,
    arguments: [String] = []
  ) -> [UInt8] {
    var body: [UInt8] = []
    for text in arguments { append(text, to: &body) }
    var fields: [UInt8] = []
    func field(_ code: UInt8, _ type: Character, _ text: String) {
      pad(&fields, to: 8)
      fields += [code, 1, type.asciiValue ?? 0, 0]
      append(text, to: &fields)
    }
    field(1, "o", path)
    field(2, "s", interface)
    field(3, "s", member)
    field(6, "s", destination)
    if !arguments.isEmpty {
      pad(&fields, to: 8)
      // A signature's length is one byte.
      fields += [8, 1, 0x67, 0, UInt8(arguments.count)]
      fields += arguments.map { _ in 0x73 } + [0]
    }
    var message: [UInt8] = [0x6c, 1, 0, 1]
    append(UInt32(body.count), to: &message)
    append(serial, to: &message)
    append(UInt32(fields.count), to: &message)
    message += fields
    pad(&message, to: 8)
    return message + body
  }

  /// Bytes that follow the fixed part; `nil` for what is no message or too long.
  static func restByteCount(_ head: [UInt8]) -> Int? {
    guard head.count == headByteCount, let isLittle = isLittle(head) else { return nil }
    let body = number(head, 4, isLittle)
    let fields = number(head, 12, isLittle)
    guard body <= limit, fields <= limit else { return nil }
    return (fields + 7) / 8 * 8 + body
  }

  /// A whole message; `nil` when it is malformed.
  static func message(_ bytes: [UInt8]) -> DBusMessage? {
    guard bytes.count >= headByteCount, let isLittle = isLittle(bytes) else { return nil }
    var reader = DBusReader(bytes, isLittle: isLittle, offset: 12)
    guard case .array(let fields)? = reader.value("a(yv)") else { return nil }
    var message = DBusMessage(kind: bytes[1], body: [])
    var signature = ""
    for field in fields {
      guard let code = field.items.first?.unsigned, let value = field.items.last else { continue }
      switch code {
      case 3: message.member = value.string
      case 4: message.errorName = value.string
      case 5: message.replySerial = value.unsigned.map { UInt32(truncatingIfNeeded: $0) }
      case 8: signature = value.string ?? ""
      default: break
      }
    }
    guard reader.align(8) else { return nil }
    for type in DBusReader.types(signature) ?? [] {
      guard let value = reader.value(type) else { return nil }
      message.body.append(value)
    }
    return message
  }

  private static func isLittle(_ head: [UInt8]) -> Bool? {
    switch head[0] {
    case 0x6c: true
    case 0x42: false
    default: nil
    }
  }

  private static func number(_ bytes: [UInt8], _ offset: Int, _ isLittle: Bool) -> Int {
    (0..<4).reduce(0) { $0 | Int(bytes[offset + $1]) << (isLittle ? 8 * $1 : 8 * (3 - $1)) }
  }

  private static func append(_ value: UInt32, to bytes: inout [UInt8]) {
    pad(&bytes, to: 4)
    bytes += (0..<4).map { UInt8(truncatingIfNeeded: value >> (8 * UInt32($0))) }
  }

  private static func append(_ text: String, to bytes: inout [UInt8]) {
    append(UInt32(text.utf8.count), to: &bytes)
    bytes += Array(text.utf8) + [0]
  }

  private static func pad(_ bytes: inout [UInt8], to alignment: Int) {
    while bytes.count % alignment != 0 { bytes.append(0) }
  }
}

/// Reads marshalled values; every offset is checked, depth is limited.
struct DBusReader: Sendable {
  private let bytes: [UInt8]
  private let isLittle: Bool
  private var offset: Int
  private var depth = 0

  init(_ bytes: [UInt8], isLittle: Bool, offset: Int) {
    self.bytes = bytes
    self.isLittle = isLittle
    self.offset = offset
  }

  /// Cuts a signature into complete types; `nil` when it is none.
  static func types(_ signature: some StringProtocol) -> [String]? {
    let all = Array(signature)
    var types: [String] = []
    var index = 0
    while index < all.count {
      guard let end = typeEnd(all, index, 0) else { return nil }
      types.append(String(all[index..<end]))
      index = end
    }
    return types
  }

  private static func typeEnd(_ all: [Character], _ start: Int, _ depth: Int) -> Int? {
    guard start < all.count, depth < 32 else { return nil }
    switch all[start] {
    case "a": return typeEnd(all, start + 1, depth + 1)
    case "(", "{":
      let close: Character = all[start] == "(" ? ")" : "}"
      var index = start + 1
      while index < all.count, all[index] != close {
        guard let next = typeEnd(all, index, depth + 1) else { return nil }
        index = next
      }
      return index < all.count && index > start + 1 ? index + 1 : nil
    case ")", "}": return nil
    default: return start + 1
    }
  }

  /// Moves to a multiple of a power of two; whether that is still inside.
  mutating func align(_ alignment: Int) -> Bool {
    offset = (offset + alignment - 1) / alignment * alignment
    return offset <= bytes.count
  }

  private mutating func number(_ count: Int) -> UInt64? {
    guard align(count), bytes.count - offset >= count else { return nil }
    defer { offset += count }
    return (0..<count).reduce(0) {
      $0 | UInt64(bytes[offset + $1]) << UInt64(isLittle ? 8 * $1 : 8 * (count - 1 - $1))
    }
  }

  private mutating func text(lengthBytes: Int) -> String? {
    guard let length = number(lengthBytes), length < UInt64(bytes.count - offset) else {
      return nil
    }
    defer { offset += Int(length) + 1 }
    return String(decoding: bytes[offset..<offset + Int(length)], as: UTF8.self)
  }

  /// One value of a complete type; `nil` when the bytes do not hold it.
  mutating func value(_ type: String) -> DBusValue? {
    depth += 1
    defer { depth -= 1 }
    guard depth < 32, let first = type.first else { return nil }
    switch first {
    case "y": return number(1).map { .unsigned($0) }
    case "q": return number(2).map { .unsigned($0) }
    case "u": return number(4).map { .unsigned($0) }
    case "t": return number(8).map { .unsigned($0) }
    case "n": return number(2).map { .signed(Int64(Int16(truncatingIfNeeded: $0))) }
    case "i": return number(4).map { .signed(Int64(Int32(truncatingIfNeeded: $0))) }
    case "x": return number(8).map { .signed(Int64(bitPattern: $0)) }
    case "d": return number(8).map { .double(Double(bitPattern: $0)) }
    case "b": return number(4).map { .bool($0 != 0) }
    case "h": return number(4).map { .file(Int($0)) }
    case "s", "o": return text(lengthBytes: 4).map { .string($0) }
    case "g": return text(lengthBytes: 1).map { .string($0) }
    case "v":
      guard let inner = text(lengthBytes: 1), let types = Self.types(inner), types.count == 1 else {
        return nil
      }
      return value(types[0]).map { .variant($0) }
    case "(", "{":
      guard align(8), let types = Self.types(type.dropFirst().dropLast()) else { return nil }
      var members: [DBusValue] = []
      for type in types {
        guard let member = value(type) else { return nil }
        members.append(member)
      }
      return .structure(members)
    case "a": return array(String(type.dropFirst()))
    default: return nil
    }
  }

  private mutating func array(_ type: String) -> DBusValue? {
    guard let count = number(4), let first = type.first else { return nil }
    let alignment =
      switch first {
      case "x", "t", "d", "(", "{": 8
      case "y", "g", "v": 1
      case "n", "q": 2
      default: 4
      }
    guard align(alignment), count <= UInt64(bytes.count - offset) else { return nil }
    let end = offset + Int(count)
    var items: [DBusValue] = []
    while offset < end {
      guard let item = value(type) else { return nil }
      items.append(item)
    }
    return offset == end ? .array(items) : nil
  }
}
#endif
