import BloomBase
import BloomCrypto
import BloomOpen
import BloomRecords
import BloomSeal
import BloomTestSupport
import BloomWire
import Testing

/// A second client, in Python from docs/protocol.md alone, against our node; both ways, live.
@Suite(.serialized) struct PythonClientTests {
  /// Runs the client on values and gives those that it prints.
  static func run(_ mode: String, _ values: [String: [UInt8]]) throws -> [String: [UInt8]] {
    var printed: [String: [UInt8]] = [:]
    let said = try SecondClient.run(mode, values: values.map { ($0.key, $0.value) })
    for line in said.split(separator: "\n") {
      let words = line.split(separator: " ", omittingEmptySubsequences: false)
      printed[String(words[0])] = Hex.decode(words[1])
    }
    return printed
  }

  @Test func `the second client makes the fixed envelope and opens the fixed answer`() throws {
    let said = try SecondClient.run("check", "\(SecondClient.root)/Tests/Vectors/seal.txt")
    #expect(said.contains("opened 'Hello', receipt over 2 tokens verified"))
  }

  @Test func `the second client reads every outer record`() throws {
    let said = try SecondClient.run(
      "outer", "\(SecondClient.root)/Tests/Vectors/outer-records.txt")
    #expect(said.contains("read 7 outer records"))
  }

  /// An exchange: how the answer is padded, how large the question and answer are, and which kind.
  struct Exchange: Sendable {
    let profile: PaddingProfile
    let size: Int
    let tokens: Int
    let kind: JobKind
    var part = 0
    var mode = ContinuationMode.whole

    static let all = [
      Exchange(profile: .padded, size: 0, tokens: 3, kind: .chat),
      Exchange(profile: .off, size: 40_000, tokens: 1, kind: .completion),
      Exchange(profile: .steady, size: 300_000, tokens: 40, kind: .chat),
      Exchange(profile: .padded, size: 9, tokens: 2, kind: .chat, part: 3, mode: .continued),
      Exchange(profile: .off, size: 9, tokens: 2, kind: .completion, part: 1, mode: .exact),
      Exchange(profile: .padded, size: 9, tokens: 0, kind: .embeddings),
      Exchange(profile: .padded, size: 9, tokens: 0, kind: .transcription),
      Exchange(profile: .padded, size: 9, tokens: 0, kind: .rerank),
      Exchange(profile: .padded, size: 9, tokens: 0, kind: .count),
    ]
  }

  @Test(arguments: Exchange.all)
  func `our node opens what the second client sealed, and the client opens its answer`(
    exchange: Exchange
  ) throws {
    let (profile, tokens) = (exchange.profile, exchange.tokens)
    let machines = [try Fixture(seed: 1), try Fixture(seed: 2)]
    var request = Fixture.request(
      content: String(repeating: "é", count: exchange.size / 2), part: exchange.part)
    request.kind = exchange.kind
    var values: [String: [UInt8]] = [
      "node": machines[0].identity.node.digest.bytes,
      "node-encryption-key": machines[0].target.keys.encryptionKey.bytes,
      "receipt-key": machines[0].target.keys.receiptKey.bytes,
      "other-node": machines[1].identity.node.digest.bytes,
      "other-encryption-key": machines[1].target.keys.encryptionKey.bytes,
      "canonical-request": request.encoded, "model": Fixture.model.digest.bytes,
      "kind": [request.kind.rawValue], "token-class": [TokenClass.upTo256.rawValue],
      "deadline": [0x75, 0x30], "padding": [profile.rawValue],
      "answer-id": Fixture.answer.bytes, "part": [UInt8(exchange.part)],
      "record": machines[0].record.encoded,
    ]
    values.merge(try Self.run("seal", values)) { $1 }
    let envelope = try #require(values["envelope"])

    for machine in machines {
      var opener = machine.opener()
      let opened = try opener.open(envelope, at: Fixture.now)
      #expect(try opened.content.get() == request)
    }
    var opener = machines[0].opener()
    var sealer = try opener.open(envelope, at: Fixture.now).answer(start: Fixture.now)
    var answer: [UInt8] = []
    var shown = ""
    for index in 0..<tokens {
      let text = String(repeating: "ab\(index)", count: 1 + index * 7)
      shown += text
      try sealer.send([Fixture.frame(UInt32(index), text)], into: &answer)
      while sealer.needsTicks, index % 2 == 0 { try sealer.tick(into: &answer) }
    }
    _ = try sealer.receipt(Fixture.counts(mode: exchange.mode), into: &answer)
    while sealer.needsTicks { try sealer.tick(into: &answer) }
    _ = try sealer.finish(Fixture.counts(.stop, mode: exchange.mode), into: &answer)
    values["answer"] = answer
    let opened = try Self.run("open", values)
    #expect(opened["shown"].map { String(decoding: $0, as: UTF8.self) } == shown)
    #expect(opened["tokens"] == [0, 0, 0, UInt8(tokens)])

    // What was changed on the way is not opened, by this client either.
    answer[answer.count / 2] ^= 1
    values["answer"] = answer
    #expect(throws: TestSupportError.self) { _ = try Self.run("open", values) }
  }
}
