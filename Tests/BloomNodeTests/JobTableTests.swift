import BloomBase
import BloomCrypto
import BloomRecords
import BloomWire
import Testing

@testable import BloomNode

@Suite struct JobTableTests {
  static let model = ModelID(SHA256.digest([1]))
  static let reason = Reason.engineFailed

  /// The clear head of a request for a model.
  static func head(_ model: ModelID = model) -> [UInt8] {
    var random = SeededGenerator(seed: 3)
    let routing = Routing(
      model: model, kind: .chat, paddedByteCount: 2_048, tokenClass: .upTo256,
      deadlineMilliseconds: 60_000, padding: .padded, answer: AnswerID(using: &random), part: 0,
      constraints: Routing.Constraints())
    let head = EnvelopeHead(suite: .p256, requestNonce: .zero, routing: routing).encoded
    var bytes = head + [1]
    Candidate(
      node: NodeID(.zero), key: KeyID(1), encapsulatedKey: [UInt8](repeating: 4, count: 65),
      wrappedKey: [UInt8](repeating: 5, count: 48)
    ).append(to: &bytes)
    return bytes
  }

  /// A table with one accepted request: link stream 9, worker stream 1.
  static func working() -> JobTable {
    var table = JobTable()
    table.workerReady(model)
    _ = table.requested(StreamID(9), head: head(), body: [1, 2, 3])
    _ = table.received(.accept(StreamID(1)))
    return table
  }

  @Test func `a request goes to its model's worker whole and in order`() {
    var table = JobTable()
    table.workerReady(Self.model)
    let body = [UInt8](repeating: 7, count: 100_000)
    let effects = table.requested(StreamID(9), head: Self.head(), body: body)
    var sent: [UInt8] = []
    for effect in effects.dropFirst() {
      guard case .command(Self.model, .chunk(StreamID(1), let bytes)) = effect else {
        Issue.record("not a chunk")
        continue
      }
      #expect(bytes.count <= Limits.chunk)
      sent += bytes
    }
    #expect(sent == Self.head() + body)
    #expect(
      effects.first
        == .command(
          Self.model, .begin(StreamID(1), byteCount: sent.count, credit: JobTable.credit)))
  }

  @Test func `what cannot be read, served or taken is refused`() {
    var table = JobTable()
    #expect(
      table.requested(StreamID(1), head: [0], body: [])
        == [.refuse(StreamID(1), .malformed, retryAfterMilliseconds: 0)])
    #expect(
      table.requested(StreamID(2), head: Self.head(), body: [1])
        == [.refuse(StreamID(2), .modelUnavailable, retryAfterMilliseconds: 0)])
    table.workerReady(Self.model)
    table.closed = .ownerActive
    #expect(
      table.requested(StreamID(3), head: Self.head(), body: [1])
        == [.refuse(StreamID(3), .ownerActive, retryAfterMilliseconds: 0)])
    table.closed = nil
    table.limit = 0
    #expect(
      table.requested(StreamID(4), head: Self.head(), body: [1])
        == [.refuse(StreamID(4), .busy, retryAfterMilliseconds: 1_000)])
    #expect(
      table.requested(StreamID(5), head: Self.head() + [0], body: [1])
        == [.refuse(StreamID(5), .busy, retryAfterMilliseconds: 1_000)])
    #expect(table.count == 0)
    #expect(table.counts.refused == 5)
  }

  @Test func `credit follows the bytes, and a pause holds it back`() {
    var table = Self.working()
    #expect(
      table.received(.chunk(StreamID(1), [1, 2]))
        == [
          .answer(StreamID(9), [1, 2]),
          .command(Self.model, .credit(StreamID(1), byteCount: 2)),
        ])
    table.pause(StreamID(9))
    #expect(table.received(.chunk(StreamID(1), [3])) == [.answer(StreamID(9), [3])])
    #expect(table.received(.chunk(StreamID(1), [4, 5])) == [.answer(StreamID(9), [4, 5])])
    #expect(
      table.resume(StreamID(9)) == [.command(Self.model, .credit(StreamID(1), byteCount: 3))])
    #expect(table.resume(StreamID(9)) == [])
  }

  @Test func `the last receipt of a broken link's request goes out on stream 0`() {
    var table = Self.working()
    #expect(
      table.stop(StreamID(9), .nodeLost)
        == [.command(Self.model, .cancel(StreamID(1), .nodeLost))])
    #expect(
      table.received(.chunk(StreamID(1), [1]))
        == [.command(Self.model, .credit(StreamID(1), byteCount: 1))])
    #expect(table.received(.receipt(StreamID(1), [7])) == [])
    #expect(
      table.received(.handback(StreamID(1), .nodeLost, receipt: [8]))
        == [.done(StreamID(0), receipt: [8])])
    #expect(table.count == 0)
  }

  @Test func `a new link's stream of the same number is another request`() {
    var table = Self.working()
    _ = table.stop(StreamID(9), .nodeLost)
    let effects = table.requested(StreamID(9), head: Self.head(), body: [1])
    #expect(
      effects.first
        == .command(
          Self.model,
          .begin(StreamID(2), byteCount: Self.head().count + 1, credit: JobTable.credit)))
    #expect(
      table.received(.done(StreamID(1), receipt: [8])) == [.done(StreamID(0), receipt: [8])])
    #expect(table.received(.accept(StreamID(2))) == [.accept(StreamID(9))])
  }

  @Test func `a worker that ends hands back what it took and refuses what it had not`() {
    var table = Self.working()
    _ = table.requested(StreamID(10), head: Self.head(), body: [1])
    #expect(
      table.workerEnded(Self.model, .engineFailed)
        == [
          .handBack(StreamID(9), .engineFailed),
          .refuse(StreamID(10), .engineFailed, retryAfterMilliseconds: 0),
        ])
    #expect(table.received(.chunk(StreamID(1), [1])) == [])
    #expect(
      table.requested(StreamID(11), head: Self.head(), body: [1])
        == [.refuse(StreamID(11), .modelUnavailable, retryAfterMilliseconds: 0)])
  }

  @Test func `the owner's return stops each request once and is the reason told`() {
    var table = Self.working()
    #expect(
      table.handBackAll(.ownerActive)
        == [.command(Self.model, .cancel(StreamID(1), .ownerActive))])
    #expect(table.handBackAll(.ownerActive) == [])
    #expect(
      table.workerEnded(Self.model, .engineFailed) == [.handBack(StreamID(9), .ownerActive)])
    #expect(table.counts.handedBack == 1)
  }

  @Test func `a hand-back brings its receipt first, and an end without one is a failure`() {
    var table = Self.working()
    #expect(
      table.received(.handback(StreamID(1), .ownerActive, receipt: [4]))
        == [.receipt(StreamID(9), [4]), .handBack(StreamID(9), .ownerActive)])
    table = Self.working()
    #expect(
      table.received(.done(StreamID(1), receipt: []))
        == [.handBack(StreamID(9), .engineFailed)])
  }

  @Test func `events of unknown streams change nothing`() {
    var table = Self.working()
    let stranger = StreamID(77)
    for event: WorkerEvent in [
      .accept(stranger), .refuse(stranger, .busy, retryAfterMilliseconds: 1),
      .chunk(stranger, [1]), .receipt(stranger, [1]), .done(stranger, receipt: [1]),
      .handback(stranger, .busy, receipt: [1]),
    ] {
      #expect(table.received(event) == [])
    }
    #expect(table.stop(stranger, .cancelled) == [])
    #expect(table.resume(stranger) == [])
    #expect(table.count == 1)
  }

  @Test func `an own request takes a stranger's place, and no level or limit keeps it away`() {
    var table = Self.working()
    table.limit = 1
    table.closed = .ownerActive
    let effects = table.requested(
      StreamID(20), head: Self.head(), body: [1], isOwn: true, slots: 1)
    #expect(effects.first == .command(Self.model, .cancel(StreamID(1), .ownerActive)))
    #expect(
      effects.dropFirst().first
        == .command(
          Self.model, .begin(StreamID(2), byteCount: Self.head().count + 1, credit: JobTable.credit)
        ))
    #expect(table.strangerCount == 1 && table.count == 2)
    // The owner's second one has nobody left to push aside.
    let second = table.requested(
      StreamID(21), head: Self.head(), body: [1], isOwn: true, slots: 1)
    #expect(!second.contains(.command(Self.model, .cancel(StreamID(1), .ownerActive))))
    #expect(table.handBackAll(.ownerActive, keepsOwn: true) == [])
    #expect(table.handBackAll(.tooHot).count == 2, "what is the owner's own goes too")
  }
}
