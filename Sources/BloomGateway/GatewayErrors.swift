internal import BloomAPI
internal import BloomBase
internal import BloomHTTP
internal import BloomNet

/// Turns errors into the body that a dialect's clients parse.
enum GatewayErrors {
  static func openAI(_ body: () async throws -> Response) async throws -> Response {
    try await answer(body) { $0.openAIBody }
  }

  static func anthropic(_ body: () async throws -> Response) async throws -> Response {
    try await answer(body) { $0.anthropicBody }
  }

  static func ollama(_ body: () async throws -> Response) async throws -> Response {
    try await answer(body) { $0.ollamaBody }
  }

  /// The response of an error whose body is written already.
  static func response(_ error: APIError, _ body: [UInt8]) -> Response {
    var response = Response.json(body, status: HTTPStatus(error.status) ?? .internalServerError)
    if let seconds = error.retryAfterSeconds {
      response.headers.add(.retryAfter, HTTPFieldValue(seconds))
    }
    return response
  }

  private static func answer(
    _ body: () async throws -> Response, _ encode: (APIError) -> [UInt8]
  ) async throws -> Response {
    do {
      return try await body()
    } catch let error as APIError {
      return response(error, encode(error))
    } catch let error as NetError where error.code == .tooLarge {
      let error = APIError(
        status: 413, type: "invalid_request_error", code: "request_too_large",
        message: "The request body is larger than \(APILimits.bodyBytes) bytes.")
      return .json(encode(error), status: .contentTooLarge)
    } catch is CancellationError {
      throw CancellationError()
    } catch {
      let error = APIError(
        status: 500, type: "server_error", code: "internal_error",
        message: error.safeDescription)
      return .json(encode(error), status: .internalServerError)
    }
  }
}
