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

  @Test(arguments: [(PaddingProfile.padded, 0, 3), (.off, 40_000, 1), (.steady, 300_000, 40)])
  func `our node opens what the second client sealed, and the client opens its answer`(
    profile: PaddingProfile, size: Int, tokens: Int
  ) throws {
    let machines = [try Fixture(seed: 1), try Fixture(seed: 2)]
    let request = Fixture.request(content: String(repeating: "é", count: size / 2))
    var values: [String: [UInt8]] = [
      "node": machines[0].identity.node.digest.bytes,
      "node-encryption-key": machines[0].target.keys.encryptionKey.bytes,
      "receipt-key": machines[0].target.keys.receiptKey.bytes,
      "other-node": machines[1].identity.node.digest.bytes,
      "other-encryption-key": machines[1].target.keys.encryptionKey.bytes,
      "canonical-request": request.encoded, "model": Fixture.model.digest.bytes,
      "kind": [request.kind.rawValue], "token-class": [TokenClass.upTo256.rawValue],
      "deadline": [0x75, 0x30], "padding": [profile.rawValue],
      "answer-id": Fixture.answer.bytes, "part": [0],
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
    _ = try sealer.receipt(Fixture.counts(), into: &answer)
    while sealer.needsTicks { try sealer.tick(into: &answer) }
    _ = try sealer.finish(Fixture.counts(.stop), into: &answer)
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
