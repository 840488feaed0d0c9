import BloomBase
import BloomClient
import Testing

@Suite struct GuardSetTests {
  func node(_ number: Int) -> NodeID {
    NodeID(
      Digest([UInt8](repeating: 0, count: 30) + [UInt8(number / 256), UInt8(number % 256)]) ?? .zero
    )
  }
  func candidates(_ range: Range<Int>, weight: Double = 1) -> [GuardSet.Candidate] {
    range.map { .init(node: node($0), weight: weight) }
  }

  @Test func `the set is stable while its members are there`() {
    var generator = SeededGenerator(seed: 1)
    var set = GuardSet()
    set.refresh(from: candidates(0..<100), now: UnixTime(0), using: &generator)
    let first = set.nodes
    #expect(first.count == 16)
    set.refresh(from: candidates(0..<1000), now: UnixTime(3600), using: &generator)
    #expect(set.nodes == first, "new machines must not push guards out")
    set.refresh(from: candidates(0..<1000), now: UnixTime(86_400), using: &generator)
    #expect(set.nodes != first, "a day later it is drawn anew")
  }

  @Test func `only machines that are gone are replaced`() {
    var generator = SeededGenerator(seed: 2)
    var set = GuardSet()
    set.refresh(from: candidates(0..<40), now: UnixTime(0), using: &generator)
    let gone = set.nodes[3]
    let rest = candidates(0..<40).filter { $0.node != gone }
    let kept = set.nodes.filter { $0 != gone }
    set.refresh(from: rest, now: UnixTime(1), using: &generator)
    #expect(!set.nodes.contains(gone))
    #expect(Array(set.nodes.prefix(15)) == kept)
    #expect(set.nodes.count == 16)
  }

  @Test func `an envelope prefers the warm machine and leaves out what failed`() {
    var generator = SeededGenerator(seed: 3)
    var set = GuardSet(size: 4)
    set.refresh(from: candidates(0..<4), now: UnixTime(0), using: &generator)
    for _ in 0..<50 {
      let drawn = set.envelope(
        2, preferring: node(2), avoiding: [node(1)], using: &generator)
      #expect(drawn.first == node(2))
      #expect(drawn.count == 2)
      #expect(!drawn.contains(node(1)))
    }
    #expect(
      set.envelope(2, preferring: nil, avoiding: Set(set.nodes), using: &generator).isEmpty)
  }

  @Test func `draws follow capacity`() {
    var generator = SeededGenerator(seed: 4)
    var heavy = 0
    for _ in 0..<4000 {
      var set = GuardSet(size: 1)
      set.refresh(
        from: [.init(node: node(0), weight: 3), .init(node: node(1), weight: 1)], now: UnixTime(0),
        using: &generator)
      if set.nodes == [node(0)] { heavy += 1 }
    }
    #expect((2880...3120).contains(heavy), "three quarters of 4000, got \(heavy)")
  }
}
