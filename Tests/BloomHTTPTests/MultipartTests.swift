import BloomHTTP
import Testing

@Suite struct MultipartTests {
  static func part(_ head: String, _ content: String) -> String {
    "--b0\r\nContent-Disposition: form-data; \(head)\r\n\r\n\(content)\r\n"
  }

  static let valid: [(text: String, trace: String)] = [
    (part("name=a", "x") + "--b0--\r\n", "part a -; body 78; partEnd; end"),
    (
      "ignored\r\n"
        + part("name=\"f\"; filename=\"a \\\"b\\\\.txt\"\r\nContent-Type: x/y", "\r\n--b\r\n")
        + part("name=\"\"", "") + "--b0-- ignored --b0--",
      "part f a \"b\\.txt; body 0d0a2d2d620d0a; partEnd; part  -; partEnd; end"
    ),
    ("--b0--", "end"),
    (
      part("name=a", "\r\r\n-\r\n--\r\n--b1") + "--b0--",
      "part a -; body 0d0d0a2d0d0a2d2d0d0a2d2d6231; partEnd; end"
    ),
  ]

  @Test(arguments: valid.indices)
  func `a form gives the same events however it is cut`(_ index: Int) {
    let (text, expected) = Self.valid[index]
    let bytes = Array(text.utf8)
    #expect(formTrace(bytes).description == expected)
    for cuts in Cuts.all(bytes.count) { #expect(formTrace(bytes, cuts).description == expected) }
  }

  static let refused: [(text: String, code: String)] = [
    ("", "truncated"),
    ("--b0", "truncated"),
    (part("name=a", "x"), "truncated"),
    (part("name=a", "x") + "--b0-", "truncated"),
    ("--b0x\r\n", "malformedMultipart"),
    ("--b0 \r\n", "malformedMultipart"),
    ("--b0\r\n\r\nx\r\n--b0--", "malformedMultipart"),
    ("--b0\r\nContent-Type: x/y\r\n\r\nx\r\n--b0--", "malformedMultipart"),
    ("--b0\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b0--", "malformedMultipart"),
    ("--b0\nContent-Disposition: form-data; name=a\n\nx\n--b0--", "malformedMultipart"),
    ("--b0\r\nContent-Disposition: form-data; name=a\n\r\n\r\n", "malformedMultipart"),
    (part("name=a; name=b", "x") + "--b0--", "malformedMultipart"),
    (part("name=a; filename*=utf-8''x", "x") + "--b0--", "malformedMultipart"),
    (part("name=\"a", "x") + "--b0--", "malformedMultipart"),
    (
      part("name=a\r\nContent-Disposition: form-data; name=b", "x") + "--b0--", "malformedMultipart"
    ),
    (part("name=a\r\n folded", "x") + "--b0--", "malformedMultipart"),
  ]

  @Test(arguments: refused.indices)
  func `a bad form is refused however it is cut`(_ index: Int) {
    let (text, code) = Self.refused[index]
    let bytes = Array(text.utf8)
    #expect(formTrace(bytes).error == code)
    for cuts in Cuts.all(bytes.count) { #expect(formTrace(bytes, cuts).error == code) }
  }

  @Test func `content types`() {
    for bad in [
      "", "text/plain", "multipart/mixed; boundary=b0", "multipart/form-data",
      "multipart/form-data; boundary=", "multipart/form-data; boundary=\"b \"",
      "multipart/form-data; boundary=a; boundary=b", "multipart/form-data; boundary=\"a\u{e9}\"",
      "multipart/form-data; boundary=" + String(repeating: "a", count: 71),
      "multipart/form-data, boundary=b0",
    ] {
      #expect(formTrace(Array("--b0--".utf8), type: bad).error == "malformedMultipart", "\(bad)")
    }
    for good in [
      "Multipart/Form-Data; charset=utf-8; Boundary=\"b0\"", "multipart/form-data;boundary=b0;",
    ] {
      #expect(formTrace(Array("--b0--".utf8), type: good).error == nil, "\(good)")
    }
  }

  @Test func `each limit is the last size that is accepted`() {
    var limits = MultipartLimits()
    limits.maxParts = 2
    limits.maxPartBytes = 3
    limits.maxPartHeadBytes = 60
    limits.maxPreambleBytes = 4
    func code(_ text: String) -> String? { formTrace(Array(text.utf8), limits: limits).error }
    let part = Self.part("name=a", "abc")
    #expect(code(part + part + "--b0--") == nil)
    #expect(code(part + part + part + "--b0--") == "multipartTooLarge")
    #expect(code(Self.part("name=a", "abcd") + "--b0--") == "multipartTooLarge")
    #expect(code("abcd\r\n" + part + "--b0--") == nil)
    #expect(code("abcde\r\n" + part + "--b0--") == "multipartTooLarge")
    #expect(
      code(Self.part("name=abcdefghijklmnopqrstuvwxyz", "") + "--b0--") == "multipartTooLarge")
  }
}
