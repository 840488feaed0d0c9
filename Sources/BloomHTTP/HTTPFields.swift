/// Header fields in the order they came or will be sent.
///
/// All names and values lie in one buffer and are decoded when asked for, so that a parsed head
/// costs two allocations. Fields that the writers make themselves (Content-Length,
/// Transfer-Encoding, Connection) are left out when a head is written.
public struct HTTPFields: Sendable {
  struct Entry: Sendable {
    var nameStart: UInt32
    var nameCount: UInt32
    var valueStart: UInt32
    var valueCount: UInt32

    var name: Range<Int> { Int(nameStart)..<Int(nameStart + nameCount) }
    var value: Range<Int> { Int(valueStart)..<Int(valueStart + valueCount) }
  }

  private(set) var bytes: [UInt8]
  private(set) var entries: [Entry]

  /// No fields.
  public init() {
    bytes = []
    entries = []
  }

  init(bytes: [UInt8], entries: [Entry]) {
    self.bytes = bytes
    self.entries = entries
  }

  /// The number of field lines.
  public var count: Int { entries.count }

  /// Whether there are none.
  public var isEmpty: Bool { entries.isEmpty }

  /// The first value of a field, `nil` when it is missing; bytes that are not UTF-8 are repaired.
  public subscript(name: HTTPFieldName) -> String? {
    entries.first { matches($0, name) }.map { String(decoding: bytes[$0.value], as: UTF8.self) }
  }

  /// Whether the field is there at least once.
  public func contains(_ name: HTTPFieldName) -> Bool { entries.contains { matches($0, name) } }

  /// All values of a field, in order.
  public func values(_ name: HTTPFieldName) -> [String] {
    entries.filter { matches($0, name) }.map { String(decoding: bytes[$0.value], as: UTF8.self) }
  }

  /// Whether a comma-separated list field holds a token, without regard to case, RFC 9110 §5.6.1.
  public func list(_ name: HTTPFieldName, contains token: StaticString) -> Bool {
    let wanted = Array("\(token)".utf8)
    return entries.contains { entry in
      matches(entry, name)
        && bytes[entry.value].split(separator: 0x2c).contains {
          equalIgnoringCase(trimmed($0), wanted)
        }
    }
  }

  /// Adds a field line at the end.
  public mutating func add(_ name: HTTPFieldName, _ value: HTTPFieldValue) {
    if entries.isEmpty {
      bytes.reserveCapacity(96)
      entries.reserveCapacity(4)
    }
    let nameStart = UInt32(bytes.count)
    bytes.append(contentsOf: name.text.utf8)
    let valueStart = UInt32(bytes.count)
    bytes.append(contentsOf: value.text.utf8)
    entries.append(
      Entry(
        nameStart: nameStart, nameCount: valueStart - nameStart, valueStart: valueStart,
        valueCount: UInt32(bytes.count) - valueStart))
  }

  /// Replaces all lines of a field by one at the end.
  public mutating func set(_ name: HTTPFieldName, _ value: HTTPFieldValue) {
    remove(name)
    add(name, value)
  }

  /// Removes all lines of a field.
  public mutating func remove(_ name: HTTPFieldName) {
    entries = entries.filter { !matches($0, name) }
  }

  /// Calls a closure with each name and value, in order, decoded.
  public func forEach(_ body: (_ name: String, _ value: String) throws -> Void) rethrows {
    for entry in entries {
      try body(
        String(decoding: bytes[entry.name], as: UTF8.self),
        String(decoding: bytes[entry.value], as: UTF8.self))
    }
  }

  /// Writes all lines but those for which the writers have their own.
  func write(into output: inout [UInt8], leavingOut isLeftOut: (ArraySlice<UInt8>) -> Bool) {
    for entry in entries {
      let name = bytes[entry.name]
      if isLeftOut(name) { continue }
      output.append(contentsOf: name)
      output.append(0x3a)
      output.append(0x20)
      output.append(contentsOf: bytes[entry.value])
      output.append(0x0d)
      output.append(0x0a)
    }
  }

  private func matches(_ entry: Entry, _ name: HTTPFieldName) -> Bool {
    let utf8 = name.text.utf8
    guard utf8.count == Int(entry.nameCount) else { return false }
    var index = Int(entry.nameStart)
    for byte in utf8 {
      if lowercased(bytes[index]) != lowercased(byte) { return false }
      index += 1
    }
    return true
  }

  private func trimmed(_ bytes: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
    let isSpace = { (byte: UInt8) in byte == 0x20 || byte == 0x09 }
    var rest = bytes.drop(while: isSpace)
    while let last = rest.last, isSpace(last) { rest.removeLast() }
    return rest
  }
}

extension HTTPFields: Equatable {
  /// Whether both hold the same lines in the same order; names without regard to case.
  public static func == (a: HTTPFields, b: HTTPFields) -> Bool {
    a.entries.count == b.entries.count
      && zip(a.entries, b.entries).allSatisfy {
        equalIgnoringCase(a.bytes[$0.name], b.bytes[$1.name])
          && a.bytes[$0.value] == b.bytes[$1.value]
      }
  }
}

extension HTTPFields: CustomStringConvertible {
  /// Names only: values may hold keys.
  public var description: String {
    entries.map { String(decoding: bytes[$0.name], as: UTF8.self) }.joined(separator: ", ")
  }
}
