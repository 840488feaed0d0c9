internal import BloomAPI
package import BloomBase
package import BloomClient
internal import BloomHTTP
package import BloomNet

/// Ollama's endpoints of the local gateway.
package struct OllamaRoutes: Sendable {
  private let service: any InferenceService
  private let time: any TimeSource

  /// Creates the endpoints over a service.
  package init(service: any InferenceService, time: any TimeSource) {
    self.service = service
    self.time = time
  }

  /// Adds the routes.
  package func add(to router: inout Router) {
    router.post("/api/chat") { request in
      try await GatewayErrors.ollama {
        try await answer(
          try OllamaRequest.parseChat(try await OpenAIRoutes.body(of: request)), .chat)
      }
    }
    router.post("/api/generate") { request in
      try await GatewayErrors.ollama {
        try await answer(
          try OllamaRequest.parseGenerate(try await OpenAIRoutes.body(of: request)), .generate)
      }
    }
    router.get("/api/tags") { _ in
      try await GatewayErrors.ollama {
        let entries = try await service.models().map { model in
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
    _ task: OllamaRequest.Task, _ endpoint: OllamaStream.Endpoint
  ) async throws -> Response {
    switch task {
    case .load(let model):
      guard try await service.models().contains(where: { $0.name == model }) else {
        throw APIError(
          status: 404, type: "invalid_request_error", code: "model_not_found", parameter: "model",
          message: "The model does not exist, or no verified machine serves it now.")
      }
      let header = AnswerHeader(id: "", created: time.unixTime().seconds, model: model)
      return .json(OllamaStream(header: header, endpoint: endpoint, showsThinking: false).loaded())
    case .answer(let request, let showsThinking):
      return try await AnswerResponse.make(service, request, framing: .lines) { header in
        OllamaStream(header: header, endpoint: endpoint, showsThinking: showsThinking)
      } whole: { header, choices, usage in
        var stream = OllamaStream(
          header: header, endpoint: endpoint, showsThinking: showsThinking)
        return stream.body(choice: choices[0], usage: usage)
      }
    }
  }
}
