internal import BloomAPI
package import BloomBase
package import BloomClient
internal import BloomHTTP
package import BloomNet

/// Everything the gateway answers, in one place.
package enum GatewayRouter: Sendable {
  /// Makes the router of a gateway.
  ///
  /// - Parameters:
  ///   - service: Gives the answers.
  ///   - access: Who may ask; in front of every path, unknown ones included.
  ///   - metrics: What `/metrics` prints; the gateway adds its own.
  ///   - time: Clocks.
  ///   - keepAlive: The longest silence of a stream; `nil` for any.
  ///   - tap: What the coordinator was shown; `nil` when nobody notes it.
  /// - Returns: The router behind the access rule.
  package static func make(
    service: any InferenceService, access: LocalAccess, metrics: MetricsRegistry,
    time: any TimeSource, keepAlive: Duration? = nil, tap: WireTap? = nil
  ) -> any HTTPResponder {
    let service = MeteredService(service, metrics: metrics, time: time)
    let backend = GatewayBackend(service: service, keys: access.keys, keepAlive: keepAlive)
    var router = Router { _ in
      let error = APIError(
        status: 404, type: "invalid_request_error", code: "unknown_url",
        message: "Unknown request URL; docs/api.md lists the endpoints.")
      return .json(error.openAIBody, status: .notFound)
    }
    OpenAIRoutes(backend: backend, time: time).add(to: &router)
    AnthropicRoutes(backend: backend).add(to: &router)
    OllamaRoutes(backend: backend, time: time).add(to: &router)
    ServiceRoutes(service: service, metrics: metrics).add(to: &router)
    if let tap { WireTapRoutes(tap: tap).add(to: &router) }
    return router.behind(access, ModelNames())
  }
}

/// Clients escape the slashes of a model's name; the router takes no escaped slash anywhere.
private struct ModelNames: Middleware {
  func handle(_ request: Request, next: any HTTPResponder) async throws -> Response {
    guard request.path.hasPrefix("/v1/models/"), request.path.utf8.contains(0x25) else {
      return try await next.respond(to: request)
    }
    var request = request
    var path = request.path
    for escape in ["%2F", "%2f"] {
      path = path.split(separator: escape, omittingEmptySubsequences: false).joined(separator: "/")
    }
    request.head.target = try RequestTarget(origin: path)
    return try await next.respond(to: request)
  }
}
