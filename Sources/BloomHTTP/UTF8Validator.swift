/// Checks UTF-8 that comes in pieces and fails at the first byte that cannot be part of any text.
///
/// Overlong forms, surrogates and values above U+10FFFF are refused, RFC 3629 §4.
struct UTF8Validator: Sendable {
  private var missing = 0
  private var lowest: UInt8 = 0x80
  private var highest: UInt8 = 0xbf

  /// Whether the text so far ends at the end of a character.
  var isComplete: Bool { missing == 0 }

  /// Takes more bytes; `false` once the text is wrong.
  mutating func accept(_ bytes: Span<UInt8>, _ range: Range<Int>) -> Bool {
    var index = range.lowerBound
    while index < range.upperBound {
      if missing == 0 {
        // Plain ASCII, eight bytes a step.
        while index + 8 <= range.upperBound,
          bytes[index] | bytes[index + 1] | bytes[index + 2] | bytes[index + 3]
            | bytes[index + 4] | bytes[index + 5] | bytes[index + 6] | bytes[index + 7] < 0x80
        {
          index += 8
        }
        if index == range.upperBound { break }
      }
      let byte = bytes[index]
      index += 1
      if missing == 0 {
        switch byte {
        case 0x00...0x7f: continue
        case 0xc2...0xdf: missing = 1
        case 0xe0:
          missing = 2
          lowest = 0xa0
        case 0xed:
          missing = 2
          highest = 0x9f
        case 0xe1...0xef: missing = 2
        case 0xf0:
          missing = 3
          lowest = 0x90
        case 0xf1...0xf3: missing = 3
        case 0xf4:
          missing = 3
          highest = 0x8f
        default: return false
        }
      } else {
        guard byte >= lowest, byte <= highest else { return false }
        missing -= 1
        lowest = 0x80
        highest = 0xbf
      }
    }
    return true
  }
}
