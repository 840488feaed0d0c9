import BloomBase
import BloomCrypto
import BloomOpen
import BloomRecords
import BloomSeal
import BloomWire
import Testing

@Suite struct ReceiptReportTests {
  @Test func `a report proves what it is given and refutes what differs`() throws {
    let machine = try Fixture()
    let request = Fixture.request()
    let sealed = try machine.seal(request)
    var opener = sealed.opener()
    var frames: [[UInt8]] = []
    var last: Receipt?
    for piece in try machine.answer(sealed) {
      for event in try opener.receive(piece) {
        if case .frame(let frame) = event { frames.append(frame.encoded) }
        if case .finished(let receipt) = event { last = receipt }
      }
    }
    let receipt = try #require(last).encoded
    let key = try #require(sealed.commitKey(of: machine.identity.node))
    func report(
      receipt: [UInt8], request: [UInt8], frames: [[UInt8]], record: [UInt8]
    ) -> ReceiptReport {
      ReceiptReport(
        receipt: receipt, record: record, commitKey: key, request: request, frames: frames)
    }
    let record = machine.record.encoded
    let good = report(receipt: receipt, request: request.encoded, frames: frames, record: record)
    #expect(good.holds)
    #expect(good.lines.filter { $0.verdict == .proven }.count == 7)
    #expect(good.text.contains("without hardware evidence"))

    let stranger = try Fixture(seed: 2).record.encoded
    var flipped = receipt
    flipped[flipped.count - 1] ^= 1
    for wrong in [
      report(receipt: receipt, request: [1], frames: frames, record: record),
      report(receipt: receipt, request: request.encoded, frames: frames.dropLast(), record: record),
      report(receipt: receipt, request: request.encoded, frames: frames, record: stranger),
      report(receipt: flipped, request: request.encoded, frames: frames, record: record),
      report(receipt: [1], request: request.encoded, frames: frames, record: record),
    ] { #expect(!wrong.holds) }

    let alone = ReceiptReport(
      receipt: receipt, record: nil, commitKey: nil, request: nil, frames: nil)
    #expect(alone.holds && alone.lines.allSatisfy { $0.verdict == .open })
  }

  @Test func `a part may begin in the ten minutes after its keys' offer, and not later`() throws {
    let machine = try Fixture()
    let sealed = try machine.seal()
    for (seconds, holds) in [(Int64(599), true), (Int64(600), false)] {
      let start = machine.statement.notAfter + seconds
      var opener = machine.opener()
      var sealer = try opener.open(sealed.envelope, at: Fixture.now).answer(start: start)
      var counts = Fixture.counts(.stop)
      counts.end = start
      var output: [UInt8] = []
      let receipt = try sealer.finish(counts, into: &output)
      let report = ReceiptReport(
        receipt: receipt.encoded, record: machine.record.encoded, commitKey: nil, request: nil,
        frames: nil)
      #expect(report.holds == holds)
    }
  }
}
