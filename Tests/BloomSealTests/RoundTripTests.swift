import BloomBase
import BloomCrypto
import BloomOpen
import BloomRecords
import BloomSeal
import BloomWire
import Testing

@Suite struct RoundTripTests {
  @Test(arguments: [HPKESuite.p256, .x25519], [0, 1, 1_700, 1_800, 16_300, 70_000, 400_000])
  func `what the client seals the worker opens, at any size`(suite: HPKESuite, size: Int) throws {
    let machine = try Fixture(suite: suite)
    let request = Fixture.request(content: String(repeating: "x", count: size))
    let sealed = try machine.seal(request)
    #expect(PaddedSize.isValid(sealed.head.routing.paddedByteCount))
    var opener = machine.opener()
    let opened = try opener.open(sealed.envelope, at: Fixture.now)
    #expect(try opened.content.get() == request)
    let prefix = try #require(try EnvelopePrefix.read(sealed.envelope))
    #expect(prefix.byteCount + prefix.bodyByteCount == sealed.envelope.count)
  }

  @Test(arguments: 1...4)
  func `every candidate opens its own wrap, also when the others are stripped`(count: Int) throws {
    let machines = try (1...count).map { try Fixture(seed: UInt8($0)) }
    let sealed = try machines[0].seal(with: Array(machines.dropFirst()))
    let prefix = try #require(try EnvelopePrefix.read(sealed.envelope))
    #expect(prefix.candidates.count == count)
    for machine in machines {
      let mine = try #require(prefix.candidates.first { $0.node == machine.identity.node })
      let forwarded = prefix.forwarded(to: mine) + sealed.envelope[prefix.byteCount...]
      for bytes in [sealed.envelope, forwarded] {
        var opener = machine.opener()
        _ = try opener.open(bytes, at: Fixture.now)
      }
      var opener = sealed.opener()
      var events: [AnswerEvent] = []
      for piece in try machine.answer(sealed) { events += try opener.receive(piece) }
      #expect(events.first == .began(machine.identity.node))
      try opener.end()
    }
  }

  @Test(arguments: PaddingProfile.allCases, [1, 7, 100, 4_096])
  func `answers come back whatever the profile and the pieces`(
    profile: PaddingProfile, size: Int
  ) throws {
    let machine = try Fixture()
    let sealed = try machine.seal(Fixture.request(), profile)
    let answer = try machine.answer(sealed, tokens: 20).flatMap { $0 }
    var opener = sealed.opener()
    var events: [AnswerEvent] = []
    for start in stride(from: 0, to: answer.count, by: size) {
      events += try opener.receive(Array(answer[start..<min(answer.count, start + size)]))
    }
    try opener.end()
    let tokens = events.compactMap { event in
      if case .frame(.tokens(let frame)) = event { frame.tokens } else { nil }
    }
    #expect(tokens.flatMap { $0 } == Array(0..<20))
    guard case .finished(let receipt) = events.last else {
      Issue.record("no last receipt")
      return
    }
    #expect(receipt.claims.completionTokens == 20)
    #expect(receipt.claims.finish == .stop)
  }

  @Test func `padded chunks have sizes that tell no token length`() throws {
    let machine = try Fixture()
    let sealed = try machine.seal()
    var opener = machine.opener()
    var sealer = try opener.open(sealed.envelope, at: Fixture.now).answer(start: Fixture.now)
    var sizes: Set<Int> = []
    for length in [1, 50, 400] {
      var output: [UInt8] = []
      try sealer.send([Fixture.frame(1, String(repeating: "a", count: length))], into: &output)
      sizes.insert(output.count % 72)
      if length > 1 { #expect(output.count == 2 + 512 + 16) }
    }
    #expect(sizes.count <= 2)
  }

  @Test func `steady answers have equal chunks and a count that is a multiple of eight`() throws {
    let machine = try Fixture()
    let sealed = try machine.seal(Fixture.request(), .steady)
    let pieces = try machine.answer(sealed, tokens: 30)
    let sizes = pieces.dropFirst().dropLast().map(\.count)
    #expect(Set(sizes) == [2 + 512 + 16])
    #expect((pieces.count - 1).isMultiple(of: 8))
  }

  @Test func `a coordinator follows the receipts without opening anything`() throws {
    let machine = try Fixture()
    let sealed = try machine.seal()
    let prefix = try #require(try EnvelopePrefix.read(sealed.envelope))
    var chain = try ReceiptChain(
      head: prefix.head, candidate: prefix.candidates[0], statement: machine.record.statement)
    var opener = machine.opener()
    var sealer = try opener.open(sealed.envelope, at: Fixture.now).answer(start: Fixture.now)
    for index in 0..<3 {
      var output: [UInt8] = []
      try sealer.send([Fixture.frame(UInt32(index), "a")], into: &output)
      let receipt = try sealer.receipt(Fixture.counts(), into: &output)
      try chain.forwarded(output)
      try chain.receive(receipt.encoded)
    }
    var output: [UInt8] = []
    let last = try sealer.finish(Fixture.counts(.stop), into: &output)
    try chain.forwarded(output)
    try chain.receive(last.encoded)
    #expect(chain.isComplete)
    #expect(chain.last?.claims.completionTokens == 3)
  }

  @Test func `a receipt over chunks that were not forwarded is refused`() throws {
    let machine = try Fixture()
    let sealed = try machine.seal()
    let prefix = try #require(try EnvelopePrefix.read(sealed.envelope))
    var chain = try ReceiptChain(
      head: prefix.head, candidate: prefix.candidates[0], statement: machine.record.statement)
    var opener = machine.opener()
    var sealer = try opener.open(sealed.envelope, at: Fixture.now).answer(start: Fixture.now)
    var first: [UInt8] = []
    try sealer.send([Fixture.frame(1, "a")], into: &first)
    try chain.forwarded(first)
    var withheld: [UInt8] = []
    try sealer.send([Fixture.frame(2, "b")], into: &withheld)
    let receipt = try sealer.receipt(Fixture.counts(), into: &withheld)
    #expect(throws: RecordError.receiptMismatch("transcript")) {
      try chain.receive(receipt.encoded)
    }
  }

  @Test func `what was stopped before its first byte settles without a transcript`() throws {
    let machine = try Fixture()
    let sealed = try machine.seal()
    let prefix = try #require(try EnvelopePrefix.read(sealed.envelope))
    var chain = try ReceiptChain(
      head: prefix.head, candidate: prefix.candidates[0], statement: machine.record.statement)
    var opener = machine.opener()
    var sealer = try opener.open(sealed.envelope, at: Fixture.now).answer(start: Fixture.now)
    var unsent: [UInt8] = []
    let stopped = try sealer.receipt(Fixture.counts(.cancelled), into: &unsent)
    #expect(try chain.receive(stopped.encoded).claims.completionTokens == 0)
    // Tokens that nobody was given are not paid.
    try sealer.send([Fixture.frame(1, "a")], into: &unsent)
    let claiming = try sealer.receipt(Fixture.counts(.cancelled), into: &unsent)
    #expect(throws: RecordError.receiptMismatch("transcript")) {
      try chain.receive(claiming.encoded)
    }
  }

  @Test func `padded sizes hold what they name and waste little`() {
    #expect(PaddedSize.holding(0) == 2_048)
    #expect(PaddedSize.holding(2_049) == 4_096)
    #expect(PaddedSize.holding(262_144) == 262_144)
    #expect(PaddedSize.holding(PaddedSize.maximum + 1) == nil)
    var generator = SeededGenerator(seed: 3)
    for _ in 0..<2_000 {
      let count = Int.random(in: 0...(40 << 20), using: &generator)
      guard let size = PaddedSize.holding(count) else {
        Issue.record("no size for \(count)")
        return
      }
      #expect(size >= count && PaddedSize.isValid(size))
      if count > 262_144 { #expect(Double(size) < Double(count) * 1.12) }
    }
  }
}
