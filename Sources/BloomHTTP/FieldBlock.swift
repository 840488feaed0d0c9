/// The field lines of a head and what they say about framing, RFC 9112 §5 and §6.
///
/// Reads bytes whose every line is known to end in CRLF, the last one being empty.
struct FieldBlock {
  var entries: [HTTPFields.Entry] = []
  var contentLength: Int?
  var isChunked = false
  var host: Range<Int>?
  var saysClose = false
  var saysKeepAlive = false
  var saysUpgrade = false
  var hasUpgrade = false
  var expectsContinue = false

  /// Parses from `start` to the empty line.
  init(_ bytes: Span<UInt8>, from start: Int, maxFields: Int) throws(HTTPError) {
    entries.reserveCapacity(12)
    var index = start
    while bytes[index] != 0x0d {
      guard entries.count < maxFields else { throw HTTPError(.headTooLarge) }
      let nameStart = index
      while isTokenByte(bytes[index]) { index += 1 }
      // Anything but a token byte before the colon is refused: a space there, or a folded line.
      guard bytes[index] == 0x3a, index > nameStart else { throw HTTPError(.malformedField) }
      let nameEnd = index
      index += 1
      while bytes[index] == 0x20 || bytes[index] == 0x09 { index += 1 }
      let valueStart = index
      while isFieldValueByte(bytes[index]) { index += 1 }
      guard bytes[index] == 0x0d else { throw HTTPError(.malformedField) }
      var valueEnd = index
      while valueEnd > valueStart, bytes[valueEnd - 1] == 0x20 || bytes[valueEnd - 1] == 0x09 {
        valueEnd -= 1
      }
      index += 2
      entries.append(
        HTTPFields.Entry(
          nameStart: UInt32(truncatingIfNeeded: nameStart),
          nameCount: UInt32(truncatingIfNeeded: nameEnd - nameStart),
          valueStart: UInt32(truncatingIfNeeded: valueStart),
          valueCount: UInt32(truncatingIfNeeded: valueEnd - valueStart)))
      try note(bytes, nameStart..<nameEnd, valueStart..<valueEnd)
    }
    if isChunked, contentLength != nil { throw HTTPError(.ambiguousFraming) }
  }

  /// Looks at the few fields that framing hangs on; lengths come first because they rarely match.
  private mutating func note(
    _ bytes: Span<UInt8>, _ name: Range<Int>, _ value: Range<Int>
  ) throws(HTTPError) {
    switch name.count {
    case 4:
      guard matches(bytes, name, "host") else { return }
      guard host == nil else { throw HTTPError(.badHost) }
      host = value
    case 6:
      guard matches(bytes, name, "expect") else { return }
      guard matches(bytes, value, "100-continue") else { throw HTTPError(.unsupportedExpectation) }
      expectsContinue = true
    case 7:
      if matches(bytes, name, "upgrade") { hasUpgrade = true }
    case 10:
      if matches(bytes, name, "connection") { noteConnection(bytes, value) }
    case 14:
      guard matches(bytes, name, "content-length") else { return }
      // Repeated lengths are refused even when equal: two parsers may each take another one.
      guard contentLength == nil, let length = Self.length(bytes, value) else {
        throw HTTPError(.ambiguousFraming)
      }
      contentLength = length
    case 17:
      guard matches(bytes, name, "transfer-encoding") else { return }
      guard !isChunked else { throw HTTPError(.ambiguousFraming) }
      guard matches(bytes, value, "chunked") else { throw HTTPError(.unsupportedCoding) }
      isChunked = true
    default: break
    }
  }

  private mutating func noteConnection(_ bytes: Span<UInt8>, _ value: Range<Int>) {
    var start = value.lowerBound
    while start < value.upperBound {
      var end = start
      while end < value.upperBound, bytes[end] != 0x2c { end += 1 }
      var last = end
      while start < last, bytes[start] == 0x20 || bytes[start] == 0x09 { start += 1 }
      while last > start, bytes[last - 1] == 0x20 || bytes[last - 1] == 0x09 { last -= 1 }
      let option = start..<last
      switch option.count {
      case 5: if matches(bytes, option, "close") { saysClose = true }
      case 10: if matches(bytes, option, "keep-alive") { saysKeepAlive = true }
      case 7: if matches(bytes, option, "upgrade") { saysUpgrade = true }
      default: break
      }
      start = end + 1
    }
  }

  /// 1 to 18 digits and nothing else: no sign, no list, no overflow.
  private static func length(_ bytes: Span<UInt8>, _ value: Range<Int>) -> Int? {
    guard (1...18).contains(value.count) else { return nil }
    var length = 0
    for index in value {
      let byte = bytes[index]
      guard byte >= 0x30, byte <= 0x39 else { return nil }
      length = length * 10 + Int(byte - 0x30)
    }
    return length
  }

  /// Whether the connection stays open after this message, RFC 9112 §9.3.
  func keepsAlive(_ version: HTTPVersion) -> Bool {
    if saysClose { return false }
    return version == .http11 || saysKeepAlive
  }
}

/// Whether a range holds a lower-case ASCII text, without regard to case.
@inline(__always)
func matches(_ bytes: Span<UInt8>, _ range: Range<Int>, _ text: String) -> Bool {
  guard range.count == text.utf8.count else { return false }
  var index = range.lowerBound
  for byte in text.utf8 {
    if lowercased(bytes[index]) != byte { return false }
    index += 1
  }
  return true
}
