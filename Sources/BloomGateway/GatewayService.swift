package import BloomBase
package import BloomClient
package import BloomNet

/// The local gateway: every dialect's routes over one inference service, behind the access rule.
package struct GatewayService: Sendable {
  /// The server, for its bound addresses.
  package let server: HTTPServer
  private let tap: WireTap?

  /// Builds the service; nothing is opened before ``run()``.
  ///
  /// - Parameters:
  ///   - settings: Where it listens and how long things may take.
  ///   - access: Who may use it.
  ///   - service: Where answers come from.
  ///   - metrics: What `/metrics` prints; the gateway adds its own.
  ///   - time: The machine's clocks.
  ///   - tap: What the coordinator was shown; `nil` when nobody notes it.
  ///   - loops: Where connections live.
  package init(
    settings: GatewaySettings, access: LocalAccess, service: any InferenceService,
    metrics: MetricsRegistry = MetricsRegistry(), time: any TimeSource = SystemTime(),
    tap: WireTap? = nil, loops: EventLoopGroup = .shared
  ) {
    self.tap = tap
    let pause = settings.keepAliveSeconds
    let router = GatewayRouter.make(
      service: service, access: access, metrics: metrics, time: time,
      keepAlive: pause > 0 ? .seconds(pause) : nil, tap: tap)
    server = HTTPServer(settings.server, group: loops, responder: router)
  }

  /// Serves until cancelled, then drains.
  package func run() async throws {
    try await withTaskCancellationHandler {
      try await server.run()
    } onCancel: {
      tap?.close()
    }
  }
}
