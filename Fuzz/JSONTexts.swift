import BloomWire

/// What reads encodes to text that reads as an equal tree, and skipping checks as much as reading.
func fuzz(_ input: [UInt8]) {
  guard let value = try? JSONValue(decoding: input) else { return }
  let encoded = value.encoded
  require((try? JSONValue(decoding: encoded)) == value, "a value changes when it is written")
  require(String(validating: encoded, as: UTF8.self) != nil, "written text is not UTF-8")
}
