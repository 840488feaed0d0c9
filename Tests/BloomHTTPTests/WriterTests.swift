import BloomBase
import BloomHTTP
import Testing

@Suite struct WriterTests {
  func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }

  @Test func `a value that would split a message cannot be made`() {
    for bad in ["a\r\nX: y", "a\n", "\r", "\0", "a\u{7f}", "\u{1b}[0m"] {
      #expect(throws: HTTPError(.unsafeField)) { try HTTPFieldValue(bad) }
      #expect(throws: HTTPError(.unsafeField)) { try HTTPFieldName(bad) }
    }
    for bad in ["", "a b", "a:", "\u{e9}", String(repeating: "a", count: 257)] {
      #expect(throws: HTTPError(.unsafeField)) { try HTTPFieldName(bad) }
    }
    #expect(HTTPMethod("GET /") == nil && HTTPMethod("") == nil)
    #expect(throws: HTTPError(.badTarget)) { try RequestTarget(origin: "/a b") }
    #expect(throws: HTTPError(.badTarget)) { try RequestTarget(origin: "/a\r\nX: y") }
  }

  @Test func `values lose only white space at their ends`() throws {
    for (given, kept) in [(" \ta \t b\t ", "a \t b"), ("   ", ""), ("h\u{e9}", "h\u{e9}")] {
      #expect(try HTTPFieldValue(given).text == kept)
    }
  }

  @Test func `fields keep order and ignore case`() throws {
    var fields = HTTPFields()
    fields.add("X-A", "1")
    fields.add("x-b", "2")
    fields.add("x-a", "3")
    #expect(fields["X-a"] == "1")
    #expect(fields.values("X-A") == ["1", "3"])
    fields.set("X-A", "4")
    #expect(fields.values("x-a") == ["4"] && fields.count == 2)
    fields.remove("x-B")
    #expect(fields["x-b"] == nil && !fields.isEmpty)
    #expect("\(fields)" == "X-A")
    fields.add(.accept, "text/a, Text/B ;q=1,text/event-stream")
    #expect(fields.list(.accept, contains: "text/event-stream"))
    #expect(!fields.list(.accept, contains: "text"))
  }

  @Test func `the writers alone speak about framing`() {
    var fields = HTTPFields()
    fields.add(.contentLength, "999")
    fields.add(.transferEncoding, "chunked")
    fields.add(.connection, "close")
    fields.add(.contentType, "text/plain")
    var output: [UInt8] = []
    let date = HTTPDate.bytes(UnixTime(784_111_777))
    HTTPWriter.append(
      ResponseHead(.ok, fields: fields, framing: .length(2)), date: date, to: &output)
    #expect(
      text(output) == "HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
        + "Content-Length: 2\r\nContent-Type: text/plain\r\n\r\n")
  }

  @Test func `a written response is read as it was meant`() throws {
    for code in [200, 201, 204, 304, 404, 599] {
      for framing in [BodyFraming.none, .length(3), .chunked, .untilClose] {
        let status = try #require(HTTPStatus(code))
        var output: [UInt8] = []
        HTTPWriter.append(ResponseHead(status, framing: framing), to: &output)
        let body = Array("abc".utf8)
        if !status.hasNoBody {
          switch framing {
          case .none: break
          case .length, .untilClose: output += body
          case .chunked:
            HTTPWriter.appendChunk(body.span, to: &output)
            HTTPWriter.appendLastChunk(to: &output)
          }
        }
        let trace = responseTrace(output)
        #expect(trace.error == nil && trace.steps.last == "end")
        #expect(trace.steps.contains("body 616263") == (!status.hasNoBody && framing != .none))
      }
    }
  }

  @Test func `a written request is read as it was meant`() throws {
    var fields = HTTPFields()
    fields.add(.host, "evil.example")
    fields.add(.accept, "*/*")
    var head = RequestHead(.post, try RequestTarget(origin: "/v1/x?y=z"), fields: fields)
    head.framing = .chunked
    head.expectsContinue = true
    head.keepsAlive = false
    var output: [UInt8] = []
    let host = try #require(Authority("a.example:8640"))
    HTTPWriter.append(head, host: host, to: &output)
    HTTPWriter.appendChunk(Array("hello".utf8).span, to: &output)
    HTTPWriter.appendChunk([UInt8]().span, to: &output)
    HTTPWriter.appendLastChunk(to: &output)
    #expect(
      requestTrace(output, atEnd: true).description
        == "POST /v1/x?y=z http11 chunked keep=false host=a.example:8640|"
        + "transfer-encoding=chunked|connection=close|expect=100-continue|accept=*/*; "
        + "body 68656c6c6f; end")
  }

  @Test func `chunk sizes are hexadecimal`() {
    for size in [1, 9, 10, 15, 16, 255, 256, 65_535, 65_536, 1 << 40, Int.max] {
      var output: [UInt8] = []
      HTTPWriter.appendChunkSize(size, to: &output)
      #expect(text(output) == String(size, radix: 16) + "\r\n")
    }
  }

  @Test func `a refusal is a whole response that closes`() {
    for code in HTTPError.Code.allCases {
      let trace = responseTrace(HTTPWriter.refusal(HTTPError(code)))
      #expect(trace.error == nil && trace.steps.last == "end")
      #expect(trace.steps.first?.contains("keep=false") == true)
    }
  }

  @Test func `dates follow the calendar`() {
    let known: [(Int64, String)] = [
      (0, "Thu, 01 Jan 1970 00:00:00 GMT"), (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
      (1_709_251_199, "Thu, 29 Feb 2024 23:59:59 GMT"),
      (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT"), (-1, "Wed, 31 Dec 1969 23:59:59 GMT"),
      (Int64.max, "Fri, 31 Dec 9999 23:59:59 GMT"), (Int64.min, "Sat, 01 Jan 0000 00:00:00 GMT"),
    ]
    for (seconds, expected) in known {
      #expect(text(HTTPDate.bytes(UnixTime(seconds))) == expected)
      #expect(HTTPDate.time(expected).map { HTTPDate.bytes($0) } == Array(expected.utf8))
    }
    for seconds in [Int64(0), 951_782_400, 4_107_542_400] {
      #expect(HTTPDate.time(text(HTTPDate.bytes(UnixTime(seconds))))?.seconds == seconds)
    }
  }

  @Test(arguments: [
    "", "Fri, 01 Jan 1970 00:00:00 GMT", "Thu, 1 Jan 1970 00:00:00 GMT",
    "Thu, 01 Jan 1970 00:00:00 UTC", "Thu, 01 Jan 1970 00:00:60 GMT",
    "Mon, 29 Feb 2100 00:00:00 GMT", "Thursday, 01-Jan-70 00:00:00 GMT",
    "Thu, 9223372036854775807 Jan 1970 00:00:00 GMT",
  ])
  func `what is no date of HTTP is not read`(date: String) {
    #expect(HTTPDate.time(date) == nil)
  }
}
