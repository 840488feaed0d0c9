internal import BloomBase

/// Why bytes were refused by a decoder of this module; positions and names, never content.
package enum WireError: PublicError, Equatable {
  /// The bytes end inside an item.
  case truncated
  /// Bytes follow the one item that was expected.
  case trailingBytes
  /// The item has a shorter or another preferred form: indefinite length, long head, wide float.
  case notCanonical
  /// Map keys repeat or are not in ascending order.
  case keyOrder
  /// Arrays or maps are nested beyond the limit.
  case tooDeep
  /// The input, or one string of it, is longer than the limit.
  case tooLarge
  /// An array or map has more items than the limit, or than bytes are left.
  case tooManyItems
  /// Text is not UTF-8, RFC 3629.
  case invalidText
  /// A form the protocol does not use: undefined, other simple values, reserved heads.
  case unsupported
  /// Another type than the field's.
  case wrongType(field: String)
  /// The right type with a value outside the field's range.
  case outOfRange(field: String)
  /// A required field is absent.
  case missingField(String)
  /// A field that must be understood and is not.
  case unknownField(UInt64)
  /// A version of the format outside the range understood.
  case unknownVersion(UInt64)
  /// A message type that this side does not know; the link ignores the message.
  case unknownMessage(UInt64)
  /// JSON that breaks RFC 8259 at a byte offset.
  case malformedJSON(offset: Int)
  /// A JSON object names one key twice, at a byte offset.
  case duplicateJSONKey(offset: Int)

  /// One sentence, lower case, without a full stop.
  package var publicDescription: String {
    switch self {
    case .truncated: "the message ends too early"
    case .trailingBytes: "bytes follow the end of the message"
    case .notCanonical: "the message is not in deterministic form (RFC 8949 §4.2.1)"
    case .keyOrder: "map keys repeat or are out of order"
    case .tooDeep: "the message is nested too deeply"
    case .tooLarge: "the message or one of its strings is too large"
    case .tooManyItems: "an array or map has too many items"
    case .invalidText: "text is not valid UTF-8"
    case .unsupported: "the message uses a form that the protocol does not have"
    case .wrongType(let field): "\(field) has the wrong type"
    case .outOfRange(let field): "\(field) is out of range"
    case .missingField(let field): "\(field) is missing"
    case .unknownField(let key): "field \(key) is not known; update this program"
    case .unknownVersion(let version): "version \(version) is not understood; update this program"
    case .unknownMessage(let type): "message type \(type) is not known"
    case .malformedJSON(let offset): "malformed JSON at byte \(offset)"
    case .duplicateJSONKey(let offset): "a JSON object repeats a key at byte \(offset)"
    }
  }
}
