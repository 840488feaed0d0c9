/// Base64 text, RFC 4648 §4 and §5.
public enum Base64: Sendable {
  /// Which 64 characters, and whether the end is padded.
  public enum Alphabet: Sendable {
    /// §4: `+`, `/`, padded with `=`.
    case standard
    /// §5: `-`, `_`, no padding.
    case url
  }

  private static let standardDigits = Array(
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
  private static let urlDigits = Array(
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)

  /// The text of some bytes.
  public static func encode(_ bytes: [UInt8], _ alphabet: Alphabet = .standard) -> String {
    let digits = alphabet == .url ? urlDigits : standardDigits
    var text: [UInt8] = []
    text.reserveCapacity((bytes.count + 2) / 3 * 4)
    for start in stride(from: 0, to: bytes.count, by: 3) {
      let count = min(3, bytes.count - start)
      var group: UInt32 = 0
      for offset in 0..<3 {
        group = group << 8 | (offset < count ? UInt32(bytes[start + offset]) : 0)
      }
      for place in 0..<4 {
        if place <= count {
          text.append(digits[Int(group >> UInt32(18 - 6 * place)) & 63])
        } else if alphabet == .standard {
          text.append(0x3d)
        }
      }
    }
    return String(decoding: text, as: UTF8.self)
  }

  /// The bytes of a text in its one canonical form; `nil` for anything else.
  public static func decode(_ text: some StringProtocol, _ alphabet: Alphabet = .standard)
    -> [UInt8]?
  {
    var characters = Array(text.utf8)
    if alphabet == .standard {
      guard characters.count.isMultiple(of: 4) else { return nil }
      while characters.last == 0x3d, characters.count % 4 != 2 { characters.removeLast() }
      if characters.last == 0x3d { characters.removeLast() }
    }
    guard characters.count % 4 != 1 else { return nil }
    var bytes: [UInt8] = []
    bytes.reserveCapacity(characters.count * 3 / 4)
    var bits: UInt32 = 0
    var bitCount = 0
    for character in characters {
      guard let value = value(character, alphabet) else { return nil }
      bits = bits << 6 | value
      bitCount += 6
      if bitCount >= 8 {
        bitCount -= 8
        bytes.append(UInt8(truncatingIfNeeded: bits >> UInt32(bitCount)))
      }
    }
    // One text a value: the unused bits and the padding must be what the encoder writes.
    guard encode(bytes, alphabet) == String(text) else { return nil }
    return bytes
  }

  private static func value(_ character: UInt8, _ alphabet: Alphabet) -> UInt32? {
    switch character {
    case 0x41...0x5a: UInt32(character - 0x41)
    case 0x61...0x7a: UInt32(character - 0x61) + 26
    case 0x30...0x39: UInt32(character - 0x30) + 52
    case 0x2b where alphabet == .standard, 0x2d where alphabet == .url: 62
    case 0x2f where alphabet == .standard, 0x5f where alphabet == .url: 63
    default: nil
    }
  }
}
