internal import BloomWire

/// Reads `POST /v1/completions`.
package enum CompletionRequest: Sendable {
  /// Checks every parameter and gives the neutral request and the text to repeat.
  ///
  /// - Returns: `echo` is the prompt when the client wants it before the answer.
  /// - Throws: A 400 that names the parameter.
  package static func parse(
    _ bytes: [UInt8]
  ) throws(APIError) -> (request: InferenceRequest, echo: String?) {
    let root = try parseBody(bytes)
    try ParameterTable.completions.check(root)
    let model = try ChatRequest.model(root)
    let shared = try SamplingParameters(root)
    guard let prompt = try root.top("prompt") else { throw ChatRequest.missing("prompt") }
    let checked = try check(prompt: prompt)
    var body: [JSONValue.Member] = [.init("prompt", checked)]
    body += shared.members
    if shared.maxTokens == nil { body.append(.init("max_tokens", .integer(16))) }
    if let count = try root.top("logprobs") {
      body.append(.init("logprobs", .integer(try count.integer(0...5))))
    }
    let echo = try echo(root, prompt: checked)
    if let user = try root.top("user") { _ = try user.string() }
    let request = InferenceRequest(
      kind: .completion, model: model, body: .object(body), isStreaming: shared.isStreaming,
      includesUsage: shared.includesUsage, choices: shared.choices,
      maxTokens: shared.maxTokens ?? 16, seed: shared.seed, cacheKey: shared.cacheKey)
    return (request, echo)
  }

  /// The prompt is repeated here, on the device; machines score only what they sample.
  private static func echo(_ root: Field, prompt: JSONValue) throws(APIError) -> String? {
    guard let flag = try root.top("echo"), try flag.bool() else { return nil }
    guard let text = prompt.string else {
      throw .invalid("echo", "'echo' needs a prompt of text.", code: "unsupported_value")
    }
    guard try root.top("logprobs") == nil else {
      throw .invalid("echo", "'echo' is not offered beside 'logprobs'.", code: "unsupported_value")
    }
    return text
  }

  /// One text or one list of token ids; a batch of prompts is several requests.
  private static func check(prompt: Field) throws(APIError) -> JSONValue {
    if case .string = prompt.value { return prompt.value }
    let items = try prompt.items(1...1_000_000)
    if items.count == 1, case .string = items[0].value { return items[0].value }
    if items.count == 1, items[0].value.items != nil { return try tokens(items[0]) }
    if items.contains(where: { $0.value.string != nil || $0.value.items != nil }) {
      throw .invalid("prompt", "'prompt' takes one prompt a request.")
    }
    return try tokens(prompt)
  }

  private static func tokens(_ field: Field) throws(APIError) -> JSONValue {
    let items = try field.items(1...1_000_000)
    for item in items { _ = try item.integer(0...Int64(Int32.max)) }
    return .array(items.map(\.value))
  }
}

/// Reads `POST /v1/embeddings`.
package enum EmbeddingsRequest: Sendable {
  /// How the vectors are written.
  package enum Encoding: String, Sendable {
    /// JSON numbers.
    case float
    /// Little-endian Float32, Base64.
    case base64
  }

  /// Checks every parameter and gives the neutral request and the encoding asked for.
  ///
  /// - Throws: A 400 that names the parameter.
  package static func parse(
    _ bytes: [UInt8]
  ) throws(APIError) -> (request: InferenceRequest, encoding: Encoding) {
    let root = try parseBody(bytes)
    try ParameterTable.embeddings.check(root)
    let model = try ChatRequest.model(root)
    guard let input = try root.top("input") else { throw ChatRequest.missing("input") }
    let inputs = try check(input: input)
    var body: [JSONValue.Member] = [.init("input", .array(inputs))]
    if let dimensions = try root.top("dimensions") {
      body.append(.init("dimensions", .integer(try dimensions.integer(1...65_536))))
    }
    var encoding = Encoding.float
    if let format = try root.top("encoding_format") {
      encoding = try format.choice(["float", "base64"]) == "base64" ? .base64 : .float
    }
    if let user = try root.top("user") { _ = try user.string() }
    let request = InferenceRequest(
      kind: .embeddings, model: model, body: .object(body), choices: inputs.count)
    return (request, encoding)
  }

  private static func check(input: Field) throws(APIError) -> [JSONValue] {
    if case .string(let text) = input.value {
      guard !text.isEmpty else { throw .invalid("input", "'input' cannot be an empty string.") }
      return [input.value]
    }
    let items = try input.items(1...1_000_000)
    if items[0].value.integer != nil {
      for item in items { _ = try item.integer(0...Int64(Int32.max)) }
      return [input.value]
    }
    guard items.count <= APILimits.embeddingInputs else {
      throw .invalid(
        "input", "'input' may have at most \(APILimits.embeddingInputs) items.",
        code: "array_above_max_length")
    }
    for item in items {
      if item.value.items != nil {
        for token in try item.items(1...1_000_000) { _ = try token.integer(0...Int64(Int32.max)) }
      } else {
        guard try !item.string().isEmpty else {
          throw .invalid(item.path, "'\(item.path)' cannot be an empty string.")
        }
      }
    }
    return items.map(\.value)
  }
}
