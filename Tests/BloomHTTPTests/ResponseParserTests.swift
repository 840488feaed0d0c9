import BloomHTTP
import Testing

@Suite struct ResponseParserTests {
  static let valid: [(method: HTTPMethod, text: String, trace: String)] = [
    (
      .get, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
      "200 length(2) keep=true content-length=2; body 6869; end"
    ),
    (
      .get, "HTTP/1.1 200\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
      "200 chunked keep=true transfer-encoding=chunked; body 6869; end"
    ),
    (.get, "HTTP/1.1 200 OK\r\n\r\nhi", "200 untilClose keep=false ; body 6869; end"),
    (.get, "HTTP/1.0 200 OK\r\n\r\n", "200 untilClose keep=false ; end"),
    (
      .get,
      "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 \r\nLink: x\r\n\r\nHTTP/1.1 204 No\r\n\r\n",
      "interim 100; interim 103; 204 none keep=true ; end"
    ),
    (
      .head, "HTTP/1.1 200 OK\r\nContent-Length: 200\r\n\r\n",
      "200 length(200) keep=true content-length=200; end"
    ),
    (
      .get, "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n",
      "304 length(9) keep=true content-length=9; end"
    ),
    (
      .get, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n\u{1}\u{2}",
      "101 none keep=true upgrade=x"
    ),
    (.connect, "HTTP/1.1 200 OK\r\n\r\n\u{16}\u{3}", "200 untilClose keep=false "),
  ]

  @Test(arguments: valid.indices)
  func `a valid response gives the same events however it is cut`(_ index: Int) {
    let (method, text, expected) = Self.valid[index]
    let bytes = Array(text.utf8)
    let upgrade = text.hasPrefix("HTTP/1.1 101")
    #expect(responseTrace(bytes, method: method, upgrade: upgrade).description == expected)
    for cuts in Cuts.all(bytes.count) {
      let trace = responseTrace(bytes, cuts, method: method, upgrade: upgrade)
      #expect(trace.description == expected)
    }
  }

  static let refused: [(text: String, code: HTTPError.Code)] = [
    (
      "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
      .ambiguousFraming
    ),
    ("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na", .ambiguousFraming),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", .unsupportedCoding),
    ("HTTP/1.1 204 No\r\nTransfer-Encoding: chunked\r\n\r\n", .ambiguousFraming),
    ("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", .ambiguousFraming),
    ("HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n", .unexpectedResponse),
    ("HTTP/1.1 20 OK\r\n\r\n", .malformedStartLine),
    ("HTTP/1.1 2000 OK\r\n\r\n", .malformedStartLine),
    ("HTTP/1.1 099 OK\r\n\r\n", .malformedStartLine),
    ("HTTP/2.0 200 OK\r\n\r\n", .unsupportedVersion),
    ("ICY 200 OK\r\n\r\n", .malformedStartLine),
    ("HTTP/1.1 200 OK\n\n", .malformedLine),
    ("HTTP/1.1 200 O\0K\r\n\r\n", .malformedStartLine),
    ("HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n", .malformedField),
    ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", .unexpectedResponse),
    ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc", .truncated),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n", .truncated),
    ("HTTP/1.1 200 OK\r\nTrans", .truncated),
    (String(repeating: "HTTP/1.1 102 P\r\n\r\n", count: 17), .unexpectedResponse),
  ]

  @Test(arguments: refused.indices)
  func `an ambiguous response is refused however it is cut`(_ index: Int) {
    let (text, code) = Self.refused[index]
    let bytes = Array(text.utf8)
    #expect(responseTrace(bytes).error == "\(code)")
    for cuts in Cuts.all(bytes.count) { #expect(responseTrace(bytes, cuts).error == "\(code)") }
  }

  @Test func `bytes before a request are refused`() {
    var parser = ResponseParser()
    let bytes = Array("HTTP/1.1 200 OK\r\n".utf8)
    var offset = 0
    #expect(throws: HTTPError(.unexpectedResponse)) {
      _ = try parser.next(bytes.span, at: &offset)
    }
  }

  @Test func `a second request waits for the first response`() throws {
    var parser = ResponseParser()
    let first = parser.expect(.get)
    let second = parser.expect(.get)
    #expect(first && !second)
    let bytes = Array("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".utf8)
    var offset = 0
    _ = try parser.next(bytes.span, at: &offset)
    let early = parser.expect(.get)
    let end = try parser.next(bytes.span, at: &offset)
    let late = parser.expect(.get)
    #expect(!early && end == .end && late)
  }
}
