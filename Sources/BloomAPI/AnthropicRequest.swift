internal import BloomWire

/// Reads Anthropic's `POST /v1/messages` and translates it to the chat form.
package enum AnthropicRequest: Sendable {
  /// Checks every parameter and gives the neutral request and whether thinking was asked for.
  ///
  /// - Throws: A 400 that names the parameter.
  package static func parse(
    _ bytes: [UInt8]
  ) throws(APIError) -> (request: InferenceRequest, showsThinking: Bool) {
    let root = try parseBody(bytes)
    try ParameterTable.messages.check(root)
    let model = try ChatRequest.model(root)
    guard let limit = try root.top("max_tokens") else { throw ChatRequest.missing("max_tokens") }
    let maxTokens = Int(try limit.integer(1...APILimits.outputTokens))
    var body = try prompt(root)
    body.append(.init("max_tokens", .integer(maxTokens)))
    body += try sampling(root)
    let (thinking, showsThinking) = try thinking(root, maxTokens: maxTokens)
    body += thinking
    body += try output(root, hasEffort: thinking.contains { $0.name == "reasoning_effort" })
    try checkIgnored(root)
    let request = InferenceRequest(
      kind: .chat, model: model, body: .object(body),
      isStreaming: try root.top("stream")?.bool() ?? false, maxTokens: maxTokens)
    return (request, showsThinking)
  }

  /// Reads `POST /v1/messages/count_tokens`: the prompt as a message's, to be counted only.
  ///
  /// - Throws: A 400 that names the parameter.
  package static func parseCount(_ bytes: [UInt8]) throws(APIError) -> InferenceRequest {
    let root = try parseBody(bytes)
    try ParameterTable.countTokens.check(root)
    let model = try ChatRequest.model(root)
    var body = try prompt(root)
    let (thinking, _) = try thinking(root, maxTokens: Int(APILimits.outputTokens))
    body += thinking
    body += try output(root, hasEffort: thinking.contains { $0.name == "reasoning_effort" })
    try checkIgnored(root)
    return InferenceRequest(kind: .count, model: model, body: .object(body))
  }

  /// Types of what has no effect.
  private static func checkIgnored(_ root: Field) throws(APIError) {
    for name in ["metadata", "diagnostics", "cache_control", "context_management"] {
      if let field = try root.top(name) { _ = try field.members() }
    }
    if let speed = try root.top("speed") { _ = try speed.choice(["standard", "fast"]) }
    if let tier = try root.top("service_tier") { _ = try tier.choice(["auto", "standard_only"]) }
  }

  /// Everything that becomes part of the prompt.
  private static func prompt(_ root: Field) throws(APIError) -> [JSONValue.Member] {
    var messages: [JSONValue] = []
    if let system = try root.top("system") {
      messages.append(
        .members([
          "role": .string("system"), "content": try AnthropicMessages.text(system),
        ]))
    }
    guard let field = try root.top("messages") else { throw ChatRequest.missing("messages") }
    messages += try AnthropicMessages.messages(field)
    return [.init("messages", .array(messages))] + (try tools(root))
  }

  private static func sampling(_ root: Field) throws(APIError) -> [JSONValue.Member] {
    var members: [JSONValue.Member] = []
    for name in ["temperature", "top_p"] {
      guard let field = try root.top(name) else { continue }
      _ = try field.number(0...1)
      members.append(.init(name, field.value))
    }
    if let field = try root.top("top_k") {
      members.append(.init("top_k", .integer(try field.integer(0...1_000_000))))
    }
    if let field = try root.top("stop_sequences") {
      var stops: [JSONValue] = []
      for item in try field.items(0...APILimits.stops) { stops.append(try item.stopText()) }
      if !stops.isEmpty { members.append(.init("stop", .array(stops))) }
    }
    return members
  }

  // MARK: Tools

  private static func tools(_ root: Field) throws(APIError) -> [JSONValue.Member] {
    var members: [JSONValue.Member] = []
    var names: Set<String> = []
    if let tools = try root.top("tools") {
      var items: [JSONValue] = []
      for tool in try tools.items(0...APILimits.tools) {
        if let type = try tool.optional("type"), try type.string() != "custom" {
          throw .invalid(
            type.path, "'\(type.path)' must be 'custom': no other tool is offered.",
            code: "unsupported_value")
        }
        let name = try tool.required("name")
        try ToolParameters.take(name: name, of: tool, into: &names)
        items.append(
          try ToolParameters.function(
            name: name, description: try tool.optional("description"),
            parameters: try tool.required("input_schema"), strict: try tool.optional("strict")))
      }
      if !items.isEmpty { members.append(.init("tools", .array(items))) }
    }
    guard let choice = try root.top("tool_choice") else { return members }
    let type = try choice.required("type").choice(["auto", "any", "tool", "none"])
    guard type == "auto" || type == "none" || !names.isEmpty else {
      throw .invalid("tool_choice", "'tool_choice' is only allowed when 'tools' are specified.")
    }
    let value: JSONValue =
      switch type {
      case "tool": try ToolParameters.choice(of: try choice.required("name"), names: names)
      case "any": .string("required")
      default: .string(type)
      }
    members.append(.init("tool_choice", value))
    if let flag = try choice.optional("disable_parallel_tool_use") {
      members.append(.init("parallel_tool_calls", .bool(!(try flag.bool()))))
    }
    return members
  }

  // MARK: Thinking

  private static func thinking(
    _ root: Field, maxTokens: Int
  ) throws(APIError) -> (members: [JSONValue.Member], isShown: Bool) {
    let off: [JSONValue.Member] = [.init("reasoning_effort", .string("none"))]
    guard let thinking = try root.top("thinking") else { return (off, false) }
    let isShown = try thinking.optional("display").map { field throws(APIError) in
      try field.choice(["summarized", "omitted"]) == "summarized"
    }
    switch try thinking.required("type").choice([
      "enabled", "disabled", "adaptive", "between_tools",
    ]) {
    case "disabled": return (off, false)
    case "adaptive", "between_tools": return ([], isShown ?? true)
    default:
      let budget = try thinking.required("budget_tokens").integer(1...APILimits.outputTokens)
      guard budget < maxTokens else {
        throw .invalid(
          "thinking.budget_tokens", "'thinking.budget_tokens' must be less than 'max_tokens'.")
      }
      return ([.init("reasoning_tokens", .integer(budget))], isShown ?? true)
    }
  }

  private static func output(
    _ root: Field, hasEffort: Bool
  ) throws(APIError) -> [JSONValue.Member] {
    guard let output = try root.top("output_config") else { return [] }
    var members: [JSONValue.Member] = []
    if let effort = try output.optional("effort") {
      _ = try effort.choice(["low", "medium", "high", "xhigh", "max"])
      if !hasEffort { members.append(.init("reasoning_effort", effort.value)) }
    }
    if let format = try output.optional("format") {
      _ = try format.required("type").choice(["json_schema"])
      let schema = try format.required("schema")
      _ = try schema.members()
      members.append(ChatRequest.schemaFormat(name: .string("output"), schema: schema.value))
    }
    return members
  }
}
