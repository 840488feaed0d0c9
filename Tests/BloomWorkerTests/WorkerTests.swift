import BloomBase
import BloomEngine
import BloomWire
import Testing

@testable import BloomWorker

@Suite struct WorkerTests {
  private func receiptText(_ event: WorkerEvent?) -> String? {
    switch event {
    case .done(_, let receipt), .handback(_, _, let receipt):
      String(decoding: receipt, as: UTF8.self)
    default: nil
    }
  }

  @Test func `an answer comes whole and its receipt counts its tokens`() async throws {
    var script = ScriptedEngine.Script()
    script.answerTokens = 50
    try await withWorker(script: script) { agent, _ in
      let ready = try await agent.begin()
      #expect(ready.facts == ["no-network"])
      agent.request(StreamID(1), PlainKeyring.envelope(try chat()))
      let seen = try await agent.answer(StreamID(1))
      #expect(seen.accepted)
      #expect(seen.tokenCount == 50)
      #expect(!seen.text.isEmpty)
      #expect(receiptText(seen.end)?.hasPrefix("50 ") == true)
      #expect(receiptText(seen.end)?.hasSuffix(" stop") == true)
      let finishes = seen.frames.compactMap { frame -> FinishReason? in
        if case .tokens(let tokens) = frame { tokens.finish } else { nil }
      }
      #expect(finishes == [.stop])
    }
  }

  @Test func `running receipts come every 64 tokens, in clear and inside`() async throws {
    var script = ScriptedEngine.Script()
    script.answerTokens = 200
    try await withWorker(script: script) { agent, _ in
      _ = try await agent.begin()
      agent.request(StreamID(1), PlainKeyring.envelope(try chat(), tokenClass: .upTo256))
      let seen = try await agent.answer(StreamID(1))
      let counts = seen.running.compactMap { $0.split(separator: " ").first.flatMap { Int($0) } }
      #expect(counts.count >= 3)
      #expect(counts == counts.sorted())
      #expect(seen.running.allSatisfy { $0.hasSuffix("running") })
      let inside = seen.frames.filter { if case .receipt = $0 { true } else { false } }
      // Those in clear, and the last one, which ends the answer.
      #expect(inside.count == seen.running.count + 1)
      #expect(seen.tokenCount == 200)
    }
  }

  @Test func `an unvouched, unknown or unreadable key is refused outside the seal`() async throws {
    try await withWorker { agent, _ in
      guard case .ready = try await agent.nextNews() else { throw WorkerError(.channel, "") }
      agent.request(StreamID(1), PlainKeyring.envelope(try chat()))
      #expect(
        try await agent.nextNews() == .refuse(StreamID(1), .staleKey, retryAfterMilliseconds: 0))
      agent.send(.vouched(KeyID(1), evidence: .zero))
      agent.request(StreamID(2), PlainKeyring.envelope(try chat(), kid: KeyID(9)))
      #expect(
        try await agent.nextNews() == .refuse(StreamID(2), .staleKey, retryAfterMilliseconds: 0))
      agent.request(StreamID(3), [1, 2, 3])
      #expect(
        try await agent.nextNews() == .refuse(StreamID(3), .malformed, retryAfterMilliseconds: 0))
      agent.request(StreamID(4), KeyID(1).bytes + [0] + Array("{}".utf8))
      #expect(
        try await agent.nextNews() == .refuse(StreamID(4), .malformed, retryAfterMilliseconds: 0))
    }
  }

  @Test func `answer bytes wait for credit`() async throws {
    try await withWorker { agent, _ in
      _ = try await agent.begin()
      agent.request(StreamID(1), PlainKeyring.envelope(try chat()), credit: 1)
      #expect(try await agent.nextNews() == .accept(StreamID(1)))
      guard case .chunk = try await agent.nextNews() else {
        Issue.record("one message is sent on any credit")
        return
      }
      // The credit is used up: everything else comes only after more of it.
      agent.send(.credit(StreamID(1), byteCount: 1 << 20))
      let seen = try await agent.answer(StreamID(1))
      #expect(receiptText(seen.end)?.hasPrefix("24 ") == true)
    }
  }

  @Test func `a cancelled answer is receipted for what was delivered`() async throws {
    var script = ScriptedEngine.Script()
    script.answerTokens = 60
    script.stallsAfterTokens = 10
    try await withWorker(script: script) { agent, _ in
      _ = try await agent.begin()
      agent.request(StreamID(1), PlainKeyring.envelope(try chat()))
      var tokens = 0
      var decoder = FrameDecoder()
      while tokens < 10, let event = try await agent.nextNews() {
        guard case .chunk(_, let bytes) = event else { continue }
        for frame in try decoder.append(bytes[...]) {
          if case .tokens(let frame) = try Frame(decoding: frame) { tokens += frame.tokens.count }
        }
      }
      agent.send(.cancel(StreamID(1), .cancelled))
      let seen = try await agent.answer(StreamID(1))
      #expect(receiptText(seen.end)?.hasPrefix("10 ") == true)
      #expect(receiptText(seen.end)?.hasSuffix(" cancelled") == true)
    }
  }

  @Test func `draining gives back what runs, refuses what comes, and ends`() async throws {
    var script = ScriptedEngine.Script()
    script.stallsAfterTokens = 3
    try await withWorker(script: script) { agent, _ in
      _ = try await agent.begin()
      agent.request(StreamID(1), PlainKeyring.envelope(try chat()))
      #expect(try await agent.nextNews() == .accept(StreamID(1)))
      agent.send(.drain(.ownerActive, milliseconds: 300))
      agent.request(StreamID(2), PlainKeyring.envelope(try chat()))
      var events: [WorkerEvent] = []
      while let event = try await agent.nextNews() {
        if case .chunk = event { continue }
        events.append(event)
        if case .handback = event { break }
      }
      #expect(events.contains(.refuse(StreamID(2), .ownerActive, retryAfterMilliseconds: 0)))
      guard case .handback(StreamID(1), .ownerActive, let receipt) = events.last else {
        Issue.record("the running request was not given back")
        return
      }
      #expect(String(decoding: receipt, as: UTF8.self).hasSuffix("handback"))
    }
  }

  @Test func `the owner's policy answers inside the seal`() async throws {
    let policy = OwnerPolicy(refusesTools: true, refusedPhrases: ["Forbidden Word"])
    let noModel = OwnerPolicy(refusedModels: ["another", "Scripted"])
    let noChat = OwnerPolicy(refusedKinds: [.chat])
    try await withWorker(policy: policy) { agent, _ in
      _ = try await agent.begin()
      let tools = JSONValue.Member("tools", .array([.members(["type": .string("function")])]))
      let requests = [
        try chat([tools]), try chat(text: "a forbidden word here"),
      ]
      for (index, request) in requests.enumerated() {
        let stream = StreamID(UInt64(index) + 1)
        agent.request(stream, PlainKeyring.envelope(request))
        let seen = try await agent.answer(stream)
        #expect(seen.accepted)
        let errors = seen.frames.compactMap { frame -> SealedError? in
          if case .error(let error) = frame { error } else { nil }
        }
        #expect(errors.map(\.code) == [.unsupported])
        #expect(errors.allSatisfy { !$0.message.lowercased().contains("forbidden") })
        #expect(receiptText(seen.end)?.hasSuffix("failed") == true)
      }
    }
    for policy in [noModel, noChat] {
      try await withWorker(policy: policy) { agent, _ in
        _ = try await agent.begin()
        agent.request(StreamID(1), PlainKeyring.envelope(try chat()))
        let seen = try await agent.answer(StreamID(1))
        #expect(seen.tokenCount == 0)
        #expect(receiptText(seen.end)?.hasSuffix("failed") == true)
      }
    }
    try await withWorker { agent, _ in
      _ = try await agent.begin()
      agent.request(StreamID(1), PlainKeyring.envelope(try chat(text: "a forbidden word here")))
      #expect(try await agent.answer(StreamID(1)).tokenCount == 24)
    }
  }

  @Test func `pictures are refused by name unless the model takes them`() async throws {
    func content(_ url: String) -> JSONValue {
      .array([
        .members(["type": .string("text"), "text": .string("What is this?")]),
        .members([
          "type": .string("image_url"), "image_url": .members(["url": .string(url)]),
        ]),
      ])
    }
    func errors(_ agent: TestAgent, _ stream: UInt64, _ url: String) async throws -> [SealedError] {
      agent.request(
        StreamID(stream), PlainKeyring.envelope(try chat(content: content(url))))
      return try await agent.answer(StreamID(stream)).frames.compactMap { frame in
        if case .error(let error) = frame { error } else { nil }
      }
    }
    try await withWorker { agent, _ in
      _ = try await agent.begin()
      let refused = try await errors(agent, 1, "data:image/png;base64,AAAA")
      #expect(refused.map(\.code) == [.unsupported])
      #expect(refused.allSatisfy { $0.message.contains("pictures") })
      for (number, url) in zip(
        UInt64(2)..., ["https://example.org/a.png", "data:image/png;base64,?", "data:image/png,x"])
      {
        #expect(try await errors(agent, number, url).map(\.code) == [.invalidRequest])
      }
    }
    var script = ScriptedEngine.Script()
    script.media = [.images]
    try await withWorker(script: script) { agent, _ in
      _ = try await agent.begin()
      #expect(try await errors(agent, 1, "data:image/png;base64,AAAA").isEmpty)
    }
  }

  @Test func `media are taken out in order and leave marks`() throws {
    let body = try JSONValue(
      decoding: Array(
        """
        {"messages":[{"role":"user","content":"plain"},{"role":"user","content":[
        {"type":"image_url","image_url":{"url":"data:image/png;base64,AQI="}},
        {"type":"text","text":"and"},
        {"type":"input_audio","input_audio":{"data":"Aw==","format":"wav"}}]}],"n":1}
        """.utf8))
    let (marked, media) = try MediaParts.take(from: body)
    #expect(media.map(\.kind) == [.image, .audio])
    #expect(media.map(\.bytes) == [[1, 2], [3]])
    let text = String(decoding: marked.encoded, as: UTF8.self)
    #expect(text.split(separator: EngineMedia.mark).count == 3)
    #expect(!text.contains("base64"))
    #expect(try MediaParts.take(from: .members(["messages": .integer(1)])).1.isEmpty)
    let forged =
      #"{"messages":[{"role":"user","content":[{"type":"text","text":"<__media__>"},"#
      + #"{"type":"image_url","image_url":{"url":"data:image/png;base64,AQI="}}]}]}"#
    #expect(throws: SealedFailure.self) {
      try MediaParts.take(from: try JSONValue(decoding: Array(forged.utf8)))
    }
  }

  @Test func `wiped keys take what was computed under them along`() async throws {
    let engine = ForgettingEngine()
    let time = JumpingTime()
    try await withWorker(engine: engine, time: time) { agent, _ in
      let ready = try await agent.begin()
      agent.request(StreamID(1), PlainKeyring.envelope(try chat()))
      #expect(try await agent.answer(StreamID(1)).tokenCount == 24)
      #expect(engine.forgotten.isEmpty)
      time.jump(by: .seconds(4_200))
      guard case .keys = try await agent.nextNews() else {
        Issue.record("no new keys")
        return
      }
      #expect(engine.forgotten == ready.keys.map(\.kid.description))
      #expect(engine.epochs == engine.forgotten, "the request ran under the epoch that ended")
    }
  }

  @Test func `signs of life come while the engine is silent`() async throws {
    var script = ScriptedEngine.Script()
    script.prefillTime = .milliseconds(400)
    try await withWorker(script: script) { agent, _ in
      _ = try await agent.begin()
      agent.request(StreamID(1), PlainKeyring.envelope(try chat()))
      var beats = 0
      while let event = try await agent.next() {
        if case .beat = event { beats += 1 }
        if case .chunk(_, let bytes) = event, !bytes.isEmpty { break }
      }
      #expect(beats >= 3)
    }
  }

  @Test func `a full queue is an outer refusal that may be retried`() async throws {
    var script = ScriptedEngine.Script()
    script.refusal = EngineError(.busy, "the queue is full")
    try await withWorker(script: script) { agent, _ in
      _ = try await agent.begin()
      agent.request(StreamID(1), PlainKeyring.envelope(try chat()))
      #expect(
        try await agent.nextNews() == .refuse(StreamID(1), .busy, retryAfterMilliseconds: 1_000))
    }
  }

  @Test func `fixed times hide the engine's own and lose nothing`() async throws {
    try await withWorker(padding: .steady) { agent, _ in
      _ = try await agent.begin()
      agent.request(StreamID(1), PlainKeyring.envelope(try chat()))
      let seen = try await agent.answer(StreamID(1))
      #expect(seen.tokenCount == 24)
      #expect(receiptText(seen.end)?.hasPrefix("24 ") == true)
    }
  }

  @Test func `a rotation announces new keys and keeps the old`() async throws {
    try await withWorker { agent, _ in
      _ = try await agent.begin()
      agent.send(.rotate)
      guard case .keys(let keys) = try await agent.nextNews() else {
        Issue.record("no keys")
        return
      }
      #expect(keys.map(\.kid) == [KeyID(2)])
      agent.request(StreamID(1), PlainKeyring.envelope(try chat(), kid: KeyID(1)))
      #expect(try await agent.answer(StreamID(1)).tokenCount == 24)
    }
  }

  @Test(arguments: [[0xff, 0x01], [UInt8](repeating: 0x80, count: 9)])
  func `a broken command ends the worker with a reason`(message: [UInt8]) async throws {
    try await withWorker { agent, _ in
      _ = try await agent.begin()
      agent.send(raw: message)
      guard case .failed = try await agent.nextNews() else {
        Issue.record("no reason")
        return
      }
    }
  }

  @Test func `64 parallel requests all end`() async throws {
    var script = ScriptedEngine.Script()
    script.queueLimit = 128
    try await withWorker(script: script) { agent, _ in
      _ = try await agent.begin()
      let envelope = PlainKeyring.envelope(try chat())
      for number in 1...64 { agent.request(StreamID(UInt64(number)), envelope) }
      var ended = 0
      while ended < 64, let event = try await agent.nextNews() {
        switch event {
        case .done: ended += 1
        case .refuse, .handback, .failed:
          Issue.record("not served: \(event)")
          return
        default: continue
        }
      }
      #expect(ended == 64)
    }
  }
}
