internal import BloomAPI
internal import BloomClient
internal import BloomNet
internal import BloomWire

/// Anthropic's endpoints of the local gateway.
struct AnthropicRoutes: Sendable {
  private let backend: GatewayBackend

  /// Creates the endpoints over a service.
  init(backend: GatewayBackend) { self.backend = backend }

  /// Adds the routes.
  func add(to router: inout Router) {
    router.post("/v1/messages") { request in
      try await GatewayErrors.anthropic {
        let (message, showsThinking) = try AnthropicRequest.parse(
          try await OpenAIRoutes.body(of: request))
        return try await AnswerResponse.make(backend, for: request, message) { header in
          AnthropicStream(header: header, showsThinking: showsThinking, stops: message.stops)
        } whole: { header, choices, usage in
          AnthropicAnswer.body(
            header: header, choice: choices[0], usage: usage, showsThinking: showsThinking,
            stops: message.stops)
        }
      }
    }
    router.post("/v1/messages/count_tokens") { request in
      try await GatewayErrors.anthropic {
        let prompt = try AnthropicRequest.parseCount(try await OpenAIRoutes.body(of: request))
        return try await count(prompt, backend.service(for: request))
      }
    }
  }

  /// The prompt's tokens, counted by the machine that would answer.
  private func count(
    _ prompt: InferenceRequest, _ service: any InferenceService
  ) async throws -> Response {
    let answer = try await service.begin(prompt)
    while let step = await answer.next() {
      switch step {
      case .finished(let usage):
        return await AnswerResponse.withFacts(
          .json(#"{"input_tokens":\#(usage.promptTokens)}"#), answer)
      case .failed(let failure, let sealed): throw AnswerTranslation.error(failure, sealed)
      case .tokens, .embedding, .json: break
      }
    }
    throw CancellationError()
  }
}
