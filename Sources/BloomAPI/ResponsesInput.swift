internal import BloomWire

/// Translates the `input` of a Responses request to chat messages.
///
/// What one turn of the model said comes as several items (reasoning, text, calls); chat templates
/// want it as one message.
struct ResponsesInput {
  private var messages: [JSONValue] = []
  private var reasoning = ""
  private var content: JSONValue?
  private var calls: [JSONValue] = []

  static func messages(_ input: Field) throws(APIError) -> [JSONValue] {
    if case .string = input.value {
      return [.members(["role": .string("user"), "content": input.value])]
    }
    var reader = ResponsesInput()
    for item in try input.items(1...APILimits.messages) { try reader.add(item) }
    reader.endTurn()
    return reader.messages
  }

  private mutating func add(_ item: Field) throws(APIError) {
    let type = try item.optional("type")?.string() ?? "message"
    switch type {
    case "message": try addMessage(item)
    case "reasoning": try addReasoning(item)
    case "function_call":
      let name = try item.required("name")
      try ToolParameters.checkName(name)
      let arguments = try item.required("arguments")
      _ = try arguments.string()
      calls.append(
        ToolParameters.call(
          id: try item.required("call_id").string(), name: name.value, arguments: arguments.value))
    case "function_call_output":
      endTurn()
      let id = try item.required("call_id")
      _ = try id.string()
      messages.append(
        .members([
          "role": .string("tool"), "content": try text(try item.required("output"), ["input_text"]),
          "tool_call_id": id.value,
        ]))
    case "item_reference":
      throw .invalid(
        item.path, "'\(item.path)' refers to a stored item, and nothing is stored; send it whole.",
        code: "unsupported_content")
    default:
      throw .invalid(
        "\(item.path).type",
        "Invalid value for '\(item.path).type': supported values are 'message', 'reasoning',"
          + " 'function_call', 'function_call_output'.")
    }
  }

  private mutating func addMessage(_ item: Field) throws(APIError) {
    let role = try item.required("role").choice(["user", "assistant", "system", "developer"])
    let field = try item.required("content")
    guard role == "assistant" else {
      endTurn()
      messages.append(
        .members([
          "role": .string(role == "user" ? "user" : "system"),
          "content": try text(field, ["input_text"]),
        ]))
      return
    }
    if content != nil || !calls.isEmpty { endTurn() }
    content = try text(field, ["output_text", "refusal", "input_text"])
  }

  /// Open models' reasoning comes back as plain text; a summary stands for it when it is all.
  private mutating func addReasoning(_ item: Field) throws(APIError) {
    if content != nil || !calls.isEmpty { endTurn() }
    var texts: [String] = []
    for (name, type) in [("content", "reasoning_text"), ("summary", "summary_text")] {
      guard texts.isEmpty, let parts = try item.optional(name) else { continue }
      for part in try parts.items(0...1024) {
        _ = try part.required("type").choice([type])
        texts.append(try part.required("text").string())
      }
    }
    reasoning += texts.joined(separator: "\n\n")
  }

  private mutating func endTurn() {
    defer {
      reasoning = ""
      content = nil
      calls = []
    }
    guard !reasoning.isEmpty || content != nil || !calls.isEmpty else { return }
    messages.append(
      Messages.assistant(content: content ?? .null, reasoning: reasoning, calls: calls))
  }

  private func text(_ field: Field, _ types: [String]) throws(APIError) -> JSONValue {
    if case .string = field.value { return field.value }
    var parts: [JSONValue] = []
    for part in try field.items(0...1024) {
      let type = try part.required("type").string()
      if ["input_image", "input_file", "input_audio"].contains(type) {
        throw .invalid(
          part.path, "'\(part.path)' needs a model that takes more than text.",
          code: "unsupported_content")
      }
      _ = try part.required("type").choice(types)
      let text = try part.required(type == "refusal" ? "refusal" : "text")
      _ = try text.string()
      parts.append(.members(["type": .string("text"), "text": text.value]))
    }
    return parts.isEmpty ? .string("") : .array(parts)
  }
}
