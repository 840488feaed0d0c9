import BloomBase
import BloomHTTP
import Testing

/// A message that must be refused, because some other parser would read it in another way.
struct Refusal: Sendable, CustomTestStringConvertible {
  let name: String
  let text: String
  let code: HTTPError.Code

  init(_ name: String, _ text: String, _ code: HTTPError.Code) {
    self.name = name
    self.text = text
    self.code = code
  }

  var testDescription: String { name }

  static let host = "Host: a.example\r\n"
  static func post(_ fields: String, _ body: String = "") -> String {
    "POST /x HTTP/1.1\r\n\(host)\(fields)\r\n\(body)"
  }
  static func chunked(_ body: String) -> String { post("Transfer-Encoding: chunked\r\n", body) }

  static let all: [Refusal] = [
    // Lengths.
    Refusal(
      "CL and TE", post("Content-Length: 4\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
      .ambiguousFraming),
    Refusal(
      "TE and CL", post("Transfer-Encoding: chunked\r\nContent-Length: 4\r\n", "0\r\n\r\n"),
      .ambiguousFraming),
    Refusal(
      "two lengths", post("Content-Length: 1\r\nContent-Length: 2\r\n", "ab"), .ambiguousFraming),
    Refusal(
      "two equal lengths", post("Content-Length: 1\r\nContent-Length: 1\r\n", "a"),
      .ambiguousFraming),
    Refusal("length list", post("Content-Length: 1, 1\r\n", "a"), .ambiguousFraming),
    Refusal("signed length", post("Content-Length: +1\r\n", "a"), .ambiguousFraming),
    Refusal("negative length", post("Content-Length: -1\r\n", "a"), .ambiguousFraming),
    Refusal("hexadecimal length", post("Content-Length: 0x1\r\n", "a"), .ambiguousFraming),
    Refusal("empty length", post("Content-Length:\r\n"), .ambiguousFraming),
    Refusal("length with a space", post("Content-Length: 1 1\r\n"), .ambiguousFraming),
    Refusal(
      "length that overflows", post("Content-Length: 18446744073709551617\r\n", "a"),
      .ambiguousFraming),
    Refusal("fraction", post("Content-Length: 1.0\r\n", "a"), .ambiguousFraming),
    // Transfer codings.
    Refusal("gzip", post("Transfer-Encoding: gzip\r\n"), .unsupportedCoding),
    Refusal("gzip, chunked", post("Transfer-Encoding: gzip, chunked\r\n"), .unsupportedCoding),
    Refusal(
      "chunked, identity", post("Transfer-Encoding: chunked, identity\r\n"), .unsupportedCoding),
    Refusal("identity", post("Transfer-Encoding: identity\r\n"), .unsupportedCoding),
    Refusal(
      "chunked twice in a list", post("Transfer-Encoding: chunked, chunked\r\n"), .unsupportedCoding
    ),
    Refusal(
      "TE twice", post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
      .ambiguousFraming),
    Refusal("TE with a quote", post("Transfer-Encoding: \"chunked\"\r\n"), .unsupportedCoding),
    Refusal("TE with a parameter", post("Transfer-Encoding: chunked;q=1\r\n"), .unsupportedCoding),
    Refusal(
      "TE with a vertical tab", post("Transfer-Encoding: \u{0b}chunked\r\n"), .malformedField),
    Refusal("empty TE", post("Transfer-Encoding:\r\n"), .unsupportedCoding),
    Refusal(
      "TE in HTTP/1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
      .ambiguousFraming),
    Refusal(
      "body of CONNECT",
      "CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\nContent-Length: 1\r\n\r\na",
      .ambiguousFraming),
    // Lines.
    Refusal("obs-fold", post("X: a\r\n b\r\n"), .malformedField),
    Refusal("obs-fold with a tab", post("X: a\r\n\tb\r\n"), .malformedField),
    Refusal("fold of the first field", "GET / HTTP/1.1\r\n Host: a\r\n\r\n", .malformedField),
    Refusal("bare LF", "GET / HTTP/1.1\nHost: a.example\n\n", .malformedLine),
    Refusal("bare LF in a field", post("X: a\nY: b\r\n"), .malformedLine),
    Refusal("bare LF at the end", "GET / HTTP/1.1\r\nHost: a.example\r\n\n", .malformedLine),
    Refusal("bare CR in a value", post("X: a\rY: b\r\n"), .malformedLine),
    Refusal("CR CR LF", post("X: a\r\r\n"), .malformedLine),
    Refusal("bare CR in the first line", "GET /\r HTTP/1.1\r\n\(host)\r\n", .malformedLine),
    Refusal("NUL in a value", post("X: a\0b\r\n"), .malformedField),
    Refusal("NUL in a name", post("X\0: a\r\n"), .malformedField),
    Refusal("DEL in a value", post("X: a\u{7f}b\r\n"), .malformedField),
    Refusal("space before the colon", post("Content-Length : 1\r\n", "a"), .malformedField),
    Refusal("tab before the colon", post("Content-Length\t: 1\r\n", "a"), .malformedField),
    Refusal("no colon", post("Content-Length\r\n"), .malformedField),
    Refusal("empty name", post(": 1\r\n"), .malformedField),
    Refusal("space in a name", post("X Y: 1\r\n"), .malformedField),
    Refusal("name that is not ASCII", post("X-\u{e9}: 1\r\n"), .malformedField),
    // The first line.
    Refusal("no target", "GET HTTP/1.1\r\n\(host)\r\n", .malformedStartLine),
    Refusal("no version", "GET /\r\n\(host)\r\n", .malformedStartLine),
    Refusal("two spaces", "GET  / HTTP/1.1\r\n\(host)\r\n", .malformedStartLine),
    Refusal("space after the version", "GET / HTTP/1.1 \r\n\(host)\r\n", .malformedStartLine),
    Refusal("tab as a separator", "GET\t/\tHTTP/1.1\r\n\(host)\r\n", .malformedStartLine),
    Refusal("lower-case version", "GET / http/1.1\r\n\(host)\r\n", .malformedStartLine),
    Refusal("version 1.10", "GET / HTTP/1.10\r\n\(host)\r\n", .malformedStartLine),
    Refusal("version 2.0", "GET / HTTP/2.0\r\n\(host)\r\n", .unsupportedVersion),
    Refusal("version 1.2", "GET / HTTP/1.2\r\n\(host)\r\n", .unsupportedVersion),
    Refusal("version 0.9", "GET /\r\n\r\n", .malformedStartLine),
    Refusal("HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", .unsupportedVersion),
    Refusal("TLS", "\u{16}\u{3}\u{1}", .malformedStartLine),
    Refusal("space first", " GET / HTTP/1.1\r\n\(host)\r\n", .malformedStartLine),
    Refusal("empty line first", "\r\nGET / HTTP/1.1\r\n\(host)\r\n", .malformedStartLine),
    // Targets.
    Refusal("control character", "GET /a\u{1}b HTTP/1.1\r\n\(host)\r\n", .malformedStartLine),
    Refusal("raw UTF-8", "GET /\u{e9} HTTP/1.1\r\n\(host)\r\n", .badTarget),
    Refusal("fragment", "GET /a#b HTTP/1.1\r\n\(host)\r\n", .badTarget),
    Refusal("no slash", "GET a HTTP/1.1\r\n\(host)\r\n", .badTarget),
    Refusal("asterisk of GET", "GET * HTTP/1.1\r\n\(host)\r\n", .badTarget),
    Refusal("authority of GET", "GET a.example:80 HTTP/1.1\r\n\(host)\r\n", .badTarget),
    Refusal("path of CONNECT", "CONNECT / HTTP/1.1\r\n\(host)\r\n", .badTarget),
    Refusal("CONNECT without a port", "CONNECT a.example HTTP/1.1\r\n\(host)\r\n", .badTarget),
    Refusal("other scheme", "GET ftp://a.example/ HTTP/1.1\r\n\(host)\r\n", .badTarget),
    Refusal(
      "absolute form of another host", "GET http://b.example/ HTTP/1.1\r\n\(host)\r\n", .badHost),
    Refusal(
      "absolute form of another port", "GET http://a.example:81/ HTTP/1.1\r\n\(host)\r\n", .badHost),
    Refusal(
      "absolute form with a user", "GET http://u@a.example/ HTTP/1.1\r\n\(host)\r\n", .badTarget),
    // Host.
    Refusal("no Host", "GET / HTTP/1.1\r\n\r\n", .badHost),
    Refusal("two Hosts", "GET / HTTP/1.1\r\n\(host)\(host)\r\n", .badHost),
    Refusal("empty Host", "GET / HTTP/1.1\r\nHost:\r\n\r\n", .badHost),
    Refusal("Host list", "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", .badHost),
    Refusal("Host with a path", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", .badHost),
    Refusal("Host with a user", "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", .badHost),
    Refusal("Host with a bad port", "GET / HTTP/1.1\r\nHost: a:99999\r\n\r\n", .badHost),
    Refusal("Host with an empty port", "GET / HTTP/1.1\r\nHost: a:\r\n\r\n", .badHost),
    Refusal("Host with an escape", "GET / HTTP/1.1\r\nHost: a%2e\r\n\r\n", .badHost),
    Refusal("bad IPv6 Host", "GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", .badHost),
    Refusal(
      "expectation", post("Expect: 200-maybe\r\nContent-Length: 1\r\n"), .unsupportedExpectation),
    // Chunks.
    Refusal("no size", chunked("\r\nabc\r\n0\r\n\r\n"), .malformedChunk),
    Refusal("size with 0x", chunked("0x3\r\nabc\r\n0\r\n\r\n"), .malformedChunk),
    Refusal("signed size", chunked("+3\r\nabc\r\n0\r\n\r\n"), .malformedChunk),
    Refusal(
      "size that overflows", chunked("10000000000000003\r\nabc\r\n0\r\n\r\n"), .malformedChunk),
    Refusal("size of sixteen digits", chunked("0000000000000003\r\nabc\r\n"), .malformedChunk),
    Refusal("space before the size", chunked(" 3\r\nabc\r\n0\r\n\r\n"), .malformedChunk),
    Refusal("bare LF after the size", chunked("3\nabc\r\n0\r\n\r\n"), .malformedChunk),
    Refusal("bare LF in an extension", chunked("3;a\nabc\r\n0\r\n\r\n"), .malformedChunk),
    Refusal("bare CR in an extension", chunked("3;a\rb\r\nabc\r\n0\r\n\r\n"), .malformedChunk),
    Refusal("NUL in an extension", chunked("3;\0\r\nabc\r\n0\r\n\r\n"), .malformedChunk),
    Refusal(
      "long extensions", chunked("3;" + String(repeating: "a", count: 1_100) + "\r\nabc"),
      .malformedChunk),
    Refusal("data longer than its size", chunked("3\r\nabcd\r\n0\r\n\r\n"), .malformedChunk),
    Refusal("data without its line end", chunked("3\r\nabc0\r\n\r\n"), .malformedChunk),
    Refusal("bare LF after data", chunked("3\r\nabc\n0\r\n\r\n"), .malformedChunk),
    Refusal("trailer", chunked("0\r\nX: y\r\n\r\n"), .malformedChunk),
    Refusal("length as a trailer", chunked("0\r\nContent-Length: 5\r\n\r\n"), .malformedChunk),
    Refusal("bare LF at the end of chunks", chunked("0\r\n\n"), .malformedChunk),
  ]
}

@Suite struct SmugglingTests {
  @Test(arguments: Refusal.all)
  func `an ambiguous request is refused however it is cut`(_ refusal: Refusal) {
    let bytes = Array(refusal.text.utf8)
    #expect(requestTrace(bytes).error == "\(refusal.code)")
    for cuts in Cuts.all(bytes.count) {
      let trace = requestTrace(bytes, cuts)
      #expect(trace.error == "\(refusal.code)", "cut at \(cuts.places.prefix(3))")
    }
  }

  @Test func `every refusal is a client error or an unsupported feature`() {
    for refusal in Refusal.all {
      let status = HTTPError(refusal.code).status.code
      #expect((400..<500).contains(status) || status == 501 || status == 505, "\(refusal.name)")
    }
  }

  @Test func `a failed parser stays failed`() {
    var parser = RequestParser()
    for text in ["GET / HTTP/1.1\n", "GET / HTTP/1.1\r\nHost: a\r\n\r\n"] {
      let bytes = Array(text.utf8)
      var offset = 0
      #expect(throws: HTTPError(.malformedLine)) { _ = try parser.next(bytes.span, at: &offset) }
    }
    #expect(throws: HTTPError(.malformedLine)) { try parser.finish() }
  }
}
