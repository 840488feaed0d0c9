internal import BloomWire

/// Reads Ollama's `POST /api/chat` and `POST /api/generate`.
package enum OllamaRequest: Sendable {
  /// What a request asks for.
  package enum Task: Sendable {
    /// An answer; `showsThinking` tells whether reasoning is sent.
    case answer(InferenceRequest, showsThinking: Bool)
    /// Nothing: clients load a model with an empty request.
    case load(model: String)
  }

  /// Reads `/api/chat`.
  ///
  /// - Throws: A 400 that names the parameter.
  package static func parseChat(_ bytes: [UInt8]) throws(APIError) -> Task {
    let root = try parseBody(bytes)
    try ParameterTable.ollamaChat.check(root)
    let model = try ChatRequest.model(root)
    guard let field = try root.top("messages"), try !field.items(0...APILimits.messages).isEmpty
    else { return .load(model: model) }
    var body: [JSONValue.Member] = [
      .init("messages", .array(try messages(field)))
    ]
    body += try ToolParameters.members(root)
    return try task(root, model, .chat, body)
  }

  /// Reads `/api/generate`.
  ///
  /// - Throws: A 400 that names the parameter.
  package static func parseGenerate(_ bytes: [UInt8]) throws(APIError) -> Task {
    let root = try parseBody(bytes)
    try ParameterTable.ollamaGenerate.check(root)
    let model = try ChatRequest.model(root)
    let system = try root.top("system")
    _ = try system?.string()
    guard let prompt = try root.top("prompt"), try !prompt.string().isEmpty else {
      return .load(model: model)
    }
    if let raw = try root.top("raw"), try raw.bool() {
      for name in ["system", "format", "think"] where try root.top(name) != nil {
        throw .invalid(name, "'\(name)' is not allowed beside 'raw'.")
      }
      return try task(root, model, .completion, [.init("prompt", prompt.value)])
    }
    var messages: [JSONValue] = []
    if let system {
      messages.append(.members(["role": .string("system"), "content": system.value]))
    }
    messages.append(.members(["role": .string("user"), "content": prompt.value]))
    return try task(root, model, .chat, [.init("messages", .array(messages))])
  }

  private static func task(
    _ root: Field, _ model: String, _ kind: InferenceRequest.Kind, _ start: [JSONValue.Member]
  ) throws(APIError) -> Task {
    let options = try OllamaOptions(root.top("options"))
    var body = start + options.members
    if let format = try root.top("format"), format.value != .string("") {
      body.append(try self.format(format))
    }
    let (thinking, showsThinking) = try think(root)
    if kind == .chat { body += thinking }
    if let keep = try root.top("keep_alive"), keep.value.string == nil, keep.value.double == nil {
      throw .wrongType("keep_alive", expected: "a duration")
    }
    let request = InferenceRequest(
      kind: kind, model: model, body: .object(body),
      isStreaming: try root.top("stream")?.bool() ?? true, maxTokens: options.maxTokens,
      seed: options.seed)
    return .answer(request, showsThinking: showsThinking)
  }

  /// `"json"` or a schema.
  private static func format(_ field: Field) throws(APIError) -> JSONValue.Member {
    if case .string = field.value {
      _ = try field.choice(["json"])
      return .init("response_format", .members(["type": .string("json_object")]))
    }
    _ = try field.members()
    return ChatRequest.schemaFormat(name: .string("output"), schema: field.value)
  }

  /// Absent means that models that can reason do, and that it is shown.
  private static func think(
    _ root: Field
  ) throws(APIError) -> (members: [JSONValue.Member], isShown: Bool) {
    guard let field = try root.top("think") else { return ([], true) }
    if case .string = field.value {
      _ = try field.choice(["low", "medium", "high"])
      return ([.init("reasoning_effort", field.value)], true)
    }
    guard try field.bool() else { return ([.init("reasoning_effort", .string("none"))], false) }
    return ([], true)
  }

  // MARK: Messages

  /// Ollama's calls have no ids and their results name the function: calls are numbered here.
  private static func messages(_ field: Field) throws(APIError) -> [JSONValue] {
    var messages: [JSONValue] = []
    var callCount = 0
    var unanswered: [(id: String, name: String)] = []
    for item in try field.items(1...APILimits.messages) {
      let role = try item.required("role").choice(["system", "user", "assistant", "tool"])
      let content = try item.optional("content")
      _ = try content?.string()
      if let images = try item.optional("images"), try !images.items(0...1024).isEmpty {
        throw .invalid(
          images.path, "'\(images.path)' needs a model that takes more than text.",
          code: "unsupported_content")
      }
      switch role {
      case "assistant":
        var calls: [JSONValue] = []
        for call in try item.optional("tool_calls")?.items(0...APILimits.tools) ?? [] {
          let function = try call.required("function")
          let name = try function.required("name")
          try ToolParameters.checkName(name)
          let arguments = try function.optional("arguments")?.value ?? .object([])
          guard arguments.members != nil else {
            throw .wrongType("\(function.path).arguments", expected: "an object")
          }
          let id = "call_\(callCount)"
          callCount += 1
          unanswered.append((id, try name.string()))
          calls.append(
            ToolParameters.call(
              id: id, name: name.value,
              arguments: .string(String(decoding: arguments.encoded, as: UTF8.self))))
        }
        let reasoning = try item.optional("thinking")?.string() ?? ""
        messages.append(
          Messages.assistant(
            content: content?.value ?? .string(""), reasoning: reasoning, calls: calls))
      case "tool":
        var name = try item.optional("tool_name")?.string()
        if name == nil { name = try item.optional("name")?.string() }
        let place = unanswered.firstIndex { $0.name == name } ?? unanswered.indices.first
        guard let place else {
          throw .invalid(item.path, "'\(item.path)' answers no call of an earlier message.")
        }
        messages.append(
          .members([
            "role": .string("tool"), "content": content?.value ?? .string(""),
            "tool_call_id": .string(unanswered.remove(at: place).id),
          ]))
      default:
        messages.append(
          .members(["role": .string(role), "content": content?.value ?? .string("")]))
      }
    }
    return messages
  }
}
