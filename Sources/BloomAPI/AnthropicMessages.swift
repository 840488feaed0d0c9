internal import BloomWire

/// Translates Anthropic's messages, whose content is blocks, to chat messages.
enum AnthropicMessages {
  static func messages(_ field: Field) throws(APIError) -> [JSONValue] {
    var messages: [JSONValue] = []
    let items = try field.items(1...APILimits.messages)
    for item in items {
      let isUser = try item.required("role").choice(["user", "assistant"]) == "user"
      messages += try isUser ? user(item) : [assistant(item)]
    }
    guard let last = items.last, try last.required("role").string() == "user" else {
      throw .invalid(
        "messages", "The last message must be the user's: beginning the answer is not offered.",
        code: "unsupported_value")
    }
    return messages
  }

  /// A text or blocks of text.
  static func text(_ field: Field) throws(APIError) -> JSONValue {
    if case .string = field.value { return field.value }
    var parts: [JSONValue] = []
    for block in try field.items(0...1024) { parts.append(try text(block: block)) }
    return parts.isEmpty ? .string("") : .array(parts)
  }

  private static func text(block: Field) throws(APIError) -> JSONValue {
    try checkIsText(block)
    _ = try block.required("type").choice(["text"])
    let text = try block.required("text")
    _ = try text.string()
    return .members(["type": .string("text"), "text": text.value])
  }

  private static func checkIsText(_ block: Field) throws(APIError) {
    let type = try block.required("type").string()
    if ["image", "document", "search_result", "container_upload"].contains(type) {
      throw .invalid(
        block.path, "'\(block.path)' needs a model that takes more than text.",
        code: "unsupported_content")
    }
  }

  /// Results of tools are messages of their own, in the order in which they stand.
  private static func user(_ message: Field) throws(APIError) -> [JSONValue] {
    let content = try message.required("content")
    if case .string = content.value { return [user(content: content.value)] }
    var messages: [JSONValue] = []
    var parts: [JSONValue] = []
    for block in try content.items(1...1024) {
      guard try block.required("type").string() == "tool_result" else {
        parts.append(try text(block: block))
        continue
      }
      if !parts.isEmpty { messages.append(user(content: .array(parts))) }
      parts = []
      messages.append(try result(block))
    }
    if !parts.isEmpty { messages.append(user(content: .array(parts))) }
    return messages
  }

  private static func user(content: JSONValue) -> JSONValue {
    .members(["role": .string("user"), "content": content])
  }

  private static func result(_ block: Field) throws(APIError) -> JSONValue {
    let id = try block.required("tool_use_id")
    _ = try id.string()
    let isError = try block.optional("is_error")?.bool() ?? false
    var content = try block.optional("content").map { field throws(APIError) in try text(field) }
    // Chat templates have no mark for a failure; an empty one must still read as one.
    if isError, content == nil || content == .string("") { content = .string("The tool failed.") }
    return .members([
      "role": .string("tool"), "content": content ?? .string(""), "tool_call_id": id.value,
    ])
  }

  private static func assistant(_ message: Field) throws(APIError) -> JSONValue {
    let content = try message.required("content")
    if case .string = content.value {
      return Messages.assistant(content: content.value, reasoning: "", calls: [])
    }
    var parts: [JSONValue] = []
    var reasoning = ""
    var calls: [JSONValue] = []
    for block in try content.items(1...1024) {
      switch try block.required("type").string() {
      case "thinking": reasoning += try block.required("thinking").string()
      // Made by another service's models: nobody here can read it.
      case "redacted_thinking": _ = try block.required("data").string()
      case "tool_use":
        let name = try block.required("name")
        try ToolParameters.checkName(name)
        let input = try block.required("input")
        _ = try input.members()
        calls.append(
          ToolParameters.call(
            id: try block.required("id").string(), name: name.value,
            arguments: .string(String(decoding: input.value.encoded, as: UTF8.self))))
      default: parts.append(try text(block: block))
      }
    }
    return Messages.assistant(
      content: parts.isEmpty ? (calls.isEmpty ? .string("") : .null) : .array(parts),
      reasoning: reasoning, calls: calls)
  }
}
