import BloomBase
import BloomSchedule
import Testing

@testable import BloomCoordinator

/// What a machine's score is made of in the service, where facts come from manifests and links.
@Suite(.serialized) struct ScoreTests {
  private func score(_ test: TestCoordinator, _ node: FakeNode) async -> TrustScore? {
    await test.service.hub.scheduler.trustScore(of: node.machine.node)
  }

  @Test(arguments: [true, false])
  func `a listed model's weights make measured work capability, an unlisted one's do not`(
    isListed: Bool
  ) async throws {
    try await withCoordinator(
      [.answer(tokens: 20)], manifests: isListed ? [Machine.manifest] : []
    ) { test, nodes in
      #expect(await score(test, nodes[0])?.capability == 0)
      let sealed = try test.seal(newAnswer(), to: [nodes[0].machine])
      #expect(try await test.ask(sealed).isFinished)
      let after = await score(test, nodes[0])
      let capability = try #require(after?.capability)
      // One GiB, read for each token at the least speed that the claim stands for.
      #expect(isListed ? capability > 0.05 : capability == 0)
    }
  }
}
