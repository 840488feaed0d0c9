extension String {
  /// Reads UTF-8; `nil` when any byte is wrong.
  ///
  /// `String(validating:as:)` is generic code that the compiler cannot see through, and cost more
  /// than the rest of a frame.
  init?(strictUTF8 bytes: ArraySlice<UInt8>) {
    self.init(decoding: bytes, as: UTF8.self)
    var bits: UInt8 = 0
    for index in bytes.indices { bits |= bytes[index] }
    // What is wrong was repaired, so the text differs from the bytes.
    guard bits < 0x80 || utf8.count == bytes.count && utf8.elementsEqual(bytes) else { return nil }
  }
}
