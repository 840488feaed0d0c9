internal import BloomWire

/// Checks the messages of a chat and gives them in the one form workers render.
enum Messages {
  static func check(_ field: Field) throws(APIError) -> [JSONValue] {
    var messages: [JSONValue] = []
    for item in try field.items(1...APILimits.messages) {
      messages.append(try check(message: item))
    }
    return messages
  }

  private static func check(message: Field) throws(APIError) -> JSONValue {
    let role = try message.required("role")
      .choice(["system", "developer", "user", "assistant", "tool"])
    var members: [JSONValue.Member] = [
      // Templates of open models know `system`; `developer` is OpenAI's newer word for it.
      .init("role", .string(role == "developer" ? "system" : role))
    ]
    if let name = try message.optional("name") {
      _ = try name.string()
      members.append(.init("name", name.value))
    }
    let calls = role == "assistant" ? try message.optional("tool_calls") : nil
    if let content = try message.optional("content") {
      members.append(.init("content", try check(content: content)))
    } else if role == "assistant" {
      let refusal = try message.optional("refusal")
      guard calls != nil || refusal != nil else {
        throw .invalid(
          "\(message.path).content",
          "'\(message.path).content' may be null only beside 'tool_calls'.")
      }
      members.append(.init("content", .null))
    } else {
      _ = try message.required("content")
    }
    if role == "assistant", let reasoning = try message.optional("reasoning_content") {
      _ = try reasoning.string()
      members.append(.init("reasoning_content", reasoning.value))
    }
    if let calls {
      var items: [JSONValue] = []
      for call in try calls.items(1...APILimits.tools) { items.append(try check(call: call)) }
      members.append(.init("tool_calls", .array(items)))
    }
    if role == "tool" {
      let id = try message.required("tool_call_id")
      _ = try id.string()
      members.append(.init("tool_call_id", id.value))
    }
    return .object(members)
  }

  private static func check(content: Field) throws(APIError) -> JSONValue {
    if case .string = content.value { return content.value }
    var parts: [JSONValue] = []
    for part in try content.items(1...1024) {
      let type = try part.required("type").string()
      switch type {
      case "text":
        let text = try part.required("text")
        _ = try text.string()
        parts.append(.members(["type": .string("text"), "text": text.value]))
      case "refusal":
        let text = try part.required("refusal")
        _ = try text.string()
        parts.append(.members(["type": .string("text"), "text": text.value]))
      case "image_url", "input_audio", "file":
        throw .invalid(
          part.path, "'\(part.path)' needs a model that takes more than text.",
          code: "unsupported_content")
      default:
        throw .invalid(
          "\(part.path).type", "Invalid value for '\(part.path).type': supported value is 'text'.")
      }
    }
    return .array(parts)
  }

  private static func check(call: Field) throws(APIError) -> JSONValue {
    let id = try call.required("id")
    _ = try id.string()
    _ = try call.required("type").choice(["function"])
    let function = try call.required("function")
    let name = try function.required("name")
    try ToolParameters.checkName(name)
    let arguments = try function.required("arguments")
    _ = try arguments.string()
    return ToolParameters.call(
      id: try id.string(), name: name.value, arguments: arguments.value)
  }

  /// What the model said in one turn.
  static func assistant(
    content: JSONValue, reasoning: String, calls: [JSONValue]
  ) -> JSONValue {
    var members: [JSONValue.Member] = [
      .init("role", .string("assistant")), .init("content", content),
    ]
    if !reasoning.isEmpty { members.append(.init("reasoning_content", .string(reasoning))) }
    if !calls.isEmpty { members.append(.init("tool_calls", .array(calls))) }
    return .object(members)
  }
}
