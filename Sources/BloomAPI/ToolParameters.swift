internal import BloomWire

/// `tools`, `tool_choice` and `parallel_tool_calls`.
enum ToolParameters {
  static func members(_ root: Field) throws(APIError) -> [JSONValue.Member] {
    var members: [JSONValue.Member] = []
    var names: Set<String> = []
    if let tools = try root.top("tools") {
      var items: [JSONValue] = []
      for tool in try tools.items(0...APILimits.tools) {
        items.append(try check(tool: tool, names: &names))
      }
      if !items.isEmpty { members.append(.init("tools", .array(items))) }
    }
    if let choice = try root.top("tool_choice") {
      members.append(.init("tool_choice", try check(choice: choice, names: names)))
    }
    if let parallel = try root.top("parallel_tool_calls") {
      members.append(.init("parallel_tool_calls", .bool(try parallel.bool())))
    }
    return members
  }

  /// OpenAI's rule for names of functions and schemas.
  static func checkName(_ field: Field) throws(APIError) {
    let name = try field.string()
    let isValid =
      (1...64).contains(name.utf8.count)
      && name.utf8.allSatisfy { byte in
        switch byte {
        case 0x30...0x39, 0x41...0x5a, 0x61...0x7a, 0x5f, 0x2d: true
        default: false
        }
      }
    guard isValid else {
      throw .invalid(
        field.path, "Invalid '\(field.path)': expected 1 to 64 of a-z, A-Z, 0-9, '_' and '-'.")
    }
  }

  /// Checks a tool's name, which no earlier tool may have.
  static func take(
    name: Field, of tool: Field, into names: inout Set<String>
  ) throws(APIError) {
    try checkName(name)
    guard try names.insert(name.string()).inserted else {
      throw .invalid(tool.path, "'\(tool.path)' has the name of an earlier tool.")
    }
  }

  private static func check(
    tool: Field, names: inout Set<String>
  ) throws(APIError) -> JSONValue {
    _ = try tool.required("type").choice(["function"])
    let function = try tool.required("function")
    let name = try function.required("name")
    try take(name: name, of: tool, into: &names)
    return try self.function(
      name: name, description: try function.optional("description"),
      parameters: try function.optional("parameters"), strict: try function.optional("strict"))
  }

  /// One tool in chat's shape; the name must have been checked.
  static func function(
    name: Field, description: Field?, parameters: Field?, strict: Field? = nil
  ) throws(APIError) -> JSONValue {
    var members: [JSONValue.Member] = [.init("name", name.value)]
    if let description {
      _ = try description.string()
      members.append(.init("description", description.value))
    }
    if let parameters {
      _ = try parameters.members()
      members.append(.init("parameters", parameters.value))
    } else {
      members.append(
        .init("parameters", .members(["type": .string("object"), "properties": .object([])])))
    }
    if let strict { _ = try strict.bool() }
    return .members(["type": .string("function"), "function": .object(members)])
  }

  /// One call in chat's shape.
  static func call(id: String, name: JSONValue, arguments: JSONValue) -> JSONValue {
    .members([
      "id": .string(id), "type": .string("function"),
      "function": .members(["name": name, "arguments": arguments]),
    ])
  }

  /// A choice of one function, in chat's shape.
  static func choice(of name: Field, names: Set<String>) throws(APIError) -> JSONValue {
    guard names.contains(try name.string()) else {
      throw .invalid("tool_choice", "'tool_choice' names a function that 'tools' does not have.")
    }
    return .members(["type": .string("function"), "function": .members(["name": name.value])])
  }

  /// A choice by word.
  static func check(word: Field, names: Set<String>) throws(APIError) -> JSONValue {
    let text = try word.choice(["none", "auto", "required"])
    guard text != "required" || !names.isEmpty else {
      throw .invalid("tool_choice", "'tool_choice' is only allowed when 'tools' are specified.")
    }
    return word.value
  }

  private static func check(choice: Field, names: Set<String>) throws(APIError) -> JSONValue {
    if case .string = choice.value { return try check(word: choice, names: names) }
    _ = try choice.required("type").choice(["function"])
    return try self.choice(of: try choice.required("function").required("name"), names: names)
  }
}
