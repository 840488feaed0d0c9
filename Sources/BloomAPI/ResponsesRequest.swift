internal import BloomWire

/// Reads `POST /v1/responses` and translates it to the chat form.
package enum ResponsesRequest: Sendable {
  /// What a response object repeats of its request.
  package struct Echo: Sendable {
    /// Members of the response object, in OpenAI's order, without those that an answer sets.
    let members: [JSONValue.Member]
    /// Whether the client asked for summaries: reasoning is then sent as one.
    let wantsSummary: Bool
  }

  /// Checks every parameter and gives the neutral request and what its response repeats.
  ///
  /// - Throws: A 400 that names the parameter.
  package static func parse(
    _ bytes: [UInt8]
  ) throws(APIError) -> (request: InferenceRequest, echo: Echo) {
    let root = try parseBody(bytes)
    try ParameterTable.responses.check(root)
    let model = try ChatRequest.model(root)
    var messages: [JSONValue] = []
    if let instructions = try root.top("instructions") {
      _ = try instructions.string()
      messages.append(.members(["role": .string("system"), "content": instructions.value]))
    }
    guard let input = try root.top("input") else { throw ChatRequest.missing("input") }
    messages += try ResponsesInput.messages(input)
    var body: [JSONValue.Member] = [.init("messages", .array(messages))]
    if let field = try root.top("temperature") {
      _ = try field.number(0...2)
      body.append(.init("temperature", field.value))
    }
    if let field = try root.top("top_p") {
      _ = try field.number(0...1)
      body.append(.init("top_p", field.value))
    }
    let maxTokens = try root.top("max_output_tokens")?.integer(1...APILimits.outputTokens)
    if let maxTokens { body.append(.init("max_tokens", .integer(maxTokens))) }
    body += try tools(root)
    body += try text(root)
    let (reasoning, wantsSummary) = try reasoning(root)
    body += reasoning
    body += try logprobs(root)
    let isStreaming = try root.top("stream")?.bool() ?? false
    try checkIgnored(root)
    let request = InferenceRequest(
      kind: .chat, model: model, body: .object(body), isStreaming: isStreaming,
      maxTokens: maxTokens.map { Int($0) }, cacheKey: try root.top("prompt_cache_key")?.string())
    return (request, Echo(members: try echo(root), wantsSummary: wantsSummary))
  }

  // MARK: Tools

  /// Responses' tools are flat; chat's hold a `function`.
  private static func tools(_ root: Field) throws(APIError) -> [JSONValue.Member] {
    var members: [JSONValue.Member] = []
    var names: Set<String> = []
    if let tools = try root.top("tools") {
      var items: [JSONValue] = []
      for tool in try tools.items(0...APILimits.tools) {
        try checkIsFunction(tool)
        let name = try tool.required("name")
        try ToolParameters.take(name: name, of: tool, into: &names)
        items.append(
          try ToolParameters.function(
            name: name, description: try tool.optional("description"),
            parameters: try tool.optional("parameters"), strict: try tool.optional("strict")))
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

  private static func checkIsFunction(_ tool: Field) throws(APIError) {
    let type = try tool.required("type")
    guard try type.string() == "function" else {
      throw .invalid(
        type.path, "'\(type.path)' must be 'function': no other tool runs on the server.",
        code: "unsupported_value")
    }
  }

  private static func check(
    choice: Field, names: Set<String>
  ) throws(APIError) -> JSONValue {
    if case .string = choice.value {
      return try ToolParameters.check(word: choice, names: names)
    }
    try checkIsFunction(choice)
    return try ToolParameters.choice(of: try choice.required("name"), names: names)
  }

  // MARK: Text, reasoning, log-probabilities

  private static func text(_ root: Field) throws(APIError) -> [JSONValue.Member] {
    guard let text = try root.top("text") else { return [] }
    if let verbosity = try text.optional("verbosity") {
      _ = try verbosity.choice(["low", "medium", "high"])
    }
    guard let format = try text.optional("format") else { return [] }
    let type = try format.required("type").choice(["text", "json_object", "json_schema"])
    guard type == "json_schema" else {
      return [.init("response_format", .members(["type": .string(type)]))]
    }
    let name = try format.required("name")
    try ToolParameters.checkName(name)
    let schema = try format.required("schema")
    _ = try schema.members()
    if let strict = try format.optional("strict") { _ = try strict.bool() }
    if let description = try format.optional("description") { _ = try description.string() }
    return [ChatRequest.schemaFormat(name: name.value, schema: schema.value)]
  }

  private static func reasoning(
    _ root: Field
  ) throws(APIError) -> (members: [JSONValue.Member], wantsSummary: Bool) {
    guard let reasoning = try root.top("reasoning") else { return ([], false) }
    var members: [JSONValue.Member] = []
    if let effort = try reasoning.optional("effort") {
      _ = try effort.choice(ChatRequest.efforts)
      members.append(.init("reasoning_effort", effort.value))
    }
    var wantsSummary = false
    for name in ["summary", "generate_summary"] {
      guard let summary = try reasoning.optional(name) else { continue }
      _ = try summary.choice(["auto", "concise", "detailed"])
      wantsSummary = true
    }
    return (members, wantsSummary)
  }

  private static func logprobs(_ root: Field) throws(APIError) -> [JSONValue.Member] {
    let known: Set = [
      "message.output_text.logprobs", "reasoning.encrypted_content", "file_search_call.results",
      "web_search_call.results", "web_search_call.action.sources", "code_interpreter_call.outputs",
      "message.input_image.image_url", "computer_call_output.output.image_url",
    ]
    var isWanted = false
    for item in try root.top("include")?.items(0...known.count) ?? [] {
      let name = try item.string()
      guard known.contains(name) else {
        throw .invalid(
          item.path, "Invalid value for '\(item.path)': nothing of that name is known.")
      }
      isWanted = isWanted || name == "message.output_text.logprobs"
    }
    let count = try root.top("top_logprobs")?.integer(0...20)
    guard isWanted || (count ?? 0) > 0 else { return [] }
    return [
      .init("logprobs", .bool(true)), .init("top_logprobs", .integer(count ?? 0)),
    ]
  }

  // MARK: What has no effect

  private static func checkIgnored(_ root: Field) throws(APIError) {
    for name in ["user", "safety_identifier", "service_tier", "prompt_cache_retention"] {
      if let field = try root.top(name) { _ = try field.string() }
    }
    if let store = try root.top("store") { _ = try store.bool() }
    for name in ["stream_options", "prompt_cache_options"] {
      if let options = try root.top(name) { _ = try options.members() }
    }
    if let truncation = try root.top("truncation") {
      _ = try truncation.choice(["auto", "disabled"])
    }
    guard let metadata = try root.top("metadata") else { return }
    let members = try metadata.members()
    guard members.count <= 16 else {
      throw .invalid("metadata", "'metadata' may have at most 16 members.")
    }
    for member in members where member.value.string == nil {
      throw .invalid("metadata", "Values of 'metadata' must be strings.", code: "invalid_type")
    }
  }

  private static func echo(_ root: Field) throws(APIError) -> [JSONValue.Member] {
    let toolsDefault = JSONValue.array([])
    let textDefault = JSONValue.members(["format": .members(["type": .string("text")])])
    let reasoning = root.value["reasoning"]
    let one = JSONValue.integer(1)
    return [
      .init("instructions", root.value["instructions"] ?? .null),
      .init("max_output_tokens", root.value["max_output_tokens"] ?? .null),
      .init("metadata", try root.top("metadata")?.value ?? .object([])),
      .init("parallel_tool_calls", try root.top("parallel_tool_calls")?.value ?? .bool(true)),
      .init("previous_response_id", .null),
      .init(
        "reasoning",
        .members([
          "effort": reasoning?["effort"] ?? .null, "summary": reasoning?["summary"] ?? .null,
        ])),
      .init("store", .bool(false)),
      .init("temperature", try root.top("temperature")?.value ?? one),
      .init("text", try root.top("text")?.value ?? textDefault),
      .init("tool_choice", try root.top("tool_choice")?.value ?? .string("auto")),
      .init("tools", try root.top("tools")?.value ?? toolsDefault),
      .init("top_p", try root.top("top_p")?.value ?? one),
      .init("truncation", .string("disabled")),
      .init("user", root.value["user"] ?? .null),
    ]
  }
}
