import BloomBase
import BloomHTTP
import Testing

@Suite struct RequestParserTests {
  static let valid: [(text: String, trace: String)] = [
    (
      "GET /v1/models?a=b HTTP/1.1\r\nHost: localhost:8642\r\nX-A:  b c \t\r\n\r\n",
      "GET /v1/models?a=b http11 none keep=true host=localhost:8642|x-a=b c; end"
    ),
    (
      "POST / HTTP/1.1\r\nhOST: [::1]:80\r\ncontent-LENGTH: 3\r\nConnection: close\r\n\r\nabc",
      "POST / http11 length(3) keep=false host=[::1]:80|content-length=3|connection=close; "
        + "body 616263; end"
    ),
    (
      "PUT /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n"
        + "3;x=\"y\"\r\nabc\r\nA \r\n0123456789\r\n000\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
      "PUT /x http11 chunked keep=true host=a|transfer-encoding=Chunked; "
        + "body 61626330313233343536373839; end; GET / http11 none keep=true host=a; end"
    ),
    ("GET / HTTP/1.0\r\n\r\n", "GET / http10 none keep=false ; end"),
    (
      "GET / HTTP/1.0\r\nConnection: x , Keep-Alive\r\n\r\n",
      "GET / http10 none keep=true connection=x , Keep-Alive; end"
    ),
    (
      "GET http://a.example:81?q HTTP/1.1\r\nHost: A.example:81\r\n\r\n",
      "GET http://a.example:81?q http11 none keep=true host=A.example:81; end"
    ),
    ("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "OPTIONS * http11 none keep=true host=a; end"),
    (
      "CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n\r\n",
      "CONNECT a.example:443 http11 none keep=true host=a.example:443; end"
    ),
    (
      "DELETE /a/%2e HTTP/1.1\r\nHost: a\r\nX:\r\nContent-Length: 0\r\n\r\n",
      "DELETE /a/%2e http11 length(0) keep=true host=a|x=|content-length=0; end"
    ),
  ]

  @Test(arguments: valid.indices)
  func `a valid request gives the same events however it is cut`(_ index: Int) {
    let (text, expected) = Self.valid[index]
    let bytes = Array(text.utf8)
    #expect(requestTrace(bytes, atEnd: true).description == expected)
    for cuts in Cuts.all(bytes.count) {
      #expect(requestTrace(bytes, cuts, atEnd: true).description == expected)
    }
  }

  @Test func `pipelined requests keep their borders`() {
    let one = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi"
    let trace = requestTrace(Array((one + one + one).utf8), atEnd: true)
    #expect(trace.error == nil)
    #expect(trace.steps.filter { $0 == "end" }.count == 3)
    #expect(trace.steps.filter { $0 == "body 6869" }.count == 3)
  }

  @Test func `each limit is the last size that is accepted`() {
    var limits = HTTPLimits()
    limits.maxTargetBytes = 10
    limits.maxFields = 3
    limits.maxBodyBytes = 5
    func code(_ text: String) -> String? { requestTrace(Array(text.utf8), limits: limits).error }
    let host = "Host: a\r\n"
    #expect(code("GET /123456789 HTTP/1.1\r\n\(host)\r\n") == nil)
    #expect(code("GET /1234567890 HTTP/1.1\r\n\(host)\r\n") == "targetTooLong")
    #expect(code("GET / HTTP/1.1\r\n\(host)a: b\r\nc: d\r\n\r\n") == nil)
    #expect(code("GET / HTTP/1.1\r\n\(host)a: b\r\nc: d\r\ne: f\r\n\r\n") == "headTooLarge")
    #expect(code("POST / HTTP/1.1\r\n\(host)Content-Length: 5\r\n\r\n") == nil)
    #expect(code("POST / HTTP/1.1\r\n\(host)Content-Length: 6\r\n\r\n") == "bodyTooLarge")
    let chunked = "POST / HTTP/1.1\r\n\(host)Transfer-Encoding: chunked\r\n\r\n"
    #expect(code(chunked + "3\r\nabc\r\n2\r\nab\r\n0\r\n\r\n") == nil)
    #expect(code(chunked + "3\r\nabc\r\n3\r\n") == "bodyTooLarge")
    #expect(code(chunked + "7fffffffffffffff\r\n") == "malformedChunk")

    let head = Array("GET / HTTP/1.1\r\n\(host)\r\n".utf8)
    limits.maxHeadBytes = head.count
    #expect(requestTrace(head, limits: limits).error == nil)
    limits.maxHeadBytes = head.count - 1
    for cuts in Cuts.all(head.count) {
      #expect(requestTrace(head, cuts, limits: limits).error == "headTooLarge")
    }
  }

  @Test func `the end of the connection inside a request is an error`() {
    let text = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n"
    let bytes = Array(text.utf8)
    for count in 1..<bytes.count {
      #expect(requestTrace(Array(bytes[..<count]), atEnd: true).error == "truncated")
    }
    #expect(requestTrace(bytes, atEnd: true).error == nil)
    #expect(requestTrace([], atEnd: true).error == nil)
  }

  @Test func `continue is asked for only where a body follows`() throws {
    func head(_ text: String) throws -> RequestHead {
      var parser = RequestParser()
      var offset = 0
      guard case .head(let head) = try parser.next(Array(text.utf8).span, at: &offset) else {
        throw HTTPError(.truncated)
      }
      return head
    }
    let expect = "Host: a\r\nExpect: 100-Continue\r\n"
    #expect(try head("PUT / HTTP/1.1\r\n\(expect)Content-Length: 1\r\n\r\n").expectsContinue)
    #expect(try !head("PUT / HTTP/1.1\r\n\(expect)\r\n").expectsContinue)
    #expect(try !head("PUT / HTTP/1.0\r\n\(expect)Content-Length: 1\r\n\r\n").expectsContinue)
    let upgrade = "Host: a\r\nConnection: keep-alive, Upgrade\r\n"
    #expect(try head("GET / HTTP/1.1\r\n\(upgrade)Upgrade: x\r\n\r\n").asksUpgrade)
    #expect(try !head("GET / HTTP/1.1\r\n\(upgrade)\r\n").asksUpgrade)
  }
}
