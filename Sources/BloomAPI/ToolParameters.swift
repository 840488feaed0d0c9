internal import BloomWire

/// `tools`, `tool_choice` and `parallel_tool_calls`.
enum ToolParameters {
  static func members(_ root: Field) throws(APIError) -> [JSONValue.Member] {
    var members: [JSONValue.Member] = []
    var names: Set<String> = []
    if let tools = try root.top("tools") {
      var items: [JSONValue] = []
      for tool in try tools.items(0...APILimits.tools) {
        let (name, value) = try check(tool: tool)
        guard names.insert(name).inserted else {
          throw .invalid(tool.path, "'\(tool.path)' has the name of an earlier tool.")
        }
        items.append(value)
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

  private static func check(tool: Field) throws(APIError) -> (String, JSONValue) {
    _ = try tool.required("type").choice(["function"])
    let function = try tool.required("function")
    let name = try function.required("name")
    try checkName(name)
    var members: [JSONValue.Member] = [.init("name", name.value)]
    if let description = try function.optional("description") {
      _ = try description.string()
      members.append(.init("description", description.value))
    }
    if let parameters = try function.optional("parameters") {
      _ = try parameters.members()
      members.append(.init("parameters", parameters.value))
    } else {
      members.append(
        .init("parameters", .members(["type": .string("object"), "properties": .object([])])))
    }
    if let strict = try function.optional("strict") { _ = try strict.bool() }
    return (
      try name.string(),
      .members(["type": .string("function"), "function": .object(members)])
    )
  }

  private static func check(choice: Field, names: Set<String>) throws(APIError) -> JSONValue {
    if case .string = choice.value {
      let word = try choice.choice(["none", "auto", "required"])
      guard word != "required" || !names.isEmpty else {
        throw .invalid("tool_choice", "'tool_choice' is only allowed when 'tools' are specified.")
      }
      return choice.value
    }
    _ = try choice.required("type").choice(["function"])
    let name = try choice.required("function").required("name")
    guard names.contains(try name.string()) else {
      throw .invalid("tool_choice", "'tool_choice' names a function that 'tools' does not have.")
    }
    return .members([
      "type": .string("function"), "function": .members(["name": name.value]),
    ])
  }
}
