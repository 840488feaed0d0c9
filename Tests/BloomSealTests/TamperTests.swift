import BloomBase
import BloomCrypto
import BloomOpen
import BloomRecords
import BloomSeal
import BloomWire
import Testing

/// What an attacker between client and worker can do, and what a worker can claim: all refused.
@Suite struct TamperTests {
  @Test(arguments: 0..<8)
  func `every flipped bit of a request is refused`(bit: Int) throws {
    let machine = try Fixture()
    let sealed = try machine.seal()
    var opener = machine.opener()
    for index in sealed.envelope.indices {
      var bytes = sealed.envelope
      bytes[index] ^= 1 << UInt8(bit)
      do throws(OpenError) {
        _ = try opener.open(bytes, at: Fixture.now)
        Issue.record("bit \(bit) of byte \(index) was accepted")
      } catch {
        // A changed key name reads as another key; all else is one and the same refusal.
        #expect(error.reason == .malformed || error.reason == .staleKey)
      }
    }
    _ = try opener.open(sealed.envelope, at: Fixture.now)
  }

  @Test func `every flipped bit of an answer is refused, and never shown as complete`() throws {
    let machine = try Fixture()
    let sealed = try machine.seal(Fixture.request(), .off)
    let answer = try machine.answer(sealed, tokens: 1).flatMap { $0 }
    for index in answer.indices {
      for bit in 0..<8 {
        var bytes = answer
        bytes[index] ^= 1 << UInt8(bit)
        var opener = sealed.opener()
        #expect(throws: SealError.self, "byte \(index) bit \(bit)") {
          _ = try opener.receive(bytes)
          try opener.end()
        }
      }
    }
  }

  @Test func `every flipped bit of a receipt and a statement is refused`() throws {
    let machine = try Fixture()
    let sealed = try machine.seal()
    var opener = machine.opener()
    var sealer = try opener.open(sealed.envelope, at: Fixture.now).answer(start: Fixture.now)
    var output: [UInt8] = []
    let receipt = try sealer.finish(Fixture.counts(.stop), into: &output).encoded
    let key = machine.target.keys.receiptKey
    for bit in 0..<receipt.count * 8 {
      var bytes = receipt
      bytes[bit / 8] ^= 1 << UInt8(bit % 8)
      #expect(throws: RecordError.self) { try Receipt(verifying: bytes, key: key) }
    }
    let record = machine.record.encoded
    for bit in 0..<record.count * 8 {
      var bytes = record
      bytes[bit / 8] ^= 1 << UInt8(bit % 8)
      #expect(throws: RecordError.self) { try NodeRecord(verifying: bytes) }
    }
  }

  @Test func `an answer cut anywhere is truncated, not complete`() throws {
    let machine = try Fixture()
    let sealed = try machine.seal(Fixture.request(), .off)
    let answer = try machine.answer(sealed).flatMap { $0 }
    for count in answer.indices {
      var opener = sealed.opener()
      let events = try opener.receive(Array(answer[..<count]))
      for event in events {
        if case .finished = event { Issue.record("finished after \(count) bytes") }
      }
      #expect(throws: SealError.truncated) { try opener.end() }
    }
  }

  @Test func `chunks that are moved, repeated or left out are refused`() throws {
    let machine = try Fixture()
    let sealed = try machine.seal(Fixture.request(), .off)
    let pieces = try machine.answer(sealed, tokens: 5)
    var swapped = pieces
    swapped.swapAt(1, 2)
    var repeated = pieces
    repeated.insert(pieces[1], at: 1)
    var dropped = pieces
    dropped.remove(at: 2)
    var receiptless = pieces
    receiptless.remove(at: pieces.count - 2)
    for wrong in [swapped, repeated, dropped, receiptless, pieces + [pieces[1]]] {
      var opener = sealed.opener()
      #expect(throws: SealError.self) {
        _ = try opener.receive(wrong.flatMap { $0 })
        try opener.end()
      }
    }
  }

  @Test func `a request is opened once`() throws {
    let machine = try Fixture()
    let sealed = try machine.seal()
    var opener = machine.opener()
    _ = try opener.open(sealed.envelope, at: Fixture.now)
    #expect(throws: OpenError(.replay)) { _ = try opener.open(sealed.envelope, at: Fixture.now) }
  }

  @Test func `a wrap does not open under another head, body or machine`() throws {
    let machine = try Fixture()
    let other = try Fixture(seed: 2)
    let first = try machine.seal(Fixture.request(content: "one"), with: [other])
    let second = try machine.seal(Fixture.request(content: "two"), with: [other])
    let one = try #require(try EnvelopePrefix.read(first.envelope))
    let two = try #require(try EnvelopePrefix.read(second.envelope))
    let mine = one.candidates[0]
    let foreign = Candidate(
      node: mine.node, key: mine.key, encapsulatedKey: one.candidates[1].encapsulatedKey,
      wrappedKey: one.candidates[1].wrappedKey)
    let body = first.envelope[one.byteCount...]
    for bytes in [
      two.forwarded(to: mine) + body,
      one.forwarded(to: mine) + second.envelope[two.byteCount...],
      one.forwarded(to: foreign) + body,
      one.forwarded(to: one.candidates[1]) + body,
    ] {
      var opener = machine.opener()
      #expect(throws: OpenError(.malformed)) { _ = try opener.open(bytes, at: Fixture.now) }
    }
  }

  @Test func `a machine that knows the key cannot answer as another`() throws {
    let machine = try Fixture()
    let other = try Fixture(seed: 2)
    let sealed = try machine.seal(with: [other])
    let answer = try other.answer(sealed).flatMap { $0 }
    var opener = sealed.opener()
    let name = machine.identity.node.digest.bytes + machine.secrets.keyID.bytes
    #expect(throws: SealError.notAuthentic) {
      _ = try opener.receive(name + answer.dropFirst(name.count))
    }
    let stranger = try Fixture(seed: 3)
    var second = sealed.opener()
    let wrong = stranger.identity.node.digest.bytes + stranger.secrets.keyID.bytes
    #expect(throws: SealError.wrongMachine) {
      _ = try second.receive(wrong + answer.dropFirst(name.count))
    }
  }

  @Test func `expired and early keys are refused on both sides`() throws {
    let machine = try Fixture()
    let sealed = try machine.seal()
    let verified = try TierPolicy(minimum: .software).admit(machine.record, at: Fixture.now)
    for (time, isOpened) in [
      (UnixTime(1_794_999_879), false), (UnixTime(1_794_999_881), true),
      (UnixTime(1_795_004_199), true), (UnixTime(1_795_004_200), false),
    ] {
      var opener = machine.opener()
      if isOpened {
        _ = try opener.open(sealed.envelope, at: time)
      } else {
        #expect(throws: OpenError(.staleKey)) { _ = try opener.open(sealed.envelope, at: time) }
      }
    }
    for time in [UnixTime(1_794_999_879), UnixTime(1_795_003_720)] {
      #expect(throws: SealError.record(.notValidNow)) {
        _ = try SealTarget(verified, model: Fixture.model, at: time)
      }
      #expect(throws: RecordError.notValidNow) {
        _ = try TierPolicy(minimum: .software).admit(machine.record, at: time)
      }
    }
  }

  @Test func `content that contradicts its routing is answered with a sealed error`() throws {
    let machine = try Fixture()
    let long = CanonicalRequest(
      kind: .chat, body: .members(["max_tokens": .integer(257)]),
      answer: Fixture.request().answer, salt: "")
    let many = CanonicalRequest(
      kind: .chat, body: .members(["max_tokens": .integer(100), "n": .integer(3)]),
      answer: Fixture.request().answer, salt: "")
    for request in [long, many] {
      let sealed = try machine.seal(request)
      var opener = machine.opener()
      let opened = try opener.open(sealed.envelope, at: Fixture.now)
      #expect(throws: SealedError.self) { _ = try opened.content.get() }
    }
  }

  @Test func `a record's lifetime, identity and evidence are held to the rules`() throws {
    let machine = try Fixture()
    let key = try SigningKey.derive(.p256, seed: [1] + [UInt8](repeating: 1, count: 32))
    var long = machine.statement
    long.notAfter = UnixTime(1_795_003_601)
    let signed = try long.signed(by: key)
    #expect(throws: RecordError.lifetime) { _ = try KeyStatement(verifying: signed) }
    let stranger = try SigningKey.derive(.p256, seed: [9])
    #expect(throws: RecordError.identity) { _ = try machine.statement.signed(by: stranger) }
    let good = try machine.statement.signed(by: key)
    #expect(throws: RecordError.evidence) {
      _ = try NodeRecord(signedStatement: good, evidence: Evidence(items: [2: [1]]))
    }
    // {0: '', -1: 1}: nobody signed the extension.
    #expect(throws: RecordError.wire(.notCanonical)) {
      _ = try Evidence(decoding: [0xa2, 0x00, 0x40, 0x20, 0x01])
    }
    #expect(throws: RecordError.policy) {
      _ = try TierPolicy(minimum: .paired).admit(machine.record, at: Fixture.now)
    }
    let paired = TierPolicy(minimum: .paired, paired: [machine.identity.node])
    #expect(try paired.admit(machine.record, at: Fixture.now).tier == .paired)
    var other = machine.statement
    other.evidence = Fixture.digest(9)
    #expect(other.binding == machine.statement.binding)
    other.release = Fixture.digest(9)
    #expect(other.binding != machine.statement.binding)
  }
}
