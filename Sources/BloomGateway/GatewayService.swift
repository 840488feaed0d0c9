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
  ///   - time: The machine's clocks.
  ///   - loops: Where connections live.
  package init(
    listen: [HTTPServer.Listen], access: LocalAccess, service: any InferenceService,
    time: any TimeSource = SystemTime(), loops: EventLoopGroup = .shared
  ) {
    var router = Router()
    router.get("/health") { _ in .json(#"{"status":"ok"}"#) }
    OpenAIRoutes(service: service, time: time).add(to: &router)
    var configuration = HTTPServer.Configuration()
    configuration.listen = listen
    server = HTTPServer(configuration, group: loops, responder: router.behind(access))
  }

  /// Serves until cancelled, then drains.
  package func run() async throws { try await server.run() }
}
