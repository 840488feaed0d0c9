import BloomBase

/// Configuration text gives values or an error that names a line, never a trap.
func fuzz(_ input: [UInt8]) {
  let text = String(decoding: input, as: UTF8.self)
  do throws(ConfigurationError) {
    let document = try JSON5(parsing: text)
    require(document.line >= 1, "a value has no line")
    let lines = text.unicodeScalars.count { $0 == "\n" } + 1
    require(document.line <= lines, "a value is beyond the last line")
  } catch {
    require(error.publicDescription.hasPrefix("line "), "an error names no line")
  }
}
