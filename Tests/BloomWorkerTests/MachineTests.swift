import BloomBase
import BloomWire
import BloomWorker
import Testing

@Suite struct WorkerSessionTests {
  private let start = Instant(nanoseconds: 1)
  private let a = StreamID(1)

  @Test func `a request runs once all of its bytes came`() {
    var session = WorkerSession()
    #expect(session.received(.begin(a, byteCount: 3, credit: 5), now: start) == [])
    #expect(session.received(.chunk(a, [1]), now: start) == [])
    #expect(session.received(.credit(a, byteCount: 2), now: start) == [])
    #expect(
      session.received(.chunk(a, [2, 3]), now: start) == [.run(a, envelope: [1, 2, 3], credit: 7)])
    #expect(session.received(.credit(a, byteCount: 2), now: start) == [.addCredit(a, byteCount: 2)])
    #expect(session.runEnded(a) == [])
    #expect(session.streamCount == 0)
  }

  @Test func `more bytes than announced are refused`() {
    var session = WorkerSession()
    _ = session.received(.begin(a, byteCount: 3, credit: 5), now: start)
    #expect(
      session.received(.chunk(a, [1, 2, 3, 4]), now: start)
        == [.send(.refuse(a, .malformed, retryAfterMilliseconds: 0))])
    #expect(session.received(.chunk(a, [1]), now: start) == [])
  }

  @Test func `bytes and streams are bounded and room comes back`() {
    var session = WorkerSession()
    let size = 1 << 26
    for number in 1...4 {
      #expect(
        session.received(.begin(StreamID(UInt64(number)), byteCount: size, credit: 0), now: start)
          == [])
    }
    let busy = WorkerSession.Effect.send(
      .refuse(StreamID(5), .busy, retryAfterMilliseconds: 1_000))
    #expect(
      session.received(.begin(StreamID(5), byteCount: 1, credit: 0), now: start) == [busy])
    _ = session.received(.cancel(a, .cancelled), now: start)
    #expect(
      session.received(.begin(StreamID(5), byteCount: size, credit: 0), now: start) == [])
    var many = WorkerSession()
    for number in 1...128 {
      _ = many.received(.begin(StreamID(UInt64(number)), byteCount: 1, credit: 0), now: start)
    }
    let last = StreamID(129)
    #expect(
      many.received(.begin(last, byteCount: 1, credit: 0), now: start)
        == [.send(.refuse(last, .busy, retryAfterMilliseconds: 1_000))])
  }

  @Test func `a stream used twice or a second order ends the worker`() {
    var session = WorkerSession()
    _ = session.received(.begin(a, byteCount: 3, credit: 5), now: start)
    let twice = session.received(.begin(a, byteCount: 3, credit: 5), now: start)
    #expect(twice.last == .end)
    let order = WorkerOrder(
      manifest: [1], descriptors: [], node: NodeID(.zero), release: .zero)
    let again = session.received(.load(order), now: start)
    #expect(again.last == .end)
  }

  @Test func `cancelling stops a running request once`() {
    var session = WorkerSession()
    _ = session.received(.begin(a, byteCount: 1, credit: 0), now: start)
    _ = session.received(.chunk(a, [1]), now: start)
    #expect(session.received(.cancel(a, .cancelled), now: start) == [.stop(a, .cancelled)])
    #expect(session.received(.cancel(a, .cancelled), now: start) == [])
    #expect(session.streamCount == 1)
  }

  @Test func `draining waits for the deadline, then gives back, then ends`() {
    var session = WorkerSession()
    _ = session.received(.begin(a, byteCount: 1, credit: 0), now: start)
    _ = session.received(.chunk(a, [1]), now: start)
    #expect(session.received(.drain(.draining, milliseconds: 100), now: start) == [])
    #expect(session.tick(now: start + .milliseconds(99)) == [])
    #expect(session.tick(now: start + .milliseconds(100)) == [.stop(a, .draining)])
    #expect(session.tick(now: start + .milliseconds(200)) == [])
    #expect(session.runEnded(a) == [.end])
    var idle = WorkerSession()
    #expect(idle.received(.drain(.draining, milliseconds: 100), now: start) == [.end])
  }
}

@Suite struct KeyCalendarTests {
  private let start = Instant(nanoseconds: 1)
  private let old = KeyID(1)
  private let new = KeyID(2)

  @Test func `only a vouched key is used, and only for 70 minutes`() {
    var calendar = KeyCalendar()
    calendar.keysMade([old], now: start)
    #expect(calendar.evidence(of: old, now: start) == nil)
    calendar.vouched(old, evidence: .zero)
    calendar.vouched(new, evidence: .zero)
    #expect(calendar.evidence(of: old, now: start + .seconds(4_199)) == .zero)
    #expect(calendar.evidence(of: old, now: start + .seconds(4_200)) == nil)
    #expect(calendar.evidence(of: new, now: start) == nil)
  }

  @Test func `new keys are made once before the offer ends, old ones wiped after their life`() {
    var calendar = KeyCalendar()
    calendar.keysMade([old], now: start)
    #expect(calendar.tick(now: start + .seconds(3_299)) == [])
    #expect(calendar.tick(now: start + .seconds(3_300)) == [.makeKeys])
    #expect(calendar.tick(now: start + .seconds(3_301)) == [])
    calendar.keysMade([new], now: start + .seconds(3_301))
    #expect(calendar.tick(now: start + .seconds(4_200)) == [.wipe([old])])
    #expect(calendar.tick(now: start + .seconds(4_201)) == [])
    #expect(calendar.renewalAsked() == [.makeKeys])
    #expect(calendar.renewalAsked() == [])
  }

  @Test func `a machine that slept through a life starts afresh`() {
    var calendar = KeyCalendar()
    calendar.keysMade([old], now: start)
    #expect(calendar.tick(now: start + .seconds(90_000)) == [.wipe([old]), .makeKeys])
  }
}

@Suite struct ReceiptClockTests {
  @Test func `a receipt is due by tokens or by time, and never without tokens`() {
    let start = Instant(nanoseconds: 1)
    var clock = ReceiptClock(start: start)
    #expect(!clock.isDue(now: start + .seconds(10)))
    clock.delivered(63)
    #expect(!clock.isDue(now: start + .seconds(1)))
    #expect(clock.isDue(now: start + .seconds(2)))
    clock.delivered(1)
    #expect(clock.isDue(now: start))
    clock.receiptMade(now: start)
    #expect(!clock.isDue(now: start + .seconds(9)))
    #expect(clock.delivered == 64)
  }
}
