import BloomPlatform
import Testing

@Suite struct HardwareFactsTests {
  @Test func `this machine has processors and memory`() {
    let facts = HardwareFacts.current()
    #expect(facts.logicalCores >= 1)
    #expect(facts.memoryBytes > 1 << 20)
    #expect(!facts.architecture.isEmpty)
  }
}
