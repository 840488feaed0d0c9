import BloomBase
import BloomWire
import Testing

@Suite struct MessageTests {
  static func digest(_ byte: UInt8) -> Digest {
    Digest([UInt8](repeating: byte, count: 32)) ?? .zero
  }
  static let model = ModelID(digest(0x11))
  static let stream = StreamID(7)

  static let agent: [(String, AgentMessage)] = [
    ("hello", .hello(versions: 1...1, release: digest(1))),
    (
      "proof",
      .proof(record: [1, 2, 3], binding: .exporter, signature: .init(repeating: 9, count: 64))
    ),
    ("record", .record([4, 5])),
    (
      "capacity",
      .capacity(
        Capacity(
          models: [
            ModelCapacity(
              model: model, slots: 8, active: 3, queued: 1, prefillMilliTokensPerSecond: 812_500,
              decodeMilliTokensPerSecond: 41_250)
          ], freeMemoryMebibytes: 6_144, closed: nil))
    ),
    (
      "capacity-closed", .capacity(Capacity(models: [], freeMemoryMebibytes: 0, closed: .onBattery))
    ),
    ("pulse", .pulse([Beat(model: model, ageMilliseconds: 48)])),
    ("accept", .accept(stream)),
    ("refuse", .refuse(stream, .busy, retryAfterMilliseconds: 1_500)),
    ("chunk", .chunk(stream, [0xde, 0xad])),
    ("receipt", .receipt(stream, [0xd2])),
    ("done", .done(StreamID(0), receipt: [0xd2, 0x84])),
    ("handback", .handback(stream, .ownerActive)),
    ("draining", .draining(.draining)),
    ("models", .models([ModelPresence(model: model, state: .downloading, permille: 417)])),
    ("credit", .credit(stream, byteCount: 262_144)),
    ("manifest", .manifest([0xa1, 0x01, 0x01])),
  ]

  static let coordinator: [(String, CoordinatorMessage)] = [
    ("challenge", .challenge(nonce: digest(2))),
    ("welcome", .welcome(version: 1, time: UnixTime(1_795_000_000))),
    ("request-begin", .requestBegin(stream, head: [1, 0], bodyByteCount: 8_221)),
    ("request-chunk", .requestChunk(stream, [0xbe, 0xef])),
    ("cancel", .cancel(stream, .superseded)),
    ("credit", .credit(stream, byteCount: 65_536)),
    ("desired-models", .desiredModels([model])),
    (
      "standing",
      .standing(
        Standing(
          permille: 930, parts: [.init(name: "latency", permille: 880)],
          reasons: [.init(reason: .noDemand, count: 12)]))
    ),
    ("settlement", .settlement(receipt: digest(3), earned: Micros(1_234))),
    ("receipt-ack", .receiptAck(receipt: digest(3))),
    ("goodbye", .goodbye(.draining, retryAfterMilliseconds: 5_000)),
  ]

  static let outer: [(String, OuterRecord)] = [
    ("accepted", .accepted(node: NodeID(digest(4)))),
    ("sealed", .sealed([1, 2, 3])),
    ("alive", .alive),
    (
      "attempt-failed",
      .attemptFailed(reason: .nodeLost, isRetriable: true, retryAfterMilliseconds: 0)
    ),
    ("settled", .settled(receipt: digest(5), cost: Micros(77))),
    ("queued", .queued(position: 2, estimateMilliseconds: 900)),
    ("suspected", .suspected),
  ]

  static let frames: [(String, Frame)] = [
    ("tokens", .tokens(TokenFrame(tokens: [1, 4711], deltas: [.content("Hi ü")]))),
    (
      "tokens-all",
      .tokens(
        TokenFrame(
          choice: 1, tokens: [9],
          deltas: [
            .reasoning("so"), .toolCall(index: 0, id: "call_1", name: "f", arguments: "{"),
            .toolCall(index: 0, id: nil, name: nil, arguments: "}"),
          ],
          logprobs: [
            TokenLogprob(
              sampled: .init(token: 9, bytes: [0xc3], logprob: -0.1),
              top: [.init(token: 9, bytes: [0xc3], logprob: -0.1)])
          ], finish: .toolCalls))
    ),
    ("tokens-stop", .tokens(TokenFrame(tokens: [], finish: .stop, stop: 1))),
    (
      "usage",
      .usage(Usage(promptTokens: 12, cachedTokens: 8, completionTokens: 5, reasoningTokens: 1))
    ),
    ("error", .error(SealedError(code: .contextTooLong, message: "too long"))),
    ("receipt", .receipt([0xd2, 0x84])),
    ("embedding", .embedding(index: 2, vector: [0.5, -1])),
    ("json", .json(Array("{}".utf8))),
  ]

  @Test func `agent messages have their golden bytes and come back`() throws {
    try VectorFile("link-agent.txt").check(Self.agent.map { ($0, $1.encoded) })
    for (_, message) in Self.agent {
      #expect(try AgentMessage(decoding: message.encoded) == message)
    }
  }

  @Test func `coordinator messages have their golden bytes and come back`() throws {
    try VectorFile("link-coordinator.txt").check(Self.coordinator.map { ($0, $1.encoded) })
    for (_, message) in Self.coordinator {
      #expect(try CoordinatorMessage(decoding: message.encoded) == message)
    }
  }

  @Test func `frames have their golden bytes and come back`() throws {
    try VectorFile("frames.txt").check(Self.frames.map { ($0, $1.encoded) })
    for (_, frame) in Self.frames { #expect(try Frame(decoding: frame.encoded) == frame) }
  }

  static let loose: [(String, [UInt8])] = [
    ("an error without a message", [0xa2, 0, 2, 1, 1]),
    ("usage with a count left out", [0xa4, 0, 1, 1, 1, 2, 1, 3, 1]),
    ("choice 0 written out", [0xa3, 0, 0, 1, 0, 2, 0x81, 7]),
    ("no tokens written out", [0xa2, 0, 0, 2, 0x80]),
    ("a stop text of an answer that reached its limit", [0xa3, 0, 0, 5, 1, 6, 0]),
    ("a stop text beyond the list", [0xa3, 0, 0, 5, 0, 6, 16]),
    ("no deltas written out", [0xa2, 0, 0, 3, 0x80]),
  ]

  @Test(arguments: loose.indices)
  func `a frame in another form than ours is refused`(index: Int) {
    let (name, bytes) = Self.loose[index]
    #expect(throws: WireError.self, "\(name)") { try Frame(decoding: bytes) }
  }

  @Test(arguments: 1...11)
  func `outer records come back from pieces of any size`(size: Int) throws {
    var body: [UInt8] = []
    for (index, record) in Self.outer.enumerated() {
      record.1.append(attempt: UInt8(index), to: &body)
    }
    var decoder = OuterRecordDecoder()
    var items: [OuterRecordDecoder.Item] = []
    for start in stride(from: 0, to: body.count, by: size) {
      decoder.append(Array(body[start..<min(body.count, start + size)]))
      while let item = try decoder.next() { items.append(item) }
    }
    #expect(items.map(\.record) == Self.outer.map(\.1))
    #expect(items.map(\.attempt) == [0, 1, 2, 3, 4, 5, 6])
    #expect(decoder.isAtBoundary)
  }

  @Test func `outer records have their golden bytes`() throws {
    try VectorFile("outer-records.txt").check(
      Self.outer.map { name, record in
        var bytes: [UInt8] = []
        record.append(attempt: 1, to: &bytes)
        return (name, bytes)
      })
  }

  @Test func `every cut and every flipped bit of a message decodes to itself or to an error`() {
    for (_, message) in Self.agent {
      let bytes = message.encoded
      for cut in 0..<bytes.count {
        #expect(throws: WireError.self) { try AgentMessage(decoding: Array(bytes[..<cut])) }
      }
      for bit in 0..<min(bytes.count, 64) * 8 {
        var flipped = bytes
        flipped[bit / 8] ^= 1 << UInt8(bit % 8)
        if let read = try? AgentMessage(decoding: flipped) { #expect(read.encoded == flipped) }
      }
    }
    for (_, message) in Self.coordinator {
      let bytes = message.encoded
      for bit in 0..<min(bytes.count, 64) * 8 {
        var flipped = bytes
        flipped[bit / 8] ^= 1 << UInt8(bit % 8)
        if let read = try? CoordinatorMessage(decoding: flipped) {
          #expect(read.encoded == flipped)
        }
      }
    }
  }

  @Test func `unknown messages are told apart from broken ones`() {
    #expect(throws: WireError.unknownMessage(99)) {
      try AgentMessage(decoding: [0x82, 0x18, 99, 1])
    }
    #expect(throws: WireError.missingField("message type")) { try AgentMessage(decoding: [0x80]) }
    #expect(throws: WireError.outOfRange(field: "number of fields")) {
      try AgentMessage(decoding: [0x83, 6, 1, 1])
    }
  }

  @Test func `versions are chosen from the overlap`() throws {
    #expect(try LinkVersion.choose(1...9) == 1)
    #expect(throws: WireError.unknownVersion(9)) { try LinkVersion.choose(2...9) }
  }

  @Test func `reasons keep their numbers and names`() {
    #expect(Reason.allCases.map(\.rawValue) == Array(1...42))
    #expect(Set(Reason.allCases.map(\.name)).count == 42)
    #expect(Reason(name: "owner_active") == .ownerActive)
    for reason in Reason.allCases { #expect((400...599).contains(reason.httpStatus)) }
  }

  @Test func `token classes hold what they name`() {
    #expect(TokenClass.allCases.map(\.tokens) == [64, 256, 1_024, 4_096, 16_384, 65_536])
    #expect(TokenClass(holding: 65) == .upTo256)
    #expect(TokenClass(holding: 65_537) == nil)
  }

  @Test(arguments: [0, 63, 64, 16_383, 16_384, 1 << 29, 1 << 30, 1 << 40])
  func `varints of RFC 9000 come back`(value: Int) throws {
    var bytes: [UInt8] = []
    Varint.append(value, to: &bytes)
    #expect(bytes.count == Varint.byteCount(value))
    let read = try #require(try Varint.read(bytes, maximum: .max))
    #expect(read.value == value && read.byteCount == bytes.count)
    #expect(try Varint.read(Array(bytes.dropLast()), maximum: .max) == nil)
  }

  @Test func `varints that are long or large are refused`() {
    #expect(throws: WireError.notCanonical) { try Varint.read([0x40, 0x25], maximum: 100) }
    #expect(throws: WireError.tooLarge) { try Varint.read([0x7b, 0xbd], maximum: 100) }
  }

  @Test(arguments: [1, 2, 3, 7, 512])
  func `frames come back from chunks of any size`(size: Int) throws {
    var plaintext: [UInt8] = []
    for (_, frame) in Self.frames { FrameDecoder.append(frame: frame.encoded, to: &plaintext) }
    var decoder = FrameDecoder()
    var frames: [Frame] = []
    for start in stride(from: 0, to: plaintext.count, by: size) {
      var chunk = plaintext[start..<min(plaintext.count, start + size)]
      if chunk.endIndex == plaintext.count { chunk += [0, 0, 0] }
      frames += try decoder.append(chunk).map { try Frame(decoding: $0) }
    }
    #expect(frames == Self.frames.map(\.1))
    #expect(decoder.isAtBoundary)
  }

  @Test func `padding that is not zero is refused`() {
    var decoder = FrameDecoder()
    #expect(throws: WireError.notCanonical) { try decoder.append([0, 0, 1]) }
  }

  @Test func `canonical requests come back and refuse what they do not know`() throws {
    let request = CanonicalRequest(
      kind: .chat, body: .members(["messages": .array([]), "temperature": .integer(1)]),
      answer: .init(
        id: try #require(AnswerID([UInt8](0..<16))), created: UnixTime(1_795_000_000),
        now: UnixTime(1_795_000_001), seed: 1 << 53 - 1),
      resume: .init(part: 2, choices: [.init(tokens: [1, 2, 3], isDone: false)]), salt: "s")
    #expect(try CanonicalRequest(decoding: request.encoded) == request)
    try VectorFile("canonical-request.txt").check([("continued-chat", request.encoded)])
    let text = String(decoding: request.encoded, as: UTF8.self)
    for (old, new) in [
      ("\"v\":1", "\"v\":2"), ("\"salt\"", "\"sulk\""), ("\"chat\"", "\"cat\""),
      ("\"part\":2", "\"part\":16"), ("\"seed\":9007199254740991", "\"seed\":9007199254740992"),
      ("\"done\":false", "\"done\":0"),
    ] {
      let parts = text.split(separator: old, omittingEmptySubsequences: false)
      #expect(parts.count == 2)
      let changed = parts.joined(separator: new)
      #expect(throws: WireError.self) { try CanonicalRequest(decoding: Array(changed.utf8)) }
    }
  }
}
