internal import BloomAPI
package import BloomClient
package import BloomNet

/// Anthropic's endpoints of the local gateway.
package struct AnthropicRoutes: Sendable {
  private let service: any InferenceService

  /// Creates the endpoints over a service.
  package init(service: any InferenceService) { self.service = service }

  /// Adds the routes.
  package func add(to router: inout Router) {
    router.post("/v1/messages") { request in
      try await GatewayErrors.anthropic {
        let (message, showsThinking) = try AnthropicRequest.parse(
          try await OpenAIRoutes.body(of: request))
        return try await AnswerResponse.make(service, message) { header in
          AnthropicStream(header: header, showsThinking: showsThinking)
        } whole: { header, choices, usage in
          AnthropicAnswer.body(
            header: header, choice: choices[0], usage: usage, showsThinking: showsThinking)
        }
      }
    }
    router.post("/v1/messages/count_tokens") { request in
      try await GatewayErrors.anthropic {
        _ = try AnthropicRequest.parseCount(try await OpenAIRoutes.body(of: request))
        // An estimate would look like a count: programs cut their prompts by it.
        throw APIError(
          status: 501, type: "invalid_request_error", code: "unsupported",
          message: "count_tokens is not offered: only the sealed machine has the model's tokenizer;"
            + " 'usage' of an answer has the exact count.")
      }
    }
  }
}
