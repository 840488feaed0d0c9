import BloomNet
import BloomPlatform
import Testing

/// Real processes that are killed, frozen and restarted under running answers: the small suite.
@Suite(.timeLimit(.minutes(3))) struct SmallChaosTests {
  @Test func `no token is lost or doubled while machines and the coordinator are killed`()
    async throws
  {
    let process = try await Subprocess.start(
      .init("\(ProcessEnvironment.programFolder)/bloom-chaos", ["--small"]))
    #expect(try await process.exit() == Subprocess.Exit(code: 0, signal: 0))
  }
}
