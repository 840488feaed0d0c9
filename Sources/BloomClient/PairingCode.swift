package import BloomBase
internal import BloomCrypto

/// A machine's identity in a form that people carry from one screen to another.
///
/// 52 characters of the identity and 4 that catch mistakes, in groups of four, in Crockford's
/// alphabet: no I, L, O or U, and small letters count too. The identity is no secret; what matters
/// is that it comes from the machine itself and not from the network.
package enum PairingCode: Sendable {
  /// What stands before a code in a link.
  package static let scheme = "darkbloom:pair/"
  private static let alphabet = Array("0123456789ABCDEFGHJKMNPQRSTVWXYZ")
  private static let identityCharacters = 52
  private static let checkCharacters = 4

  /// The code of a machine.
  package static func text(of node: NodeID) -> String {
    let digits = characters(of: node)
    return stride(from: 0, to: digits.count, by: 4).map {
      String(digits[$0..<min($0 + 4, digits.count)])
    }.joined(separator: "-")
  }

  /// The link of a machine, as a QR code holds it.
  package static func link(of node: NodeID) -> String { scheme + text(of: node) }

  /// Reads a code or link, however it is spaced.
  ///
  /// - Returns: The machine.
  /// - Throws: ``UsageError`` that says whether the length or a character is wrong.
  package static func node(_ text: String) throws(UsageError) -> NodeID {
    var rest = text[...]
    if let end = text.end(ofPrefix: scheme) { rest = text[end...] }
    var values: [UInt8] = []
    for character in rest.uppercased() where !"- \t".contains(character) {
      let plain: Character =
        switch character {
        case "O": "0"
        case "I", "L": "1"
        default: character
        }
      guard let value = alphabet.firstIndex(of: plain) else {
        throw UsageError("\(character) is in no pairing code; copy it again from the machine")
      }
      values.append(UInt8(value))
    }
    guard values.count == identityCharacters + checkCharacters else {
      throw UsageError(
        "a pairing code has \(identityCharacters + checkCharacters) characters and this one "
          + "\(values.count); copy it again from the machine")
    }
    // Written again, it must be the same: the bits that fill the last character count too.
    guard let node = NodeID(decode(values.prefix(identityCharacters))),
      characters(of: node) == values.map({ alphabet[Int($0)] })
    else { throw UsageError("the pairing code has a mistake; copy it again from the machine") }
    return node
  }

  private static func characters(of node: NodeID) -> [Character] {
    let sum = SHA256.digest(Array("darkbloom/1 pair".utf8) + node.digest.bytes)
    return encode(node.digest.bytes, count: identityCharacters)
      + encode(Array(sum.bytes.prefix(3)), count: checkCharacters)
  }

  /// Five bits a character, the last one filled with zeros.
  private static func encode(_ bytes: [UInt8], count: Int) -> [Character] {
    (0..<count).map { position in
      let value = (0..<5).reduce(0) { value, offset in
        let bit = position * 5 + offset
        let isSet = bit / 8 < bytes.count && bytes[bit / 8] >> (7 - bit % 8) & 1 == 1
        return value << 1 | (isSet ? 1 : 0)
      }
      return alphabet[value]
    }
  }

  private static func decode(_ values: some Collection<UInt8>) -> [UInt8] {
    var bits: UInt32 = 0
    var count = 0
    var bytes: [UInt8] = []
    for value in values {
      bits = bits << 5 | UInt32(value)
      count += 5
      if count >= 8 {
        count -= 8
        bytes.append(UInt8(truncatingIfNeeded: bits >> UInt32(count)))
      }
    }
    return bytes
  }
}

extension String {
  /// Where the text goes on after a prefix, whatever its case; `nil` without the prefix.
  fileprivate func end(ofPrefix prefix: String) -> Index? {
    guard lowercased().hasPrefix(prefix) else { return nil }
    return index(startIndex, offsetBy: prefix.count)
  }
}
