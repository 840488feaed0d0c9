import BloomNet
import BloomPlatform
import Testing

/// Real processes that are killed, frozen and restarted under running answers: the small suite.
@Suite(.serialized, .timeLimit(.minutes(5))) struct SmallChaosTests {
  private func run(_ arguments: [String]) async throws {
    var options = Subprocess.Options(
      "\(ProcessEnvironment.programFolder)/bloom-chaos", arguments)
    options.inheritsOutput = true
    let process = try await Subprocess.start(options)
    #expect(try await process.exit() == Subprocess.Exit(code: 0, signal: 0))
  }

  @Test func `no token is lost or doubled while machines and the coordinator are killed`()
    async throws
  {
    try await run(["--small"])
  }

  /// Schemas, two choices, log-probabilities and stop texts, computed by the bundled model.
  @Test(.enabled(if: ProcessEnvironment.current["DARKBLOOM_DEEP"] == "1"))
  func `answers of the real engine stay the same while its machines are killed`() async throws {
    try await run(["--streams", "80", "--real", "40"])
  }
}
