import BloomWire

/// What reads as a tree has one encoding, and skipping checks as much as reading.
func fuzz(_ input: [UInt8]) {
  let value = try? CBORValue(decoding: input)
  if let value { require(value.encoded == input, "an item has two encodings") }
  var skipped = false
  if var reader = try? CBORReader(input) {
    skipped = (try? reader.skip()) != nil && reader.isAtEnd
  }
  require(skipped == (value != nil), "skipping and reading differ")
}
