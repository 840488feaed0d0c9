internal import BloomWire

/// Reads `POST /v1/chat/completions`.
package enum ChatRequest: Sendable {
  /// Checks every parameter and gives the neutral request.
  ///
  /// - Throws: A 400 that names the parameter.
  package static func parse(_ bytes: [UInt8]) throws(APIError) -> InferenceRequest {
    let root = try parseBody(bytes)
    try ParameterTable.chat.check(root)
    return try parse(root)
  }

  static func parse(_ root: Field) throws(APIError) -> InferenceRequest {
    let model = try model(root)
    var body: [JSONValue.Member] = []
    guard let messages = try root.top("messages") else { throw missing("messages") }
    body.append(.init("messages", .array(try Messages.check(messages))))
    let shared = try SamplingParameters(root)
    body += shared.members
    body += try ToolParameters.members(root)
    if let format = try root.top("response_format") {
      body.append(try responseFormat(format))
    }
    if let effort = try root.top("reasoning_effort") {
      _ = try effort.choice(efforts)
      body.append(.init("reasoning_effort", effort.value))
    }
    if let arguments = try root.top("chat_template_kwargs") {
      _ = try arguments.members()
      body.append(.init("chat_template_kwargs", arguments.value))
    }
    if let flag = try root.top("logprobs"), try flag.bool() {
      body.append(.init("logprobs", .bool(true)))
      if let count = try root.top("top_logprobs") {
        body.append(.init("top_logprobs", .integer(try count.integer(0...20))))
      }
    } else if try root.top("top_logprobs") != nil {
      throw .invalid("top_logprobs", "'top_logprobs' needs 'logprobs' to be true.")
    }
    try checkIgnored(root)
    return InferenceRequest(
      kind: .chat, model: model, body: .object(body), isStreaming: shared.isStreaming,
      includesUsage: shared.includesUsage, choices: shared.choices, maxTokens: shared.maxTokens,
      seed: shared.seed, cacheKey: shared.cacheKey)
  }

  /// Types of what has no effect.
  private static func checkIgnored(_ root: Field) throws(APIError) {
    for name in [
      "user", "safety_identifier", "service_tier", "verbosity", "prompt_cache_retention",
    ] {
      if let field = try root.top(name) { _ = try field.string() }
    }
    if let store = try root.top("store") { _ = try store.bool() }
    for name in ["metadata", "prompt_cache_options"] {
      if let field = try root.top(name) { _ = try field.members() }
    }
  }

  static func model(_ root: Field) throws(APIError) -> String {
    guard let field = try root.top("model") else { throw missing("model") }
    let name = try field.string()
    guard (1...256).contains(name.utf8.count) else {
      throw .invalid("model", "Invalid value for 'model': expected 1 to 256 bytes.")
    }
    return name
  }

  static func missing(_ name: String) -> APIError {
    .invalid(
      name, "Missing required parameter: '\(name)'.", code: "missing_required_parameter")
  }

  /// OpenAI's words for how long a model may reason.
  static let efforts = ["none", "minimal", "low", "medium", "high", "xhigh", "max"]

  /// The member that holds an answer to a schema.
  static func schemaFormat(name: JSONValue, schema: JSONValue) -> JSONValue.Member {
    .init(
      "response_format",
      .members([
        "type": .string("json_schema"),
        "json_schema": .members(["name": name, "schema": schema]),
      ]))
  }

  private static func responseFormat(_ field: Field) throws(APIError) -> JSONValue.Member {
    let type = try field.required("type").choice(["text", "json_object", "json_schema"])
    guard type == "json_schema" else {
      return .init("response_format", .members(["type": .string(type)]))
    }
    let format = try field.required("json_schema")
    let name = try format.required("name")
    try ToolParameters.checkName(name)
    let schema = try format.required("schema")
    _ = try schema.members()
    if let strict = try format.optional("strict") { _ = try strict.bool() }
    return schemaFormat(name: name.value, schema: schema.value)
  }
}

extension Field {
  /// A parameter of the body; its path is its name.
  func top(_ name: String) throws(APIError) -> Field? {
    guard let value = value[name], value != .null else { return nil }
    return Field(name, value)
  }
}
