import BloomBase
import BloomHTTP
import Testing

@Suite struct WebSocketTests {
  /// One frame by hand, so that wrong ones can be made too.
  static func frame(
    _ first: UInt8, _ payload: [UInt8] = [], mask: UInt32? = 0x37fa_213d, length: [UInt8]? = nil
  ) -> [UInt8] {
    let bit: UInt8 = mask == nil ? 0 : 0x80
    var bytes = [first]
    if let length {
      bytes += [bit | length[0]] + length.dropFirst()
    } else if payload.count < 126 {
      bytes.append(bit | UInt8(payload.count))
    } else {
      bytes += [bit | 126, UInt8(payload.count >> 8), UInt8(payload.count & 0xff)]
    }
    guard let mask else { return bytes + payload }
    let key = [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: mask >> UInt32($0)) }
    return bytes + key + payload.enumerated().map { $1 ^ key[$0 % 4] }
  }

  static func text(_ text: String) -> [UInt8] { Array(text.utf8) }

  static let valid: [(bytes: [UInt8], trace: String)] = [
    (frame(0x81, text("Hello")), "text 48656c6c6f"),
    (frame(0x82), "binary "),
    (frame(0x81), "text "),
    (frame(0x01, text("Hel")) + frame(0x80, text("lo")), "text 48656c6c6f"),
    (
      frame(0x01, text("a")) + frame(0x89, text("p")) + frame(0x00) + frame(0x8a)
        + frame(0x80, text("b")),
      "ping 70; pong ; text 6162"
    ),
    // A character cut between fragments.
    (frame(0x01, [0xe2, 0x82]) + frame(0x80, [0xac]), "text e282ac"),
    (
      frame(0x82, [UInt8](repeating: 7, count: 126)),
      "binary " + String(repeating: "07", count: 126)
    ),
    (frame(0x88), "close - "),
    (frame(0x88, [0x03, 0xe8]), "close 1000 "),
    (frame(0x88, [0x0f, 0xa0] + text("bye")) + [0xff, 0xff], "close 4000 627965"),
    (frame(0x89, [UInt8](repeating: 1, count: 125)), "ping " + String(repeating: "01", count: 125)),
  ]

  @Test(arguments: valid.indices)
  func `valid frames give the same events however they are cut`(_ index: Int) {
    let (bytes, expected) = Self.valid[index]
    #expect(socketTrace(bytes).description == expected)
    for cuts in Cuts.all(bytes.count) { #expect(socketTrace(bytes, cuts).description == expected) }
  }

  static let refused: [(name: String, bytes: [UInt8], code: WebSocketError.Code)] = [
    ("reserved bit 1", frame(0xc1), .malformedFrame),
    ("reserved bit 2", frame(0xa1), .malformedFrame),
    ("reserved bit 3", frame(0x91), .malformedFrame),
    ("opcode 3", frame(0x83), .malformedFrame),
    ("opcode 11", frame(0x8b), .malformedFrame),
    ("not masked", frame(0x81, mask: nil), .malformedFrame),
    ("continuation first", frame(0x80), .misplacedFragment),
    ("text in a message", frame(0x01) + frame(0x81), .misplacedFragment),
    ("continuation after the end", frame(0x81) + frame(0x80), .misplacedFragment),
    ("fragmented ping", frame(0x09), .malformedControl),
    ("long ping", frame(0x89, [UInt8](repeating: 0, count: 126)), .malformedControl),
    ("long close", frame(0x88, [UInt8](repeating: 3, count: 126)), .malformedControl),
    ("long form of a short length", frame(0x82, [1], length: [126, 0, 1]), .malformedFrame),
    (
      "longest form of a short length",
      frame(0x82, length: [127, 0, 0, 0, 0, 0, 0, 0xff, 0xff]), .malformedFrame
    ),
    (
      "length with the top bit", frame(0x82, length: [127, 0x80, 0, 0, 0, 0, 0, 0, 1]),
      .malformedFrame
    ),
    (
      "length that fills memory", frame(0x82, length: [127, 0x7f, 0, 0, 0, 0, 0, 0, 1]),
      .messageTooBig
    ),
    ("close of one byte", frame(0x88, [3]), .malformedClose),
    ("close 999", frame(0x88, [0x03, 0xe7]), .malformedClose),
    ("close 1004", frame(0x88, [0x03, 0xec]), .malformedClose),
    ("close 1005", frame(0x88, [0x03, 0xed]), .malformedClose),
    ("close 1006", frame(0x88, [0x03, 0xee]), .malformedClose),
    ("close 1015", frame(0x88, [0x03, 0xf7]), .malformedClose),
    ("close 2999", frame(0x88, [0x0b, 0xb7]), .malformedClose),
    ("close 5000", frame(0x88, [0x13, 0x88]), .malformedClose),
    ("close reason not UTF-8", frame(0x88, [0x03, 0xe8, 0xff]), .invalidText),
    ("text not UTF-8", frame(0x81, [0xff]), .invalidText),
    ("overlong", frame(0x81, [0xc0, 0x80]), .invalidText),
    ("surrogate", frame(0x81, [0xed, 0xa0, 0x80]), .invalidText),
    ("above U+10FFFF", frame(0x81, [0xf4, 0x90, 0x80, 0x80]), .invalidText),
    ("cut character", frame(0x81, [0xe2, 0x82]), .invalidText),
    ("bad UTF-8 before the last fragment", frame(0x01, [0xf8]), .invalidText),
  ]

  @Test(arguments: refused.indices)
  func `bad frames are refused however they are cut`(_ index: Int) {
    let (name, bytes, code) = Self.refused[index]
    #expect(socketTrace(bytes).error == "\(code)", "\(name)")
    for cuts in Cuts.all(bytes.count) {
      #expect(socketTrace(bytes, cuts).error == "\(code)", "\(name)")
    }
  }

  @Test func `a client refuses masked frames`() {
    #expect(socketTrace(Self.frame(0x81), role: .client).error == "malformedFrame")
    #expect(socketTrace(Self.frame(0x81, mask: nil), role: .client).error == nil)
  }

  @Test func `limits hold over all fragments`() {
    var limits = WebSocketLimits()
    limits.maxMessageBytes = 4
    limits.maxFragments = 3
    let part = Self.frame(0x02, [1, 2])
    let more = Self.frame(0x00, [3, 4])
    #expect(socketTrace(part + Self.frame(0x80, [3, 4]), limits: limits).error == nil)
    #expect(
      socketTrace(part + more + Self.frame(0x00, [5]), limits: limits).error == "messageTooBig")
    let empty = Self.frame(0x00)
    #expect(socketTrace(part + empty + empty, limits: limits).error == nil)
    #expect(socketTrace(part + empty + empty + empty, limits: limits).error == "messageTooBig")
  }

  @Test(arguments: [0, 1, 7, 8, 9, 125, 126, 127, 65_535, 65_536, 70_001])
  func `what is written is read`(_ count: Int) {
    let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31) }
    for (mask, role) in [(UInt32(0xdead_beef), WebSocketRole.server), (nil, .client)] {
      var output: [UInt8] = []
      WebSocketWriter.append(.binary(bytes), mask: mask, to: &output)
      WebSocketWriter.append(.text("\u{1f600}"), mask: mask, to: &output)
      WebSocketWriter.appendPing(bytes, mask: mask, to: &output)
      WebSocketWriter.appendClose(
        .normal, reason: String(repeating: "\u{e9}", count: 100), mask: mask, to: &output)
      let expected = [
        "binary \(Hex.encode(bytes))", "text f09f9880", "ping \(Hex.encode(bytes.prefix(125)))",
        "close 1000 \(Hex.encode(String(repeating: "\u{e9}", count: 61).utf8))",
      ]
      let cuts = Cuts(places: [1, 3, output.count / 3, output.count / 2, output.count - 2])
      #expect(socketTrace(output, cuts, role: role).steps == expected)
    }
  }

  @Test func `the handshake of RFC 6455 §1.3`() {
    #expect(
      WebSocketHandshake.accept(key: "dGhlIHNhbXBsZSBub25jZQ==") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
  }

  @Test func `both ends agree on a handshake`() throws {
    let target = try RequestTarget(origin: "/link")
    let sent = try WebSocketHandshake.request(
      target, key: [UInt8](0..<16), subprotocols: ["a.1", "b.2"])
    var bytes: [UInt8] = []
    HTTPWriter.append(sent.head, host: try #require(Authority("a")), to: &bytes)
    var requests = RequestParser()
    var offset = 0
    guard case .head(let head) = try requests.next(bytes.span, at: &offset) else {
      Issue.record("no head")
      return
    }
    let offer = try WebSocketHandshake.check(head)
    #expect(offer.key == sent.key && offer.subprotocols == ["a.1", "b.2"])
    let answer = try WebSocketHandshake.response(to: offer, subprotocol: "b.2")
    bytes = []
    HTTPWriter.append(answer, to: &bytes)
    var responses = ResponseParser()
    _ = responses.expect(.get, asksUpgrade: true)
    offset = 0
    guard case .head(let reply) = try responses.next(bytes.span, at: &offset) else {
      Issue.record("no reply")
      return
    }
    let names = offer.subprotocols
    #expect(try WebSocketHandshake.check(reply, key: sent.key, subprotocols: names) == "b.2")
    #expect(throws: HTTPError(.badHandshake)) {
      try WebSocketHandshake.check(reply, key: sent.key, subprotocols: ["a.1"])
    }
    #expect(throws: HTTPError(.badHandshake)) {
      try WebSocketHandshake.check(reply, key: "x", subprotocols: names)
    }
    #expect(throws: HTTPError(.badHandshake)) {
      try WebSocketHandshake.response(to: offer, subprotocol: "c")
    }
  }

  @Test func `requests that are not a handshake are refused`() throws {
    let lines = [
      "Host: a", "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13",
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    ]
    func check(_ lines: [String], _ method: String = "GET") throws {
      let text = "\(method) / HTTP/1.1\r\n" + lines.map { $0 + "\r\n" }.joined() + "\r\n"
      var parser = RequestParser()
      var offset = 0
      guard case .head(let head) = try parser.next(Array(text.utf8).span, at: &offset) else {
        throw HTTPError(.truncated)
      }
      _ = try WebSocketHandshake.check(head)
    }
    try check(lines)
    for index in 1..<lines.count {
      var fewer = lines
      fewer.remove(at: index)
      #expect(throws: HTTPError(.badHandshake), "\(lines[index])") { try check(fewer) }
    }
    #expect(throws: HTTPError(.badHandshake)) { try check(lines, "POST") }
    #expect(throws: HTTPError(.badHandshake)) { try check(lines + [lines[4]]) }
    #expect(throws: HTTPError(.badHandshake)) {
      try check(Array(lines[..<4]) + ["Sec-WebSocket-Key: aa=="])
    }
    #expect(throws: HTTPError(.badHandshake)) { try check(lines + ["Content-Length: 1"]) }
  }
}
