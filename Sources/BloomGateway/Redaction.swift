/// Takes out of a text what could name a person, a machine's address or a secret; pure.
///
/// It errs to the safe side: a long word of mixed letters and digits is hidden even when it is
/// harmless.
package struct Redaction: Sendable {
  private let home: String
  private let secrets: [String]

  /// Creates a rule.
  ///
  /// - Parameters:
  ///   - home: The user's home folder, which becomes `~`.
  ///   - secrets: Texts that must not appear, such as the gateway's token; empty ones are ignored.
  package init(home: String, secrets: [String]) {
    self.home = home
    self.secrets = secrets.filter { !$0.isEmpty }.sorted { $0.count > $1.count }
  }

  /// The text without them.
  package func apply(to text: String) -> String {
    var text = text
    for secret in secrets {
      text = Self.replacing(secret, in: text, by: "[secret]")
    }
    if home.count > 1 { text = Self.replacing(home, in: text, by: "~") }
    var result = ""
    var word = ""
    for character in text {
      if Self.isPartOfWord(character) {
        word.append(character)
      } else {
        result += Self.hidden(word)
        result.append(character)
        word = ""
      }
    }
    return result + Self.hidden(word)
  }

  /// Whole texts and pieces of them between slashes, quotes and spaces.
  private static func isPartOfWord(_ character: Character) -> Bool {
    guard character.isASCII else { return character.isLetter }
    return character.isLetter || character.isNumber || "_-+=.:@%".contains(character)
  }

  private static func hidden(_ word: String) -> String {
    guard word.count >= 3 else { return word }
    if let at = word.firstIndex(of: "@"), word[at...].contains(".") { return "[e-mail]" }
    if isAddress(word) { return "[address]" }
    if word.count >= 32, word.allSatisfy(\.isHexDigit) { return word.prefix(6) + "…" }
    return isRandom(word) ? "[hidden]" : word
  }

  /// A key or token: long, of capitals, small letters and digits, and no name of a file.
  private static func isRandom(_ word: String) -> Bool {
    word.count >= 20 && !word.contains(".") && word.contains(where: \.isNumber)
      && word.contains(where: \.isUppercase) && word.contains(where: \.isLowercase)
  }

  /// An internet address that is not loopback's, with or without a port.
  private static func isAddress(_ word: String) -> Bool {
    let host = word.filter { $0 == ":" }.count == 1 ? word.prefix { $0 != ":" } : word[...]
    let numbers = host.split(separator: ".", omittingEmptySubsequences: false)
    if numbers.count == 4, numbers.allSatisfy({ UInt8($0) != nil }) {
      return numbers[0] != "127" && host != "0.0.0.0"
    }
    let groups = word.split(separator: ":", omittingEmptySubsequences: false)
    guard groups.count >= 3, word.allSatisfy({ $0.isHexDigit || $0 == ":" }) else { return false }
    // A time of day has three pairs of digits.
    let isTime = groups.count == 3 && groups.allSatisfy { $0.count == 2 && UInt8($0) != nil }
    return !isTime && word != "::1" && word != "::"
  }

  private static func replacing(_ old: String, in text: String, by new: String) -> String {
    text.split(separator: old, omittingEmptySubsequences: false).joined(separator: new)
  }
}
