import BloomBase
import BloomHTTP
import Testing

#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

/// Compares our parsers with Python's `h11` and `websockets`, which share no code with them.
///
/// What we accept they must accept with the same meaning and the same border between messages; we
/// may be stricter. Runs `Tests/Peers/http_peers.py` with the Python of `scripts/deps-test`.
@Suite(.timeLimit(.minutes(1))) struct DifferentialTests {
  struct PeerFailed: Error {}

  /// What the peer says to each case, in order.
  static func ask(_ kind: String, _ cases: [[UInt8]]) throws -> [String] {
    let root = "/" + #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
    let input = "/tmp/bloom-differential-\(getpid())-\(kind)"
    defer { _ = unsafe unlink(input) }
    guard let file = unsafe fopen(input, "w") else { throw PeerFailed() }
    for bytes in cases { unsafe fputs("\(kind) \(Hex.encode(bytes))\n", file) }
    unsafe fclose(file)
    let python =
      unsafe getenv("DARKBLOOM_TEST_PYTHON").map { unsafe String(cString: $0) }
      ?? "\(root)/.build/test-python/bin/python"
    let command = "'\(python)' '\(root)/Tests/Peers/http_peers.py' < '\(input)'"
    guard let pipe = unsafe popen(command, "r") else { throw PeerFailed() }
    var output: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 65_536)
    while true {
      let count = unsafe fread(&buffer, 1, buffer.count, pipe)
      if count == 0 { break }
      output += buffer[..<count]
    }
    guard unsafe pclose(pipe) == 0 else { throw PeerFailed() }
    return String(decoding: output, as: UTF8.self).split(
      separator: "\n", omittingEmptySubsequences: false
    ).dropLast().map(String.init)
  }

  static func mutants(_ seeds: [[UInt8]], _ count: Int) -> [[UInt8]] {
    var generator = SeededGenerator(seed: 23)
    return seeds
      + (0..<count).compactMap { _ in
        seeds.randomElement(using: &generator).map {
          MutationTests.mutate($0, using: &generator)
        }
      }
  }

  /// The first request in the words of `Tests/Peers/http_peers.py`; `nil` when we refuse it.
  static func request(_ bytes: [UInt8]) -> String? {
    var parser = RequestParser()
    var offset = 0
    var words: [String] = []
    var body: [UInt8] = []
    do {
      while let event = try parser.next(bytes.span, at: &offset) {
        switch event {
        case .head(let head):
          let version = head.version == .http11 ? "1.1" : "1.0"
          words.append("head \(head.method) \(head.target) \(version)")
        case .body(let range): body += bytes[range]
        case .end:
          words += ["body \(Hex.encode(body))", "end \(bytes.count - offset)"]
          return words.joined(separator: ";")
        }
      }
    } catch { return nil }
    return (words + ["body \(Hex.encode(body))", "more"]).joined(separator: ";")
  }

  static func response(_ bytes: [UInt8]) -> String? {
    var parser = ResponseParser()
    _ = parser.expect(.get)
    var offset = 0
    var words: [String] = []
    var body: [UInt8] = []
    do {
      while let event = try parser.next(bytes.span, at: &offset) {
        switch event {
        case .interim(let head): words.append("interim \(head.status.code)")
        case .head(let head): words.append("head \(head.status.code)")
        case .body(let range): body += bytes[range]
        case .end:
          words += ["body \(Hex.encode(body))", "end \(bytes.count - offset)"]
          return words.joined(separator: ";")
        }
      }
    } catch { return nil }
    return (words + ["body \(Hex.encode(body))", "more"]).joined(separator: ";")
  }

  /// Counts agreement and reports every case that we alone accept, or read in another way.
  static func compare(
    _ kind: String, _ cases: [[UInt8]], _ ours: ([UInt8]) -> String?
  ) throws {
    let theirs = try ask(kind, cases)
    try #require(theirs.count == cases.count)
    var both = 0
    for (bytes, their) in zip(cases, theirs) {
      guard let our = ours(bytes) else { continue }
      both += 1
      #expect(our == their, "\(String(decoding: bytes, as: UTF8.self).debugDescription)")
    }
    #expect(both > cases.count / 20, "too few accepted cases to compare")
  }

  @Test func `requests mean the same to h11`() throws {
    try Self.compare("request", Self.mutants(MutationTests.requests, 3_000), Self.request)
  }

  @Test func `responses mean the same to h11`() throws {
    let seeds = ResponseParserTests.valid.map { Array($0.text.utf8) }
    try Self.compare("response", Self.mutants(seeds, 1_500), Self.response)
  }

  @Test func `frames mean the same to websockets`() throws {
    let seeds = WebSocketTests.valid.map(\.bytes) + WebSocketTests.refused.map(\.bytes)
    try Self.compare("frames", Self.mutants(seeds, 1_500)) { bytes in
      let trace = socketTrace(bytes)
      guard trace.error == nil else { return nil }
      return trace.steps.joined(separator: ";")
    }
  }
}
