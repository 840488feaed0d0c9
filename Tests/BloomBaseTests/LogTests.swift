import BloomBase
import Testing

@Suite struct LogTests {
  struct FixedTime: TimeSource {
    func now() -> Instant { Instant(nanoseconds: 0) }
    func unixTime() -> UnixTime { UnixTime(1_700_000_000) }
  }

  struct Refused: PublicError { var publicDescription: String { "the \"peer\" refused" } }
  struct Private: Error { let prompt = "tell me a secret" }

  func log(_ minimum: LogLevel = .debug) -> (Log, RecentLog) {
    let sink = RecentLog(capacity: 3)
    return (Log("net", minimum: minimum, sink: sink, time: FixedTime()), sink)
  }

  @Test func `an entry is one line of JSON or of text`() {
    let (log, sink) = log()
    log.warning(
      "link lost",
      ["port": 8640, "retry": true, "why": .error(Refused()), "after": .microseconds(.seconds(2))])
    let entry = sink.recent[0]
    #expect(
      entry.json
        == #"{"time":1700000000,"level":"warning","component":"net","event":"link lost","#
        + #""port":8640,"retry":true,"why":"the \"peer\" refused","after":2000000}"#)
    #expect(
      entry.text
        == #"warning: net: link lost port=8640 retry=true why=the "peer" refused after=2000000"#)
  }

  @Test func `an error without a public text gives its type alone`() {
    let (log, sink) = log()
    log.error("failed", ["error": .error(Private())])
    #expect(!sink.recent[0].json.contains("secret"))
    #expect(sink.recent[0].json.contains("internal error (Private)"))
  }

  @Test func `entries below the level are not made`() {
    let (log, sink) = log(.warning)
    var made = 0
    func fields() -> KeyValuePairs<StaticString, LogValue> {
      made += 1
      return [:]
    }
    log.info("a", fields())
    log.error("b", fields())
    #expect(made == 1 && sink.recent.map(\.event) == ["b"])
  }

  @Test func `the oldest entries make room`() {
    let (log, sink) = log()
    for _ in 0..<5 { log.info("x") }
    log.named("other").info("y")
    #expect(sink.recent.map(\.component) == ["net", "net", "other"])
  }

  @Test func `a short name cannot hold a sentence`() {
    for good in ["a", "gpt-4o", "meta/Llama-3.1:8b", String(repeating: "a", count: 48)] {
      #expect(ShortName(good) != nil)
    }
    for bad in ["", "a b", "a\n", "\u{e9}", "a\"", String(repeating: "a", count: 49)] {
      #expect(ShortName(bad) == nil)
    }
  }
}
