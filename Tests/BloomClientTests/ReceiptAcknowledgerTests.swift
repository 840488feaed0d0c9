import BloomBase
import BloomClient
import BloomNet
import Testing

@Suite struct ReceiptAcknowledgerTests {
  private struct Refused: Error {}

  private static func acknowledgement(_ part: Int) -> ReceiptAcknowledgement {
    var random = SeededGenerator(seed: 1)
    return ReceiptAcknowledgement(
      answer: AnswerID(using: &random), part: part, receipt: .zero, isRight: true)
  }

  private static func until(_ holds: () -> Bool) async throws {
    for _ in 0..<1_000 where !holds() { try await Task.sleep(for: .milliseconds(10)) }
    #expect(holds())
  }

  @Test func `each is told once`() async throws {
    let told = Locked<[Int]>([])
    let teller = ReceiptAcknowledger(
      loop: EventLoopGroup.shared.next(), pause: .milliseconds(1)
    ) { item in told.withLock { $0.append(item.part) } }
    for part in 0..<100 { teller.tell(Self.acknowledgement(part)) }
    try await Self.until { told.withLock { $0.count } == 100 }
    #expect(told.withLock { $0 }.sorted() == Array(0..<100))
  }

  @Test func `one that is refused is tried three times and does not hold up the next`()
    async throws
  {
    let tries = Locked<[Int]>([])
    let teller = ReceiptAcknowledger(
      loop: EventLoopGroup.shared.next(), pause: .milliseconds(1)
    ) { item in
      tries.withLock { $0.append(item.part) }
      if item.part == 0 { throw Refused() }
    }
    teller.tell(Self.acknowledgement(0))
    teller.tell(Self.acknowledgement(1))
    try await Self.until { tries.withLock { $0.count } == 4 }
    #expect(tries.withLock { $0 }.sorted() == [0, 0, 0, 1])
  }

  @Test func `what waits is bounded, and the oldest is dropped`() async throws {
    let isOpen = Locked(false)
    let told = Locked<[Int]>([])
    let teller = ReceiptAcknowledger(
      loop: EventLoopGroup.shared.next(), pause: .milliseconds(1)
    ) { item in
      while !isOpen.withLock({ $0 }) { try await Task.sleep(for: .milliseconds(5)) }
      told.withLock { $0.append(item.part) }
    }
    for part in 0..<4_000 { teller.tell(Self.acknowledgement(part)) }
    isOpen.withLock { $0 = true }
    try await Self.until { told.withLock { $0.contains(3_999) } }
    // Eight were being sent while the others waited.
    #expect(told.withLock { $0.count } <= 1_024 + 8)
  }
}
