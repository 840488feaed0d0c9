/// A CBOR item as a tree, for evidence and tools; hot paths use ``CBORReader``.
package indirect enum CBORValue: Sendable, Hashable {
  /// 0…2^64−1.
  case unsigned(UInt64)
  /// −1 − n.
  case negative(UInt64)
  /// A byte string.
  case bytes([UInt8])
  /// A text string.
  case text(String)
  /// Items in order.
  case array([CBORValue])
  /// Pairs in ascending order of encoded keys.
  case map([Pair])
  /// A tagged item.
  case tagged(UInt64, CBORValue)
  /// True or false.
  case bool(Bool)
  /// Null.
  case null
  /// Any float; NaN has one form.
  case float(Double)

  /// One entry of a map.
  package struct Pair: Sendable, Hashable {
    /// The key, of any kind.
    package let key: CBORValue
    /// The value.
    package let value: CBORValue

    /// Joins a key and a value.
    package init(_ key: CBORValue, _ value: CBORValue) {
      self.key = key
      self.value = value
    }
  }

  /// Decodes exactly one item that fills all bytes.
  package init(decoding bytes: [UInt8], limits: CBORLimits = .message) throws(WireError) {
    var reader = try CBORReader(bytes, limits: limits)
    self = try reader.value()
    try reader.finish()
  }

  /// The deterministic encoding; maps are sorted here, repeated keys are the caller's error.
  package var encoded: [UInt8] {
    var encoder = CBOREncoder()
    encode(into: &encoder)
    return encoder.bytes
  }

  /// The number when it is an integer that fits 64 bits with sign.
  package var integer: Int64? {
    switch self {
    case .unsigned(let value): Int64(exactly: value)
    case .negative(let value): value <= UInt64(Int64.max) ? -1 - Int64(value) : nil
    default: nil
    }
  }

  /// The bytes of a byte string.
  package var byteString: [UInt8]? { if case .bytes(let bytes) = self { bytes } else { nil } }

  /// The text of a text string.
  package var string: String? { if case .text(let text) = self { text } else { nil } }

  /// The items of an array.
  package var items: [CBORValue]? { if case .array(let items) = self { items } else { nil } }

  /// The value of a key of a map.
  package subscript(key: CBORValue) -> CBORValue? {
    guard case .map(let pairs) = self else { return nil }
    return pairs.first { $0.key == key }?.value
  }

  /// Writes the item.
  package func encode(into encoder: inout CBOREncoder) {
    switch self {
    case .unsigned(let value): encoder.unsigned(value)
    case .negative(let value): encoder.negative(value)
    case .bytes(let value): encoder.byteString(value)
    case .text(let value): encoder.text(value)
    case .array(let items):
      encoder.array(items.count)
      for item in items { item.encode(into: &encoder) }
    case .map(let pairs):
      encoder.map(pairs.count)
      let sorted = pairs.map { (key: $0.key.encoded, value: $0.value) }
        .sorted { $0.key.lexicographicallyPrecedes($1.key) }
      for pair in sorted {
        encoder.encoded(pair.key)
        pair.value.encode(into: &encoder)
      }
    case .tagged(let number, let item):
      encoder.tag(number)
      item.encode(into: &encoder)
    case .bool(let value): encoder.bool(value)
    case .null: encoder.null()
    case .float(let value): encoder.float(value)
    }
  }
}
