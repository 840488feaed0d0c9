internal import BloomBase

/// Heads of POSIX's tape archive: a backup is a file that `tar` lists.
///
/// Plain files of mode 0600 only; IEEE Std 1003.1 *ustar*, with sizes beyond 8 GiB in base 256 as
/// GNU tar writes them. Pure.
enum TapeArchive: Sendable {
  static let blockBytes = 512

  /// One file's head.
  struct Head: Equatable, Sendable {
    var name: String
    var byteCount: Int
    var time: UnixTime
  }

  /// Bytes after a file's content up to the next block.
  static func padding(_ byteCount: Int) -> Int {
    (blockBytes - byteCount % blockBytes) % blockBytes
  }

  /// The head's block.
  static func encode(_ head: Head) -> [UInt8] {
    var block = [UInt8](repeating: 0, count: blockBytes)
    func put(_ bytes: some Sequence<UInt8>, at offset: Int) {
      for (index, byte) in bytes.enumerated() { block[offset + index] = byte }
    }
    put(head.name.utf8.prefix(100), at: 0)
    put("0000600\0".utf8, at: 100)
    put("0000000\0".utf8, at: 108)
    put("0000000\0".utf8, at: 116)
    if head.byteCount < 1 << 33 {
      put(octal(head.byteCount, digits: 11).utf8, at: 124)
    } else {
      block[124] = 0x80
      for index in 0..<8 {
        block[128 + index] = UInt8(truncatingIfNeeded: head.byteCount >> (8 * (7 - index)))
      }
    }
    put(octal(Int(max(0, head.time.seconds)), digits: 11).utf8, at: 136)
    block[156] = UInt8(ascii: "0")
    put("ustar\0".utf8, at: 257)
    put("00".utf8, at: 263)
    put(octal(checksum(block), digits: 6).utf8, at: 148)
    block[155] = 0x20
    return block
  }

  /// Reads a head's block; `nil` when it is none, or not of a plain file with a plain name.
  static func decode(_ block: [UInt8]) -> Head? {
    guard block.count == blockBytes, block[156] == UInt8(ascii: "0") || block[156] == 0,
      number(block[148..<156]) == checksum(block)
    else { return nil }
    let name = String(decoding: block[..<100].prefix { $0 != 0 }, as: UTF8.self)
    guard isPlain(name), let time = number(block[136..<148]) else { return nil }
    var byteCount: Int?
    if block[124] & 0x80 != 0 {
      byteCount = block[128..<136].reduce(0) { $0 << 8 | Int($1) }
    } else {
      byteCount = number(block[124..<136])
    }
    guard let byteCount, byteCount >= 0 else { return nil }
    return Head(name: name, byteCount: byteCount, time: UnixTime(Int64(time)))
  }

  /// Whether a name stays within its folder: no slash, no leading dot, printable ASCII.
  static func isPlain(_ name: String) -> Bool {
    (1...99).contains(name.utf8.count) && !name.hasPrefix(".")
      && name.utf8.allSatisfy { byte in
        switch byte {
        case 0x61...0x7a, 0x41...0x5a, 0x30...0x39, 0x2e, 0x5f, 0x2d: true
        default: false
        }
      }
  }

  private static func checksum(_ block: [UInt8]) -> Int {
    block.enumerated().reduce(0) {
      $0 + ((148..<156).contains($1.offset) ? 0x20 : Int($1.element))
    }
  }

  private static func octal(_ value: Int, digits: Int) -> String {
    let text = String(value, radix: 8)
    return String(repeating: "0", count: max(0, digits - text.count)) + text + "\0"
  }

  private static func number(_ field: ArraySlice<UInt8>) -> Int? {
    let digits = field.drop { $0 == 0x20 }.prefix { $0 != 0 && $0 != 0x20 }
    return digits.isEmpty ? 0 : Int(String(decoding: digits, as: UTF8.self), radix: 8)
  }
}
