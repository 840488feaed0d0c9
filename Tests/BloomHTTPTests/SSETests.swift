import BloomHTTP
import Testing

@Suite struct SSETests {
  static let streams: [(text: String, trace: String)] = [
    ("data: a\n\n", "message [a] ; retry -1"),
    ("data: a\r\rdata:b\r\n\r\n", "message [a] ; message [b] ; retry -1"),
    ("data: a\ndata:  b\ndata\n\n", "message [a\n b\n] ; retry -1"),
    (": comment\n\nevent: x\n\ndata: a\n\n", "message [a] ; retry -1"),
    (
      "event: x\nid: 7\ndata: a\n\ndata: b\n\nid\ndata: c\n\n",
      "x [a] 7; message [b] 7; message [c] ; retry -1"
    ),
    ("\u{feff}data: a\n\n\u{feff}data: b\n\n", "message [a] ; retry -1"),
    ("retry: 250\nretry: x\nretry: -1\nretry:\n\n", "retry 250"),
    ("id: a\0b\ndata: x\n\n", "message [x] ; retry -1"),
    ("Data: a\ndata : b\ndatab: c\n\n", "retry -1"),
    ("data: a\n", "retry -1"),
    ("data\n\n", "message [] ; retry -1"),
    ("data: \u{e9}\u{1f600}\n\n", "message [\u{e9}\u{1f600}] ; retry -1"),
    ("data: [DONE]\r\n\r\n", "message [[DONE]] ; retry -1"),
  ]

  @Test(arguments: streams.indices)
  func `a stream gives the same events however it is cut`(_ index: Int) {
    let (text, expected) = Self.streams[index]
    let bytes = Array(text.utf8)
    #expect(eventTrace(bytes).description == expected)
    for cuts in Cuts.all(bytes.count) { #expect(eventTrace(bytes, cuts).description == expected) }
  }

  @Test func `what is written is read`() {
    var output: [UInt8] = []
    SSEEncoder.append("a\nb\r\nc\rd\n", type: "de\r\nlta", id: "1\n2", to: &output)
    SSEEncoder.appendComment("data: no\n\ndata: no", to: &output)
    SSEEncoder.appendRetry(milliseconds: 10, to: &output)
    SSEEncoder.append("", to: &output)
    SSEEncoder.append(" x", to: &output)
    #expect(
      eventTrace(output).description
        == "delta [a\nb\nc\nd\n] 12; message [] 12; message [ x] 12; retry 10")
  }

  @Test func `lines and events have limits`() {
    var limits = SSELimits()
    limits.maxLineBytes = 10
    limits.maxEventBytes = 10
    let fits = Array("data: 1234\n\n".utf8)
    let long = Array("data: 12345\n\n".utf8)
    for cuts in Cuts.all(fits.count) {
      #expect(eventTrace(fits, cuts, limits: limits).error == nil)
      #expect(eventTrace(long, cuts, limits: limits).error == "eventTooLarge")
    }
    let many = Array("data: 1234\ndata: 1234\ndata: 1\n\n".utf8)
    #expect(eventTrace(many, limits: limits).error == "eventTooLarge")
  }
}
