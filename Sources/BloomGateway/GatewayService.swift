package import BloomBase
package import BloomClient
package import BloomNet

/// The local gateway: every dialect's routes over one inference service, behind the access rule.
package struct GatewayService: Sendable {
  /// The server, for its bound addresses.
  package let server: HTTPServer

  /// Builds the service; nothing is opened before ``run()``.
  ///
  /// - Parameters:
  ///   - listen: Loopback by default: prompts are in clear between the program and the gateway.
  ///   - access: Who may use it.
  ///   - service: Where answers come from.
  ///   - metrics: What `/metrics` prints; the gateway adds its own.
  ///   - time: The machine's clocks.
  ///   - loops: Where connections live.
  package init(
    listen: [HTTPServer.Listen], access: LocalAccess, service: any InferenceService,
    metrics: MetricsRegistry = MetricsRegistry(), time: any TimeSource = SystemTime(),
    loops: EventLoopGroup = .shared
  ) {
    let router = GatewayRouter.make(
      service: service, access: access, metrics: metrics, time: time)
    var configuration = HTTPServer.Configuration()
    configuration.listen = listen
    server = HTTPServer(configuration, group: loops, responder: router)
  }

  /// Serves until cancelled, then drains.
  package func run() async throws { try await server.run() }
}
