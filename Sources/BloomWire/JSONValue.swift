/// A number as its text, so that integers of any size stay exact.
package struct JSONNumber: Sendable, Hashable {
  /// The text, in the grammar of RFC 8259 §6.
  package let text: String

  /// Wraps text that the scanner has checked.
  init(checked text: String) { self.text = text }

  /// An integer's number.
  package init(_ value: some BinaryInteger) { text = String(value) }

  /// A finite number; `nil` for infinity and NaN.
  package init?(_ value: Double) {
    guard value.isFinite else { return nil }
    var writer = JSONWriter(capacity: 24)
    writer.number(value)
    text = String(decoding: writer.bytes, as: UTF8.self)
  }

  /// The value when it is written as an integer that fits; `1.0` and `1e3` are not integers.
  package var integer: Int64? { Int64(text) }

  /// The nearest double; `nil` when it is beyond the range of a double.
  package var double: Double? { Double(text).flatMap { $0.isFinite ? $0 : nil } }
}

/// A JSON value as a tree, for control use; members keep their order, keys are unique.
package indirect enum JSONValue: Sendable, Hashable {
  /// null
  case null
  /// true or false
  case bool(Bool)
  /// A number by its text.
  case number(JSONNumber)
  /// A string, unescaped.
  case string(String)
  /// Items in order.
  case array([JSONValue])
  /// Members in their order.
  case object([Member])

  /// One member of an object.
  package struct Member: Sendable, Hashable {
    /// The name, unescaped.
    package let name: String
    /// The value.
    package let value: JSONValue

    /// Joins a name and a value.
    package init(_ name: String, _ value: JSONValue) {
      self.name = name
      self.value = value
    }
  }

  /// Decodes one value that fills all bytes; white space around it is allowed.
  package init(decoding bytes: [UInt8], limits: JSONLimits = .document) throws(WireError) {
    var scanner = try JSONScanner(bytes, limits: limits)
    self = try scanner.value()
    try scanner.finish()
  }

  /// An integer.
  package static func integer(_ value: some BinaryInteger) -> JSONValue {
    .number(JSONNumber(value))
  }

  /// An object from pairs, in order.
  package static func members(_ pairs: KeyValuePairs<String, JSONValue>) -> JSONValue {
    .object(pairs.map { Member($0.key, $0.value) })
  }

  /// The text without white space.
  package var encoded: [UInt8] {
    var writer = JSONWriter()
    writer.value(self)
    return writer.bytes
  }

  /// The value of a member; `nil` when absent or when this is not an object.
  package subscript(_ name: String) -> JSONValue? {
    guard case .object(let members) = self else { return nil }
    return members.first { $0.name == name }?.value
  }

  /// The text of a string.
  package var string: String? { if case .string(let text) = self { text } else { nil } }

  /// The value of an exact integer.
  package var integer: Int64? { if case .number(let number) = self { number.integer } else { nil } }

  /// The nearest double of a number.
  package var double: Double? { if case .number(let number) = self { number.double } else { nil } }

  /// True or false.
  package var bool: Bool? { if case .bool(let flag) = self { flag } else { nil } }

  /// The items of an array.
  package var items: [JSONValue]? { if case .array(let items) = self { items } else { nil } }

  /// The members of an object.
  package var members: [Member]? { if case .object(let members) = self { members } else { nil } }
}
