import BloomPlatform
import Testing

@Suite struct HardwareFactsTests {
  @Test func `features are sorted, unique and taken from the first processor`() {
    let text = "processor\t: 0\nflags\t\t: sse2 avx avx sse\n\nprocessor\t: 1\nflags\t\t: other\n"
    #expect(HardwareFacts.features(cpuinfo: text) == ["avx", "sse", "sse2"])
    #expect(HardwareFacts.features(cpuinfo: "Features : neon asimd") == ["asimd", "neon"])
    #expect(HardwareFacts.features(cpuinfo: "nothing here") == [])
  }

  @Test func `this machine has processors and memory`() {
    let facts = HardwareFacts.current()
    #expect(facts.logicalCores >= 1)
    #expect(facts.memoryBytes > 1 << 20)
    #expect(facts.featureText.hasPrefix(facts.architecture))
  }
}
