import BloomBase
import BloomCoordinator
import Testing

@Suite struct PartDoubtTests {
  /// Asks at these times, in milliseconds; tells after which of them the part counted as lost.
  private func lost(askingAt times: [Int]) -> [Int] {
    var doubt = PartDoubt()
    return times.filter {
      doubt.asked(now: Instant(nanoseconds: UInt64(60_000 + $0) * 1_000_000))
    }
  }

  @Test func `who asks for five seconds has lost the part`() {
    #expect(lost(askingAt: Array(stride(from: 0, through: 5_000, by: 100))) == [5_000])
  }

  @Test func `who pauses has heard it again`() {
    #expect(lost(askingAt: [0, 1_000, 2_000, 3_000, 4_000, 6_500, 8_000, 9_500, 11_000]) == [])
    #expect(lost(askingAt: [0, 3_000, 4_000, 5_500, 7_000, 8_000]) == [8_000])
  }
}
