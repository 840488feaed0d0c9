/// A value of a JSON5 document (json5.org), with the place it came from.
public struct JSON5: Sendable, Equatable {
  /// What kind of value it is.
  public indirect enum Kind: Sendable, Equatable {
    /// `null`.
    case null
    /// `true` or `false`.
    case boolean(Bool)
    /// A number without a fraction that fits 64 bits.
    case integer(Int64)
    /// Any other number.
    case number(Double)
    /// A text.
    case string(String)
    /// Values in order.
    case array([JSON5])
    /// Members in order; names are unique.
    case object([Member])
  }

  /// A name and its value.
  public struct Member: Sendable, Equatable {
    /// The name, unescaped.
    public let name: String
    /// The value.
    public let value: JSON5
    /// The line of the name, from 1.
    public let line: Int
  }

  /// The value.
  public let kind: Kind
  /// Its line, from 1.
  public let line: Int

  /// Reads a whole document.
  ///
  /// - Throws: ``ConfigurationError`` with the line of the first mistake.
  public init(parsing text: String) throws(ConfigurationError) {
    var parser = JSON5Parser(text)
    self = try parser.document()
  }

  init(_ kind: Kind, line: Int) {
    self.kind = kind
    self.line = line
  }
}

/// Recursive descent over scalars; depth is limited, so no input can exhaust the stack.
struct JSON5Parser {
  private let scalars: [Unicode.Scalar]
  private var index = 0
  private var line = 1
  private var depth = 0

  init(_ text: String) { scalars = Array(text.unicodeScalars) }

  mutating func document() throws(ConfigurationError) -> JSON5 {
    if peek == "\u{feff}" { index += 1 }
    let value = try value()
    try skipSpace()
    guard peek == nil else { throw error("text after the end of the document") }
    return value
  }

  private var peek: Unicode.Scalar? { index < scalars.count ? scalars[index] : nil }

  private func error(_ what: String) -> ConfigurationError {
    ConfigurationError("line \(line): \(what)")
  }

  private mutating func advance() {
    if peek == "\n" { line += 1 }
    index += 1
  }

  private mutating func skipSpace() throws(ConfigurationError) {
    while let scalar = peek {
      if scalar.properties.isWhitespace || scalar == "\u{feff}" {
        advance()
      } else if scalar == "/", index + 1 < scalars.count, scalars[index + 1] == "/" {
        while let next = peek, next != "\n" { advance() }
      } else if scalar == "/", index + 1 < scalars.count, scalars[index + 1] == "*" {
        let start = line
        index += 2
        while !(peek == "*" && index + 1 < scalars.count && scalars[index + 1] == "/") {
          guard peek != nil else {
            throw ConfigurationError("line \(start): a comment has no end")
          }
          advance()
        }
        index += 2
      } else {
        return
      }
    }
  }

  private mutating func value() throws(ConfigurationError) -> JSON5 {
    try skipSpace()
    let start = line
    switch peek {
    case nil: throw error("a value is missing")
    case "{": return JSON5(.object(try object()), line: start)
    case "[": return JSON5(.array(try array()), line: start)
    case "\"", "'": return JSON5(.string(try string()), line: start)
    default:
      let word = word()
      switch word {
      case "null": return JSON5(.null, line: start)
      case "true": return JSON5(.boolean(true), line: start)
      case "false": return JSON5(.boolean(false), line: start)
      default:
        guard let kind = Self.number(word) else { throw error("this is not a JSON5 value") }
        return JSON5(kind, line: start)
      }
    }
  }

  private mutating func word() -> String {
    var text = String.UnicodeScalarView()
    while let scalar = peek,
      scalar.properties.isAlphabetic || "+-._$0123456789".unicodeScalars.contains(scalar)
    {
      text.append(scalar)
      index += 1
    }
    return String(text)
  }

  private static func number(_ text: String) -> JSON5.Kind? {
    var digits = text[...]
    let isNegative = digits.hasPrefix("-")
    if isNegative || digits.hasPrefix("+") { digits = digits.dropFirst() }
    let sign: Double = isNegative ? -1 : 1
    if digits == "Infinity" { return .number(sign * .infinity) }
    if digits == "NaN" { return .number(.nan) }
    if digits.hasPrefix("0x") || digits.hasPrefix("0X") {
      let rest = digits.dropFirst(2)
      guard rest.first?.isHexDigit == true, let value = Int64(rest, radix: 16) else { return nil }
      return .integer(isNegative ? -value : value)
    }
    guard let first = digits.first, first == "." || first.isASCII && first.isNumber else {
      return nil
    }
    if digits.count > 1, first == "0", digits.dropFirst().first?.isNumber == true { return nil }
    if let value = Int64((isNegative ? "-" : "") + digits) { return .integer(value) }
    let isPlain = digits.allSatisfy { $0.isASCII && ($0.isNumber || "eE+-.".contains($0)) }
    var complete = String(digits)
    if complete.hasPrefix(".") { complete = "0" + complete }
    if complete.hasSuffix(".") { complete += "0" }
    guard isPlain, let value = Double(complete) else { return nil }
    return .number(sign * value)
  }

  private mutating func nested<T>(
    _ body: (inout JSON5Parser) throws(ConfigurationError) -> T
  ) throws(ConfigurationError) -> T {
    depth += 1
    guard depth <= 64 else { throw error("the document is nested too deeply") }
    index += 1
    let result = try body(&self)
    depth -= 1
    return result
  }

  private mutating func object() throws(ConfigurationError) -> [JSON5.Member] {
    try nested { (parser) throws(ConfigurationError) in
      var members: [JSON5.Member] = []
      while true {
        try parser.skipSpace()
        if parser.peek == "}" {
          parser.index += 1
          return members
        }
        let line = parser.line
        let isQuoted = parser.peek == "\"" || parser.peek == "'"
        let name = isQuoted ? try parser.string() : parser.word()
        guard isQuoted || !name.isEmpty else { throw parser.error("a name is missing") }
        guard !members.contains(where: { $0.name == name }) else {
          throw parser.error("\(name) is there twice")
        }
        try parser.skipSpace()
        guard parser.peek == ":" else { throw parser.error("a colon is missing after \(name)") }
        parser.index += 1
        members.append(.init(name: name, value: try parser.value(), line: line))
        try parser.endOfItem("}")
      }
    }
  }

  private mutating func array() throws(ConfigurationError) -> [JSON5] {
    try nested { (parser) throws(ConfigurationError) in
      var values: [JSON5] = []
      while true {
        try parser.skipSpace()
        if parser.peek == "]" {
          parser.index += 1
          return values
        }
        values.append(try parser.value())
        try parser.endOfItem("]")
      }
    }
  }

  private mutating func endOfItem(_ closer: Unicode.Scalar) throws(ConfigurationError) {
    try skipSpace()
    if peek == "," {
      index += 1
    } else if peek != closer {
      throw error("a comma or \(closer) is missing")
    }
  }

  private mutating func string() throws(ConfigurationError) -> String {
    let quote = peek
    index += 1
    var text = String.UnicodeScalarView()
    while let scalar = peek, scalar != quote {
      guard scalar != "\n", scalar != "\r" else { throw error("a text has no end") }
      index += 1
      if scalar == "\\" {
        if let escaped = try escape() { text.append(escaped) }
      } else {
        text.append(scalar)
      }
    }
    guard peek == quote else { throw error("a text has no end") }
    index += 1
    return String(text)
  }

  /// The scalar an escape stands for; `nil` for an escaped line end.
  private mutating func escape() throws(ConfigurationError) -> Unicode.Scalar? {
    guard let scalar = peek else { throw error("a text has no end") }
    advance()
    switch scalar {
    case "n": return "\n"
    case "r": return "\r"
    case "t": return "\t"
    case "b": return "\u{8}"
    case "f": return "\u{c}"
    case "v": return "\u{b}"
    case "0": return "\0"
    case "\n": return nil
    case "\r":
      if peek == "\n" { advance() }
      return nil
    // Two digits are never a surrogate, so there is such a scalar.
    case "x": return Unicode.Scalar(try hexadecimal(2))
    case "u": return try unicode()
    default: return scalar
    }
  }

  /// The scalar of `\uXXXX`, or of two of them that are a pair of surrogates (RFC 8259 §7).
  private mutating func unicode() throws(ConfigurationError) -> Unicode.Scalar {
    var value = try hexadecimal(4)
    if (0xd800...0xdbff).contains(value) {
      guard peek == "\\", index + 1 < scalars.count, scalars[index + 1] == "u" else {
        throw error("an escape is the first half of a pair without the second")
      }
      index += 2
      let second = try hexadecimal(4)
      guard (0xdc00...0xdfff).contains(second) else {
        throw error("an escape is the first half of a pair without the second")
      }
      value = 0x10000 + ((value - 0xd800) << 10) + (second - 0xdc00)
    }
    guard let scalar = Unicode.Scalar(value) else {
      throw error("an escape is the second half of a pair without the first")
    }
    return scalar
  }

  private mutating func hexadecimal(_ count: Int) throws(ConfigurationError) -> UInt32 {
    let digits = String(
      String.UnicodeScalarView(scalars[index..<min(index + count, scalars.count)]))
    // A sign would be read as part of a number.
    guard digits.utf8.count == count, digits.allSatisfy(\.isHexDigit),
      let value = UInt32(digits, radix: 16)
    else { throw error("an escape is malformed") }
    index += count
    return value
  }
}
