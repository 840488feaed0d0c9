import BloomClient
import BloomWire
import Testing

@Suite struct PartNumberingTests {
  @Test func `a coordinator that knows of more parts, or of fewer, is met again`() {
    var parts = PartNumbering()
    parts.taken(0)
    _ = parts.lost()
    // It took the next part and its word was lost.
    _ = parts.refused(.replay)
    #expect(parts.next == 2)
    // It was killed and forgot one.
    _ = parts.refused(.partNotAllowed)
    #expect(parts.next == 1)
    // It was killed and forgot all.
    _ = parts.refused(.answerUnknown)
    #expect(parts.next == 0)
  }

  @Test func `a part that is well is waited for, a closed answer is not`() {
    var parts = PartNumbering()
    let well = parts.refused(.partNotAllowed)
    #expect(well.isRetriable && well.isReturning && well.isUnderWay)
    let busy = parts.refused(.busy)
    #expect(busy.isRetriable && busy.isReturning && !busy.isUnderWay)
    let closed = parts.refused(.answerClosed)
    #expect(!closed.isRetriable && closed.code == "answer_closed")
  }
}
