/// Walks a map whose keys are integers, in ascending order, without allocating.
///
/// Keys 0 and up must be understood: the reader of a type throws `unknownField` for those it does
/// not know. Negative keys are extensions that an older reader may ignore; they are checked and
/// skipped here.
package struct CBORFields: Sendable {
  private var left: Int
  private var previous: UInt64?
  private var previousNegative: UInt64?

  /// Reads the map's head.
  package init(
    _ reader: inout CBORReader, _ field: String, maximum: Int = 64
  ) throws(WireError) {
    left = try reader.map(field, maximum: maximum)
  }

  /// Reads the next key; `nil` when the map is done.
  package mutating func next(_ reader: inout CBORReader) throws(WireError) -> UInt64? {
    while left > 0 {
      left -= 1
      if try reader.peek() == .negative {
        let key = try reader.negative("field key")
        if let previousNegative, key <= previousNegative { throw .keyOrder }
        previousNegative = key
        try reader.skip()
        continue
      }
      let key = try reader.unsigned("field key")
      guard previousNegative == nil else { throw .keyOrder }
      if let previous, key <= previous { throw .keyOrder }
      previous = key
      return key
    }
    return nil
  }
}

extension Optional where Wrapped: Sendable {
  /// The value of a field that must be present.
  package func required(_ field: String) throws(WireError) -> Wrapped {
    guard let self else { throw .missingField(field) }
    return self
  }
}
