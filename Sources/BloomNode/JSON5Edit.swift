internal import BloomBase

/// Changes one value in the text of a JSON5 document and leaves comments and spaces alone; pure.
enum JSON5Edit: Sendable {
  /// Replaces a top-level member's value, or adds the member first.
  ///
  /// - Parameters:
  ///   - name: The member, an identifier.
  ///   - value: JSON5 text.
  ///   - text: A document whose value is an object.
  /// - Returns: The new document.
  /// - Throws: `ConfigurationError` when the document cannot be read.
  static func replacing(
    _ name: String, with value: String, in text: String
  ) throws(ConfigurationError) -> String {
    guard case .object(let members) = try JSON5(parsing: text).kind else {
      throw ConfigurationError("line 1: the document must be an object")
    }
    var scanner = Scanner(Array(text.unicodeScalars))
    guard let open = scanner.find("{") else { return text }
    var result = String.UnicodeScalarView()
    let scalars = scanner.scalars
    guard members.contains(where: { $0.name == name }), let range = scanner.value(of: name) else {
      result.append(contentsOf: scalars[...open])
      result.append(contentsOf: "\n  \(name): \(value),".unicodeScalars)
      result.append(contentsOf: scalars[(open + 1)...])
      return String(result)
    }
    result.append(contentsOf: scalars[..<range.lowerBound])
    result.append(contentsOf: value.unicodeScalars)
    result.append(contentsOf: scalars[range.upperBound...])
    return String(result)
  }

  /// Walks a document that the parser has accepted.
  private struct Scanner {
    let scalars: [Unicode.Scalar]
    private var index = 0

    init(_ scalars: [Unicode.Scalar]) { self.scalars = scalars }

    private var peek: Unicode.Scalar? { index < scalars.count ? scalars[index] : nil }

    /// Passes over a comment, a text or one character.
    private mutating func step() {
      let next = index + 1 < scalars.count ? scalars[index + 1] : nil
      switch (scalars[index], next) {
      case ("/", "/"):
        while let scalar = peek, scalar != "\n", scalar != "\r" { index += 1 }
      case ("/", "*"):
        index += 2
        while index + 1 < scalars.count, (scalars[index], scalars[index + 1]) != ("*", "/") {
          index += 1
        }
        index = min(scalars.count, index + 2)
      case ("\"", _), ("'", _):
        let quote = scalars[index]
        index += 1
        while let scalar = peek, scalar != quote { index += scalar == "\\" ? 2 : 1 }
        index += 1
      default: index += 1
      }
    }

    /// The first place of a character outside comments and texts.
    mutating func find(_ wanted: Unicode.Scalar) -> Int? {
      while let scalar = peek {
        if scalar == wanted, !isComment { return index }
        step()
      }
      return nil
    }

    private var isComment: Bool {
      peek == "/" && index + 1 < scalars.count
        && (scalars[index + 1] == "/" || scalars[index + 1] == "*")
    }

    /// The text of a top-level member's value; the scanner stands at the document's brace.
    mutating func value(of name: String) -> Range<Int>? {
      var depth = 0
      var word = ""
      while let scalar = peek {
        if isComment {
          step()
          continue
        }
        switch scalar {
        case "{", "[":
          depth += 1
          index += 1
        case "}", "]":
          depth -= 1
          index += 1
        case ",":
          word = ""
          index += 1
        case ":" where depth == 1 && word == name:
          index += 1
          return span()
        case "\"", "'":
          let start = index
          step()
          if depth == 1 {
            word = String(String.UnicodeScalarView(scalars[start + 1..<max(start + 1, index - 1)]))
          }
        default:
          if depth == 1, !scalar.properties.isWhitespace {
            word.unicodeScalars.append(scalar)
          }
          index += 1
        }
        if scalar == "{" || scalar == "}" { word = "" }
      }
      return nil
    }

    /// From the first character of the value to the one after its last.
    private mutating func span() -> Range<Int>? {
      while let scalar = peek, scalar.properties.isWhitespace || isComment { step() }
      let start = index
      var depth = 0
      var end = start
      while let scalar = peek {
        if isComment {
          step()
          continue
        }
        if depth == 0, scalar == "," || scalar == "}" { break }
        if scalar == "{" || scalar == "[" { depth += 1 }
        if scalar == "}" || scalar == "]" { depth -= 1 }
        let isSpace = scalar.properties.isWhitespace
        step()
        if !isSpace { end = index }
      }
      return start..<end
    }
  }
}
