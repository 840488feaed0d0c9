import BloomBase
import BloomNet
import Testing

@Suite struct EventLoopTests {
  func isHere(_ loop: EventLoop) async -> Bool { loop.isCurrent }
  @concurrent func isHereConcurrently(_ loop: EventLoop) async -> Bool { loop.isCurrent }

  @Test func `an operation runs on its loop wherever the caller is`() async throws {
    let loop = EventLoopGroup.shared.loops[0]
    let facts = try await loop.run {
      [loop.isCurrent, await isHere(loop), await isHereConcurrently(loop), loop.isCurrent]
    }
    #expect(facts == [true, true, true, true])
    #expect(!loop.isCurrent)
  }
}
