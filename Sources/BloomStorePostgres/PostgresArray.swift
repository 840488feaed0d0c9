internal import BloomBase

/// Collects a column of values in PostgreSQL's array form, so that one statement writes all rows.
///
/// postgresql.org/docs/15/arrays.html §8.15.6.
struct PostgresArray {
  private var text = "{"

  mutating func add(_ value: Int64) { element("\(value)") }

  mutating func add(_ value: Int64?) { element(value.map { "\($0)" } ?? "NULL") }

  mutating func add(_ value: String) {
    var quoted = "\""
    for scalar in value.unicodeScalars {
      if scalar == "\"" || scalar == "\\" { quoted += "\\" }
      quoted.unicodeScalars.append(scalar)
    }
    element(quoted + "\"")
  }

  mutating func add(_ value: [UInt8]) { element("\"\\\\x" + Hex.encode(value) + "\"") }

  var value: PostgresValue { .text(text + "}") }

  private mutating func element(_ element: String) {
    if text.utf8.count > 1 { text += "," }
    text += element
  }
}
