internal import BloomWire

/// A JSON value with its path, so that an error names what is wrong.
struct Field {
  let path: String
  let value: JSONValue

  init(_ path: String, _ value: JSONValue) {
    self.path = path
    self.value = value
  }

  func string() throws(APIError) -> String {
    guard let text = value.string else { throw .wrongType(path, expected: "a string") }
    return text
  }

  /// A text that ends an answer, of a length that machines take.
  func stopText() throws(APIError) -> JSONValue {
    guard try (1...APILimits.stopBytes).contains(string().utf8.count) else {
      throw .invalid(
        path, "Invalid value for '\(path)': expected 1 to \(APILimits.stopBytes) bytes.")
    }
    return value
  }

  func bool() throws(APIError) -> Bool {
    guard let flag = value.bool else { throw .wrongType(path, expected: "a boolean") }
    return flag
  }

  func integer(_ range: ClosedRange<Int64>) throws(APIError) -> Int64 {
    guard let number = value.integer else { throw .wrongType(path, expected: "an integer") }
    guard range.contains(number) else {
      throw .invalid(
        path,
        "Invalid value for '\(path)': expected \(range.lowerBound) to \(range.upperBound).")
    }
    return number
  }

  func number(_ range: ClosedRange<Double>) throws(APIError) -> Double {
    guard let number = value.double else { throw .wrongType(path, expected: "a number") }
    guard range.contains(number) else {
      throw .invalid(
        path,
        "Invalid value for '\(path)': expected \(range.lowerBound) to \(range.upperBound).")
    }
    return number
  }

  func items(_ count: ClosedRange<Int>) throws(APIError) -> [Field] {
    guard let items = value.items else { throw .wrongType(path, expected: "an array") }
    guard count.contains(items.count) else {
      throw .invalid(
        path,
        "Invalid length of '\(path)': expected \(count.lowerBound) to \(count.upperBound) items.",
        code: items.count < count.lowerBound ? "array_too_short" : "array_above_max_length")
    }
    return items.enumerated().map { Field("\(path)[\($0.offset)]", $0.element) }
  }

  func members() throws(APIError) -> [JSONValue.Member] {
    guard let members = value.members else { throw .wrongType(path, expected: "an object") }
    return members
  }

  /// A member that must be there.
  func required(_ name: String) throws(APIError) -> Field {
    guard let field = try optional(name) else {
      throw .invalid(
        "\(path).\(name)", "Missing required parameter: '\(path).\(name)'.",
        code: "missing_required_parameter")
    }
    return field
  }

  /// A member that may be absent or null.
  func optional(_ name: String) throws(APIError) -> Field? {
    guard value.members != nil else { throw .wrongType(path, expected: "an object") }
    guard let member = value[name], member != .null else { return nil }
    return Field("\(path).\(name)", member)
  }

  /// One of a few words.
  func choice(_ words: [String]) throws(APIError) -> String {
    let text = try string()
    guard words.contains(text) else {
      let list = words.map { "'\($0)'" }.joined(separator: ", ")
      throw .invalid(path, "Invalid value for '\(path)': supported values are \(list).")
    }
    return text
  }
}
