import BloomBase
import BloomCrypto
import BloomOpen
import BloomRecords
import BloomSeal
import BloomWire
import Testing

#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

/// A second client, in Python from docs/protocol.md alone, against our node; both ways, live.
///
/// Runs `Tests/Python/seal_client.py` with the Python of `scripts/deps-test`.
@Suite(.serialized) struct PythonClientTests {
  struct PeerFailed: Error {}

  static let root = "/" + #filePath.split(separator: "/").dropLast(3).joined(separator: "/")

  /// Runs the client on lines `name hex` and gives the lines that it prints.
  static func run(_ mode: String, _ values: [String: [UInt8]]) throws -> [String: [UInt8]] {
    let input = "/tmp/bloom-seal-\(getpid())-\(mode)"
    defer { _ = unsafe unlink(input) }
    guard let file = unsafe fopen(input, "w") else { throw PeerFailed() }
    for (name, bytes) in values { unsafe fputs("\(name) \(Hex.encode(bytes))\n", file) }
    unsafe fclose(file)
    var printed: [String: [UInt8]] = [:]
    for line in try python("\(mode) '\(input)'").split(separator: "\n") {
      let words = line.split(separator: " ", omittingEmptySubsequences: false)
      printed[String(words[0])] = Hex.decode(words[1])
    }
    return printed
  }

  static func python(_ arguments: String) throws -> String {
    let python =
      unsafe getenv("BLOOM_TEST_PYTHON").map { unsafe String(cString: $0) }
      ?? "\(root)/.build/test-python/bin/python"
    let command = "'\(python)' '\(root)/Tests/Python/seal_client.py' \(arguments)"
    guard let pipe = unsafe popen(command, "r") else { throw PeerFailed() }
    var output: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 65_536)
    while case let count = unsafe fread(&buffer, 1, buffer.count, pipe), count > 0 {
      output += buffer[..<count]
    }
    guard unsafe pclose(pipe) == 0 else { throw PeerFailed() }
    return String(decoding: output, as: UTF8.self)
  }

  @Test func `the second client makes the fixed envelope and opens the fixed answer`() throws {
    let said = try Self.python("check '\(Self.root)/Tests/Vectors/seal.txt'")
    #expect(said.contains("opened 'Hello', receipt over 2 tokens verified"))
  }

  @Test func `the second client reads every outer record`() throws {
    let said = try Self.python("outer '\(Self.root)/Tests/Vectors/outer-records.txt'")
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
    #expect(throws: PeerFailed.self) { _ = try Self.run("open", values) }
  }
}
