internal import BloomBase

/// The value of a header field that is safe to send, RFC 9110 §5.5.
///
/// There is no way to make one that holds CR, LF, NUL or another control character, so a field
/// cannot split a message.
public struct HTTPFieldValue: Hashable, Sendable, ExpressibleByStringLiteral,
  CustomStringConvertible
{
  /// The value without white space at its ends.
  public let text: String

  /// Checks the text and removes spaces and tabs at its ends.
  ///
  /// - Throws: ``HTTPError`` with `unsafeField`.
  public init(_ text: some StringProtocol) throws(HTTPError) {
    guard text.utf8.allSatisfy(isFieldValueByte) else { throw HTTPError(.unsafeField) }
    let isSpace = { (character: Character) in character == " " || character == "\t" }
    let start = text.drop(while: isSpace)
    let trailing = start.reversed().prefix(while: isSpace).count
    self.text = String(start.dropLast(trailing))
  }

  /// A number.
  public init(_ number: Int) { text = String(number) }

  /// A value written in the source; a control character in it is a programming error.
  public init(stringLiteral value: StaticString) {
    let text = "\(value)"
    invariant(text.utf8.allSatisfy(isFieldValueByte), "not a field value")
    self.text = text
  }

  /// The value.
  public var description: String { text }
}
