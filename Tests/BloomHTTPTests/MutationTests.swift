import BloomBase
import BloomHTTP
import Testing

/// Small random changes to messages that are nearly right: what a fuzzer does, in the normal suite.
@Suite struct MutationTests {
  static func mutate(_ bytes: [UInt8], using generator: inout SeededGenerator) -> [UInt8] {
    let tokens = [
      "\r\n", "\n", "\r", "\0", " ", ":", "0", "chunked", ",", ";", "--", "Host: b\r\n", "\u{ff}",
    ]
    var result = bytes
    for _ in 0..<Int.random(in: 1...3, using: &generator) {
      let place = Int.random(in: 0...result.count, using: &generator)
      switch Int.random(in: 0..<5, using: &generator) {
      case 0 where place < result.count: result.remove(at: place)
      case 1 where place < result.count:
        result[place] = UInt8.random(in: 0...255, using: &generator)
      case 2: result.insert(UInt8.random(in: 0...255, using: &generator), at: place)
      case 3 where !result.isEmpty:
        let end = min(result.count, place + 8)
        result.insert(contentsOf: result[min(place, end)..<end], at: place)
      default:
        result.insert(
          contentsOf: tokens.randomElement(using: &generator)?.utf8 ?? "".utf8, at: place)
      }
    }
    return result
  }

  /// Runs a parser on many mutants, whole and cut; both must say the same.
  static func check(
    _ seeds: [[UInt8]], rounds: Int = 1_500, _ trace: ([UInt8], Cuts) -> Trace
  ) {
    var generator = SeededGenerator(seed: 7)
    for round in 0..<rounds {
      guard let seed = seeds.randomElement(using: &generator) else { return }
      let bytes = mutate(seed, using: &generator)
      let cuts = Cuts.random(bytes.count, using: &generator)
      let whole = trace(bytes, .none)
      #expect(
        whole.agrees(with: trace(bytes, cuts)),
        "round \(round): \(Hex.encode(bytes)) at \(cuts.places)")
    }
  }

  static let requests =
    RequestParserTests.valid.map { Array($0.text.utf8) }
    + Refusal.all.map { Array($0.text.utf8) }

  @Test func `requests`() { Self.check(Self.requests, rounds: 4_000) { requestTrace($0, $1) } }

  @Test func `responses`() {
    let seeds =
      ResponseParserTests.valid.map { Array($0.text.utf8) }
      + ResponseParserTests.refused.map { Array($0.text.utf8) }
    Self.check(seeds) { responseTrace($0, $1) }
  }

  @Test func `frames`() {
    let seeds = WebSocketTests.valid.map(\.bytes) + WebSocketTests.refused.map(\.bytes)
    Self.check(seeds) { socketTrace($0, $1) }
  }

  @Test func `event streams`() {
    Self.check(SSETests.streams.map { Array($0.text.utf8) }) { eventTrace($0, $1) }
  }

  @Test func `forms`() {
    let seeds =
      MultipartTests.valid.map { Array($0.text.utf8) }
      + MultipartTests.refused.map { Array($0.text.utf8) }
    Self.check(seeds) { formTrace($0, $1) }
  }

  @Test func `targets never trap`() {
    let seeds = ["/a%20b?c=d&e", "http://a.example:80/x", "[2001:db8::1]:443", "a.example:1"]
    var generator = SeededGenerator(seed: 11)
    var accepted = 0
    for _ in 0..<3_000 {
      guard let seed = seeds.randomElement(using: &generator) else { return }
      let bytes = Self.mutate(Array(seed.utf8), using: &generator)
      let text = String(decoding: bytes, as: UTF8.self)
      if let authority = Authority(text) {
        accepted += 1
        #expect(Authority(authority.description) == authority)
      }
      if let target = try? RequestTarget(origin: text) {
        accepted += 1
        _ = try? target.segments()
        _ = try? target.queryItems()
      }
      if let url = try? HTTPURL(text) { #expect((try? HTTPURL(url.description)) == url) }
    }
    #expect(accepted > 100)
  }
}
