internal import BloomAPI
internal import BloomBase
internal import BloomClient
internal import BloomHTTP
internal import BloomNet

/// Ollama's endpoints of the local gateway.
struct OllamaRoutes: Sendable {
  private let backend: GatewayBackend
  private let time: any TimeSource

  /// Creates the endpoints over a service.
  init(backend: GatewayBackend, time: any TimeSource) {
    self.backend = backend
    self.time = time
  }

  /// Adds the routes.
  func add(to router: inout Router) {
    router.post("/api/chat") { request in
      try await GatewayErrors.ollama {
        try await answer(
          try OllamaRequest.parseChat(try await OpenAIRoutes.body(of: request)), .chat, request)
      }
    }
    router.post("/api/generate") { request in
      try await GatewayErrors.ollama {
        try await answer(
          try OllamaRequest.parseGenerate(try await OpenAIRoutes.body(of: request)), .generate,
          request)
      }
    }
    router.get("/api/tags") { request in
      try await GatewayErrors.ollama {
        let entries = try await backend.service(for: request).models().map { model in
          let entry = ModelList.Entry(
            name: model.name, isChat: model.isChat, created: time.unixTime().seconds,
            owner: "darkbloom")
          return (entry: entry, digest: model.model.description)
        }
        return .json(OllamaModels.tags(entries))
      }
    }
    router.get("/api/version") { _ in .json(OllamaModels.versionBody) }
  }

  private func answer(
    _ task: OllamaRequest.Task, _ endpoint: OllamaStream.Endpoint, _ program: Request
  ) async throws -> Response {
    switch task {
    case .load(let model):
      let models = try await backend.service(for: program).models()
      guard models.contains(where: { $0.name == model }) else {
        throw APIError(
          status: 404, type: "invalid_request_error", code: "model_not_found", parameter: "model",
          message: "The model does not exist, or no verified machine serves it now.")
      }
      let header = AnswerHeader(id: "", created: time.unixTime().seconds, model: model)
      return .json(OllamaStream(header: header, endpoint: endpoint, showsThinking: false).loaded())
    case .answer(let request, let showsThinking):
      return try await AnswerResponse.make(
        backend, for: program, request, framing: .lines
      ) { header in
        OllamaStream(header: header, endpoint: endpoint, showsThinking: showsThinking)
      } whole: { header, choices, usage in
        var stream = OllamaStream(
          header: header, endpoint: endpoint, showsThinking: showsThinking)
        return stream.body(choice: choices[0], usage: usage)
      }
    }
  }
}
