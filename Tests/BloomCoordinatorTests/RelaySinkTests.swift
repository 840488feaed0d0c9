import BloomWire
import Testing

@testable import BloomCoordinator

@Suite struct RelaySinkTests {
  @Test func `a batch says which attempt its sealed bytes are of`() async {
    let sink = RelaySink()
    sink.push(sealed: [1, 2], attempt: 1)
    sink.push(sealed: [3], attempt: 1)
    let first = await sink.next()
    #expect(first?.newest == RelaySink.Batch.Share(attempt: 1, byteCount: 3))
    #expect(first?.earlier.isEmpty == true)
    sink.push(sealed: [4, 5], attempt: 1)
    sink.push(.alive, attempt: 2)
    sink.push(sealed: [6], attempt: 2)
    let second = await sink.next()
    #expect(second?.newest == RelaySink.Batch.Share(attempt: 2, byteCount: 1))
    #expect(second?.earlier == [RelaySink.Batch.Share(attempt: 1, byteCount: 2)])
    sink.push(.alive, attempt: 2)
    let third = await sink.next()
    #expect(third?.newest.byteCount == 0)
    sink.finish()
    let end = await sink.next()
    #expect(end?.bytes == nil)
  }
}
