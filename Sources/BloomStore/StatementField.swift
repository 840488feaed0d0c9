/// One value of a statement's line, as CSV and as JSON.
struct StatementField: Sendable {
  /// Left out of JSON, and nothing between the commas of CSV.
  static let empty = StatementField(text: "", isNumber: false)

  private let text: String
  private let isNumber: Bool

  private init(text: String, isNumber: Bool) {
    self.text = text
    self.isNumber = isNumber
  }

  static func text(_ text: String) -> StatementField {
    StatementField(text: text, isNumber: false)
  }

  static func number(_ number: Int64) -> StatementField {
    StatementField(text: "\(number)", isNumber: true)
  }

  /// A model's name; empty for one that a spreadsheet would take for a formula or that could move
  /// a terminal's cursor: the digest beside it is enough then.
  static func name(_ name: String?) -> StatementField {
    // Scalars: with one that joins it, a sign would be another character.
    guard let name, let first = name.unicodeScalars.first,
      !"=+-@ ".unicodeScalars.contains(first),
      name.unicodeScalars.allSatisfy({ $0.value >= 0x20 && !(0x7f...0x9f).contains($0.value) })
    else { return .empty }
    return .text(name)
  }

  /// RFC 4180: in quotes where it holds a comma or a quote.
  var csv: String { Self.csv(text) }

  static func csv(_ text: String) -> String {
    text.utf8.contains(where: { $0 == 0x22 || $0 == 0x2c }) ? quoted(text) : text
  }

  /// RFC 4180: in quotes, and each quote in it twice, whatever joins it.
  static func quoted(_ text: String) -> String {
    "\"" + escaped(text, ["\""], with: "\"") + "\""
  }

  /// An object of the fields that are not empty.
  static func object(_ names: [String], _ fields: [StatementField]) -> String {
    var members: [String] = []
    for (name, field) in zip(names, fields) where !field.text.isEmpty {
      // Control characters, which would need an escape of their own, are in no field.
      let value =
        field.isNumber ? field.text : "\"" + escaped(field.text, ["\"", "\\"], with: "\\") + "\""
      members.append("\"\(name)\":\(value)")
    }
    return "{" + members.joined(separator: ",") + "}"
  }

  private static func escaped(
    _ text: String, _ marked: [Unicode.Scalar], with mark: Unicode.Scalar
  ) -> String {
    var result = String.UnicodeScalarView()
    for scalar in text.unicodeScalars {
      if marked.contains(scalar) { result.append(mark) }
      result.append(scalar)
    }
    return String(result)
  }
}
