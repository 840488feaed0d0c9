internal import BloomAPI
internal import BloomBase
internal import BloomClient
internal import BloomHTTP
internal import BloomNet
internal import BloomWire

/// The OpenAI endpoints of the local gateway, thin over an ``InferenceService``.
struct OpenAIRoutes: Sendable {
  private let backend: GatewayBackend
  private let time: any TimeSource

  /// Creates the endpoints over a service.
  init(backend: GatewayBackend, time: any TimeSource) {
    self.backend = backend
    self.time = time
  }

  /// Adds the routes.
  func add(to router: inout Router) {
    router.get("/v1/models") { request in try await models(backend.service(for: request)) }
    router.get("/v1/models/*name") { request in
      try await model(request.parameters["name"] ?? "", backend.service(for: request))
    }
    router.post("/v1/chat/completions") { request in
      try await GatewayErrors.openAI {
        let chat = try ChatRequest.parse(try await Self.body(of: request))
        return try await AnswerResponse.make(backend, for: request, chat) { header in
          ChatStream(
            header: header, choices: chat.choices, includesUsage: chat.includesUsage)
        } whole: { header, choices, usage in
          ChatAnswer.body(header: header, choices: choices, usage: usage)
        }
      }
    }
    router.post("/v1/completions") { request in
      try await GatewayErrors.openAI {
        let (completion, echo) = try CompletionRequest.parse(try await Self.body(of: request))
        return try await AnswerResponse.make(backend, for: request, completion) { header in
          CompletionStream(
            header: header, choices: completion.choices, includesUsage: completion.includesUsage,
            echo: echo)
        } whole: { header, choices, usage in
          CompletionAnswer.body(header: header, choices: choices, usage: usage, echo: echo)
        }
      }
    }
    router.post("/v1/responses") { request in
      try await GatewayErrors.openAI {
        let (response, echo) = try ResponsesRequest.parse(try await Self.body(of: request))
        return try await AnswerResponse.make(backend, for: request, response) { header in
          ResponsesStream(header: header, echo: echo)
        } whole: { header, choices, usage in
          ResponsesAnswer(header: header, echo: echo).body(choice: choices[0], usage: usage)
        }
      }
    }
    router.post("/v1/embeddings") { request in
      try await GatewayErrors.openAI {
        let (embeddings, encoding) = try EmbeddingsRequest.parse(
          try await Self.body(of: request))
        return try await embed(embeddings, encoding, backend.service(for: request))
      }
    }
  }

  static func body(of request: Request) async throws -> [UInt8] {
    try await request.body.collect(upTo: APILimits.bodyBytes)
  }

  // MARK: Models

  private func models(_ service: any InferenceService) async throws -> Response {
    try await GatewayErrors.openAI {
      let entries = try await service.models().map(entry)
      return .json(ModelList.body(entries))
    }
  }

  private func model(
    _ name: String, _ service: any InferenceService
  ) async throws -> Response {
    try await GatewayErrors.openAI {
      guard let model = try await service.models().first(where: { $0.name == name }) else {
        throw APIError(
          status: 404, type: "invalid_request_error", code: "model_not_found", parameter: "model",
          message: "The model does not exist, or no verified machine serves it now.")
      }
      return .json(ModelList.body(entry(model)))
    }
  }

  private func entry(_ model: ServedModel) -> ModelList.Entry {
    ModelList.Entry(
      name: model.name, isChat: model.isChat, created: time.unixTime().seconds, owner: "darkbloom")
  }

  // MARK: Embeddings

  private func embed(
    _ request: InferenceRequest, _ encoding: EmbeddingsRequest.Encoding,
    _ service: any InferenceService
  ) async throws -> Response {
    let answer = try await service.begin(request)
    var vectors = [[Float]?](repeating: nil, count: request.choices)
    while let step = await answer.next() {
      switch step {
      case .embedding(let index, let vector):
        if vectors.indices.contains(index) { vectors[index] = vector }
      case .finished(let usage):
        let complete = vectors.compactMap { $0 }
        guard complete.count == vectors.count else {
          throw APIError(
            status: 502, type: "server_error", code: "incomplete",
            message: "The machine did not return every vector; try again.")
        }
        let body = EmbeddingsAnswer.body(
          model: request.model, vectors: try Self.shortened(complete, for: request),
          promptTokens: usage.promptTokens, encoding: encoding)
        return await AnswerResponse.withFacts(.json(body), answer)
      case .failed(let failure, let sealed):
        throw AnswerTranslation.error(failure, sealed)
      case .tokens, .json: break
      }
    }
    throw CancellationError()
  }

  /// `dimensions`: the first numbers of each vector, at length 1 again.
  private static func shortened(
    _ vectors: [[Float]], for request: InferenceRequest
  ) throws -> [[Float]] {
    guard let count = request.body["dimensions"]?.integer.map({ Int($0) }) else { return vectors }
    return try vectors.map { vector -> [Float] in
      if count == vector.count { return vector }
      guard count < vector.count else {
        throw APIError.invalid(
          "dimensions",
          "Invalid value for 'dimensions': the model's vectors have \(vector.count).")
      }
      let first = vector.prefix(count)
      let length = first.reduce(Float(0)) { $0 + $1 * $1 }.squareRoot()
      return length > 0 ? first.map { $0 / length } : Array(first)
    }
  }
}
