import BloomAPI
import BloomBase
import BloomClient
import BloomGateway
import BloomHTTP
import BloomNet
import BloomWire
import Testing

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// The official Python packages against the gateway over loopback, with a scripted service.
///
/// Runs `Tests/Peers/*_client.py` with the Python of `scripts/deps-test`.
@Suite struct PeerTests {
  static let script: [AnswerOutput] = [
    .tokens(TokenFrame(tokens: [1], deltas: [.reasoning("h")])),
    .tokens(TokenFrame(tokens: [2], deltas: [.reasoning("m"), .content("Hel")])),
    .tokens(TokenFrame(tokens: [3], deltas: [.content("lo")])),
    .tokens(
      TokenFrame(tokens: [4], deltas: [.toolCall(index: 0, id: "call_1", name: "f", arguments: "")])
    ),
    .tokens(
      TokenFrame(
        tokens: [5],
        deltas: [
          .toolCall(index: 0, id: nil, name: nil, arguments: #"{"x""#),
          .toolCall(index: 0, id: nil, name: nil, arguments: ":1}"),
        ])),
    .tokens(TokenFrame(tokens: [6], finish: .toolCalls)),
    .finished(Usage(promptTokens: 5, completionTokens: 3, reasoningTokens: 1)),
  ]

  @Test(.timeLimit(.minutes(2)), arguments: ["responses_client.py", "anthropic_client.py"])
  func `the official package understands every answer`(_ peer: String) async throws {
    let root = "/" + #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
    let python =
      ProcessInfo.processInfo.environment["DARKBLOOM_TEST_PYTHON"]
      ?? "\(root)/.build/test-python/bin/python"
    let key = "db-peer-test"
    let docs = "\(root)/docs/api.md"
    let router = GatewayRouter.make(
      service: ScriptedService(.steps(Self.script)), access: LocalAccess(token: key),
      metrics: MetricsRegistry(), time: FixedTime())
    let server = HTTPServer(.init(.tcp(host: "127.0.0.1", port: 0)), responder: router)
    let running = Task { try await server.run() }
    defer { running.cancel() }
    let address = try #require(try await server.boundAddresses().first)
    var options = Subprocess.Options(
      python, ["\(root)/Tests/Peers/\(peer)", "http://\(address)", key, docs])
    options.inheritsOutput = true
    let process = try await Subprocess.start(options)
    #expect(try await process.exit() == Subprocess.Exit(code: 0, signal: 0))
  }
}
