package import BloomBase
package import BloomClient
internal import BloomHTTP
package import BloomNet
internal import BloomWire

/// `/health`, `/livez`, `/readyz` and `/metrics`: no token needed, nothing of users told.
package struct ServiceRoutes: Sendable {
  private let service: any InferenceService
  private let metrics: MetricsRegistry

  /// Creates the endpoints.
  package init(service: any InferenceService, metrics: MetricsRegistry) {
    self.service = service
    self.metrics = metrics
  }

  /// Adds the routes.
  package func add(to router: inout Router) {
    router.get("/livez") { _ in .json(#"{"status":"ok"}"#) }
    for path in ["/health", "/readyz"] { router.get(path) { _ in await ready() } }
    router.get("/metrics") { _ in
      .bytes(Array(metrics.prometheusText.utf8), type: "text/plain; version=0.0.4; charset=utf-8")
    }
  }

  /// Ready when a request could be answered: some verified machine serves some model.
  private func ready() async -> Response {
    do {
      let count = try await service.models().count
      let status = JSONValue.members([
        "status": .string(count > 0 ? "ok" : "no_models"), "models": .integer(count),
      ])
      return .json(status.encoded, status: count > 0 ? .ok : .serviceUnavailable)
    } catch {
      let status = JSONValue.members([
        "status": .string("unavailable"), "reason": .string(error.safeDescription),
      ])
      return .json(status.encoded, status: .serviceUnavailable)
    }
  }
}
