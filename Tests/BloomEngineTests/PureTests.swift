import BloomEngine
import Testing

@testable import BloomEngineLlama

@Suite struct VisibleTextTests {
  @Test func `the pieces do not matter, wherever they are cut`() {
    let text = Array("grün 🌱 and STOP here".utf8)
    for size in 1...5 {
      var visible = VisibleText(stops: ["STOP"])
      var shown: [UInt8] = []
      var start = 0
      while start < text.count {
        let piece = text[start..<min(start + size, text.count)]
        let new = visible.feed(piece)
        #expect(String(validating: new, as: UTF8.self) != nil)
        shown += new
        start += size
      }
      #expect(shown == Array("grün 🌱 and ".utf8))
      #expect(visible.isStopped)
    }
  }

  @Test func `a false start of a stop text is shown at the end`() {
    var visible = VisibleText(stops: ["\n\nUser:"])
    #expect(visible.feed(Array("hi\n\nUs".utf8)) == Array("hi".utf8))
    #expect(visible.finish() == Array("\n\nUs".utf8))
  }

  @Test func `the first of several stop texts wins, and an incomplete character stays hidden`() {
    var visible = VisibleText(stops: ["b", "ab"])
    #expect(visible.feed(Array("xxab".utf8)) == Array("xx".utf8))
    #expect(visible.metStop == 1)
    var later = VisibleText(stops: ["zz", "b"])
    #expect(later.feed(Array("xx".utf8)) == Array("xx".utf8) && later.metStop == nil)
    #expect(later.feed(Array("b".utf8)).isEmpty && later.metStop == 1)
    var cut = VisibleText(stops: [])
    #expect(cut.feed([0x61, 0xf0, 0x9f]) == [0x61])
    #expect(cut.finish().isEmpty)
    var broken = VisibleText(stops: [])
    #expect(broken.feed([0x80, 0x80, 0x80, 0x80, 0x41]) == [0x80, 0x80, 0x80, 0x80, 0x41])
  }
}

@Suite struct FairQueueTests {
  @Test func `a client with many requests delays another by one`() {
    var queue = FairQueue<Int>()
    for value in 0..<5 { queue.append(value, scope: "greedy") }
    queue.append(100, scope: "modest")
    var order: [Int] = []
    while let value = queue.popFirst() { order.append(value) }
    #expect(order.firstIndex(of: 100).map { $0 <= 1 } == true)
    #expect(order.filter { $0 < 100 } == [0, 1, 2, 3, 4])
    #expect(queue.count == 0)
  }

  @Test func `removing keeps the order of the rest`() {
    var queue = FairQueue<Int>()
    for value in 0..<6 { queue.append(value, scope: value < 3 ? "a" : "b") }
    #expect(queue.remove { $0.isMultiple(of: 2) } == [0, 2, 4])
    var order: [Int] = []
    while let value = queue.popFirst() { order.append(value) }
    #expect(Set(order) == [1, 3, 5])
  }
}

@Suite struct SlotTableTests {
  private func fill(
    _ table: inout SlotTable, _ tokens: [Int32], salt: String
  ) -> SlotTable.Placement? {
    let scope = CacheScope(epoch: "e", salt: salt)
    guard let place = table.place(tokens, scope: scope, isExact: true) else { return nil }
    table.append(tokens[place.reused...], to: place.slot, isCanonical: true)
    return place
  }

  @Test func `prefixes are shared within a salt and never across`() throws {
    var table = SlotTable(count: 3, piece: 4, keepsPrefixes: true)
    let prompt = Array(Int32(0)..<10)
    let first = try #require(fill(&table, prompt, salt: "a"))
    #expect(first.reused == 0)
    table.release(first.slot, forgets: false)
    let stranger = try #require(fill(&table, prompt, salt: "b"))
    #expect(stranger.reused == 0)
    let again = try #require(fill(&table, prompt, salt: "a"))
    #expect(again == .init(slot: first.slot, copiesFrom: nil, reused: 8))
    let parallel = try #require(fill(&table, prompt, salt: "a"))
    #expect(parallel.copiesFrom == first.slot && parallel.reused == 8)
    #expect(table.place(prompt, scope: CacheScope(epoch: "e", salt: "a"), isExact: true) == nil)
  }

  @Test func `exact reuse ends at a border and at the prompt's own tokens`() throws {
    var table = SlotTable(count: 1, piece: 4, keepsPrefixes: true)
    let prompt = Array(Int32(0)..<6)
    let first = try #require(fill(&table, prompt, salt: "a"))
    table.append([6, 7, 8, 9], to: first.slot, isCanonical: false)
    table.release(first.slot, forgets: false)
    let longer = Array(Int32(0)..<12)
    var fast = table
    #expect(
      fast.place(longer, scope: CacheScope(epoch: "e", salt: "a"), isExact: false)?.reused == 10)
    #expect(
      table.place(longer, scope: CacheScope(epoch: "e", salt: "a"), isExact: true)?.reused == 4)
  }

  @Test func `the least recently used slot makes room`() throws {
    var table = SlotTable(count: 2, piece: 4, keepsPrefixes: true)
    let a = try #require(fill(&table, [1, 2, 3, 4, 5], salt: "a"))
    let b = try #require(fill(&table, [9, 2, 3, 4, 5], salt: "a"))
    table.release(a.slot, forgets: false)
    table.release(b.slot, forgets: false)
    let c = try #require(fill(&table, [7, 7], salt: "a"))
    #expect(c.slot == a.slot)
    table.release(c.slot, forgets: true)
    #expect(fill(&table, [9, 2, 3, 4, 5], salt: "a")?.reused == 4)
  }
}

@Suite struct NeighbourTests {
  private let scope = CacheScope()

  @Test func `a new sequence stands beside those that run`() throws {
    var table = SlotTable(count: 8, piece: 4, keepsPrefixes: true)
    var order: [Int] = []
    for number in 0..<8 {
      let place = table.place([Int32(number), 1], scope: scope, isExact: true)
      order.append(try #require(place).slot)
    }
    for count in 1...8 {
      let busy = order.prefix(count).sorted()
      #expect(busy.last.map { $0 - busy[0] } == count - 1, "a gap after \(count): \(order)")
    }
    // Two in the middle end: the next ones fill the gap, whatever was used before.
    table.release(0, forgets: false)
    table.release(4, forgets: false)
    table.release(5, forgets: false)
    let first = table.place([50, 1], scope: scope, isExact: true)
    let second = table.place([60, 1], scope: scope, isExact: true)
    let taken = Set([first, second].compactMap { $0?.slot })
    #expect(taken.isSubset(of: [0, 4, 5]))
    #expect(table.slots.indices.filter { !table.slots[$0].isBusy }.count == 1)
  }
}

@Suite struct EpochTests {
  private let old = CacheScope(epoch: "old", salt: "a")
  private let new = CacheScope(epoch: "new", salt: "a")
  private let prompt = Array(Int32(0)..<10)

  private func fill(_ table: inout SlotTable, _ scope: CacheScope) throws -> SlotTable.Placement {
    let found = table.place(prompt, scope: scope, isExact: true)
    let place = try #require(found)
    table.append(prompt[place.reused...], to: place.slot, isCanonical: true)
    return place
  }

  @Test func `an epoch's prefixes are gone, another's stay`() throws {
    var table = SlotTable(count: 2, piece: 4, keepsPrefixes: true)
    let a = try fill(&table, old)
    let b = try fill(&table, new)
    #expect(b.reused == 0, "one salt, two epochs")
    table.release(a.slot, forgets: false)
    table.release(b.slot, forgets: false)
    #expect(table.forget(epoch: "unknown") == [])
    #expect(!table.needsClearing)
    #expect(table.forget(epoch: "old") == [a.slot])
    #expect(table.needsClearing)
    #expect(try fill(&table, new).reused == 8)
  }

  @Test func `an epoch that ends while its answer runs is forgotten after it`() throws {
    var table = SlotTable(count: 2, piece: 4, keepsPrefixes: true)
    let a = try fill(&table, old)
    #expect(table.forget(epoch: "old") == [])
    #expect(try fill(&table, old).reused == 0, "nothing is reused from it any more")
    table.release(a.slot, forgets: false)
    table.release(1, forgets: false)
    #expect(table.slots.allSatisfy { $0.tokens.isEmpty })
    #expect(table.needsClearing)
    table.cleared()
    #expect(!table.needsClearing)
    #expect(table.forget(epoch: "old") == [])
    #expect(!table.needsClearing, "its remains were overwritten")
  }

  @Test func `remains of an epoch count although another answer took the slot`() throws {
    var table = SlotTable(count: 1, piece: 4, keepsPrefixes: true)
    table.release(try fill(&table, old).slot, forgets: false)
    table.release(try fill(&table, new).slot, forgets: false)
    #expect(table.forget(epoch: "old") == [])
    #expect(table.needsClearing)
  }
}

@Suite struct ThreadGovernorTests {
  @Test func `slow steps take a thread away and calm gives it back`() {
    var governor = ThreadGovernor(most: 2)
    for _ in 0..<20 { _ = governor.note(seconds: 0.006, rows: 1) }
    #expect(governor.threads == 2)
    for _ in 0..<ThreadGovernor.slowStepsToAct { _ = governor.note(seconds: 0.1, rows: 1) }
    #expect(governor.threads == 1)
    for _ in 0...2 * ThreadGovernor.firstPatience { _ = governor.note(seconds: 0.01, rows: 1) }
    #expect(governor.threads == 2)
  }

  @Test func `a larger batch is not a slow step`() {
    var governor = ThreadGovernor(most: 2)
    for _ in 0..<50 { _ = governor.note(seconds: 0.006, rows: 1) }
    for _ in 0..<50 { _ = governor.note(seconds: 0.03, rows: 8) }
    #expect(governor.threads == 2)
  }
}

@Suite struct RecommendedSamplingTests {
  @Test func `the model file decides, then llama.cpp's own values`() {
    let silent = EngineSampling.recommended { _ in nil }
    #expect(silent.temperature == 0.8 && silent.topK == 40)
    #expect(silent.topP == 0.95 && silent.minP == 0.05 && silent.repeatPenalty == 1)
    let file = [
      "general.sampling.temp": "0.600000", "general.sampling.top_k": "20",
      "general.sampling.top_p": "1.5", "general.sampling.min_p": "nan",
      "general.sampling.penalty_repeat": "1.1",
    ]
    let said = EngineSampling.recommended { file[$0] }
    #expect(said.temperature == 0.6 && said.topK == 20 && said.repeatPenalty == 1.1)
    #expect(said.topP == 0.95 && said.minP == 0.05, "out of range")
  }
}
