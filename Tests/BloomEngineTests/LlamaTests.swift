import BloomBase
import BloomEngine
import Synchronization
import Testing

@testable import BloomEngineLlama

#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

/// The files that `scripts/deps-engine` prepared.
enum Fixtures {
  static let share: String = {
    let cache =
      variable("XDG_CACHE_HOME") ?? (variable("HOME") ?? "") + "/.cache"
    return cache + "/darkbloom/engine/current/share"
  }()

  static let isDeep = variable("DARKBLOOM_DEEP") == "1"

  static func variable(_ name: String) -> String? {
    guard let value = unsafe getenv(name) else { return nil }
    return unsafe String(cString: value)
  }

  static func read(_ path: String) throws -> String {
    let descriptor = unsafe open(path, O_RDONLY)
    try #require(descriptor >= 0, "run make deps: \(path) is missing")
    defer { close(descriptor) }
    var bytes = [UInt8](repeating: 0, count: 1 << 20)
    let count = unsafe pread(descriptor, &bytes, bytes.count, 0)
    return String(decoding: bytes.prefix(max(0, count)), as: UTF8.self)
  }

  static func engine(
    _ model: String = "smollm2-135m-instruct-q8_0",
    time: any TimeSource = SystemTime(), _ change: (inout LlamaOptions) -> Void = { _ in }
  ) async throws -> LlamaEngine {
    let descriptor = unsafe open("\(share)/models/\(model).gguf", O_RDONLY)
    try #require(descriptor >= 0, "run make deps: the bundled model is missing")
    defer { close(descriptor) }
    var options = LlamaOptions()
    options.contextTokens = 1024
    change(&options)
    return try await LlamaEngine.load(descriptor: descriptor, options: options, time: time)
  }
}

/// A clock that stands until it is set.
private final class SetTime: TimeSource {
  let seconds = Atomic<UInt64>(0)
  func now() -> Instant { Instant(nanoseconds: seconds.load(ordering: .relaxed) * 1_000_000_000) }
  func unixTime() -> UnixTime { UnixTime(0) }
}

@Suite(.serialized) struct LlamaEngineTests {
  @Test func `the llama engine conforms`() async throws {
    try await Conformance(engine: try await Fixtures.engine()).runAll()
  }

  @Test func `a prefix is reused within its salt only`() async throws {
    let engine = try await Fixtures.engine()
    let text = String(repeating: "A quiet machine answers in the green light. ", count: 40)
    var request = EngineRequest(job: .completion(.text(text)), salt: "mine", maxTokens: 2)
    let first = try await collect(engine, request)
    #expect(first.usage?.cachedTokens == 0)
    request.salt = "theirs"
    #expect(try await collect(engine, request).usage?.cachedTokens == 0)
    request.salt = "mine"
    let again = try await collect(engine, request)
    #expect((again.usage?.cachedTokens ?? 0) >= 256)
    #expect(again.tokens() == first.tokens())
    await engine.stop()
  }

  @Test func `an exact request uses nothing that wide pieces left`() async throws {
    func question(_ continuation: EngineRequest.Continuation) -> EngineRequest {
      let text = String(repeating: "the river runs to the sea and ", count: 50)
      var request = EngineRequest(
        job: chat("\(text)what then?"), salt: "s", maxTokens: 20, continuation: continuation)
      request.sampling = .greedy
      request.logprobs = 2
      return request
    }
    let fresh = try await Fixtures.engine()
    let expected = try await collect(fresh, question(.exact))
    await fresh.stop()

    // However slow this machine is, its pieces may be wide once the speed is known.
    let engine = try await Fixtures.engine { $0.mostWideSeconds = 1000 }
    _ = try await collect(engine, EngineRequest(job: chat("Hello"), salt: "t", maxTokens: 1))
    let wide = try await collect(engine, question(.fast))
    #expect(wide.error == nil && wide.admission?.cachedTokens == 0)
    let exact = try await collect(engine, question(.exact))
    #expect(exact.admission?.cachedTokens == 0)
    #expect(exact.frames == expected.frames)
    let again = try await collect(engine, question(.exact))
    #expect((again.admission?.cachedTokens ?? 0) >= 256)
    #expect(again.frames == expected.frames)
    await engine.stop()
  }

  @Test func `an epoch that ends takes its prefixes with it`() async throws {
    let engine = try await Fixtures.engine()
    let text = String(repeating: "A quiet machine answers in the green light. ", count: 40)
    func cached(_ epoch: String) async throws -> Int? {
      let request = EngineRequest(
        job: .completion(.text(text)), salt: "s", epoch: epoch, maxTokens: 1)
      return try await collect(engine, request).usage?.cachedTokens
    }
    #expect(try await cached("one") == 0)
    #expect(try await cached("two") == 0, "the same salt under other keys")
    #expect((try await cached("one") ?? 0) >= 256)
    engine.forget(epoch: "one")
    #expect(try await cached("one") == 0)
    engine.forget(epoch: "two")
    engine.forget(epoch: "never seen")
    #expect(try await cached("two") == 0)
    await engine.stop()
  }

  @Test func `sampling options do what they say`() async throws {
    let engine = try await Fixtures.engine()
    var request = EngineRequest(job: chat("Say hello."), seed: 1, maxTokens: 8, logprobs: 3)
    request.sampling = .greedy
    let plain = try await collect(engine, request)
    let logprobs = plain.frames.flatMap(\.logprobs)
    #expect(logprobs.count == plain.tokens().count)
    #expect(logprobs.allSatisfy { $0.top.count == 3 && $0.chosen.logprob <= 0 })
    #expect(logprobs.allSatisfy { $0.top[0].token == $0.chosen.token })
    let firstToken = try #require(plain.tokens().first)
    request.sampling.logitBias = [firstToken: -100]
    let banned = try await collect(engine, request)
    #expect(!banned.tokens().contains(firstToken))
    request.sampling.logitBias = [firstToken: 100]
    let forced = try await collect(engine, request)
    #expect(forced.tokens() == Array(repeating: firstToken, count: 8))
    request.sampling.logitBias = [:]
    request.sampling.temperature = 2
    request.sampling.topK = 1
    #expect(try await collect(engine, request).tokens() == plain.tokens())
    request.stops = ["e"]
    let stopped = try await collect(engine, request)
    #expect(!stopped.visible().contains("e"))
    #expect(plain.visible().hasPrefix(stopped.visible()))
    await engine.stop()
  }

  static let callTemplates =
    ["Qwen-Qwen2.5-7B-Instruct", "Qwen3-Coder"]
    + (Fixtures.isDeep
      ? ["NousResearch-Hermes-3-Llama-3.1-8B-tool_use", "mistralai-Mistral-Nemo-Instruct-2407"]
      : [])

  @Test(arguments: callTemplates)
  func `a required call is made at once`(
    template: String
  ) async throws {
    let source = try Fixtures.read("\(Fixtures.share)/templates/\(template).jinja")
    let engine = try await Fixtures.engine {
      $0.chatTemplate = source
      $0.slots = 2
    }
    #expect(engine.model.abilities.contains(.tools))
    let tool = ChatFormatTests.tool + #","tool_choice":"required","parallel_tool_calls":false"#
    var request = EngineRequest(
      job: chat("Weather in Zürich?", tool), answerID: "r1", seed: 3, maxTokens: 48)
    request.sampling.temperature = 0.5
    request.sampling.topK = 40
    let answer = try await collect(engine, request)
    #expect(answer.error == nil)
    #expect(answer.visible().hasPrefix("|C|call_r1_0:get_weather:{"), "\(answer.visible())")
    await engine.stop()
  }

  @Test func `hostile requests are refused by name and harm nobody`() async throws {
    let engine = try await Fixtures.engine { $0.slots = 2 }
    func code(_ job: EngineRequest.Job) async throws -> EngineError.Code? {
      try await collect(engine, EngineRequest(job: job, maxTokens: 4)).error?.code
    }
    func body(_ text: String) -> EngineRequest.Job { .chat(body: Array(text.utf8)) }
    #expect(try await code(body("{")) == .badRequest)
    #expect(try await code(body("[]")) == .badRequest)
    #expect(try await code(body(#"{"messages":[]}"#)) == .badRequest)
    #expect(try await code(body(#"{"messages":[{"role":"user"}]}"#)) == .badRequest)
    #expect(try await code(.chat(body: [0x7b, 0x22, 0xff, 0xfe, 0x22, 0x7d])) == .badRequest)
    #expect(
      try await code(body(String(repeating: "[", count: 100_000))) == .limit)
    let tool = #","tools":[{"type":"function","function":{"name":"f","parameters":{}}}]"#
    #expect(try await code(chat("x", tool)) == .badRequest)
    #expect(try await code(chat("x", #","tool_choice":"required""#)) == .badRequest)
    let values = (0..<300).map { "\"v\($0)\"" }.joined(separator: ",")
    let schema = { (text: String) in
      chat("x", #","response_format":{"type":"json_schema","json_schema":{"schema":\#(text)}}"#)
    }
    #expect(try await code(schema(#"{"enum":[\#(values)]}"#)) == .limit)
    #expect(try await code(schema(#"{"type":"array","maxItems":1000000}"#)) == .limit)
    #expect(try await code(schema(##"{"$ref":"#/nowhere"}"##)) != nil)
    #expect(try await code(schema(##"{"$ref":"http://example.org/x"}"##)) != nil)
    #expect(try await code(schema(#"{"type":"string","pattern":"^(a$"}"#)) != nil)
    #expect(try await code(chat("x", #","grammar":"root ::= ((""#)) == .grammar)
    #expect(try await code(chat(String(repeating: "word ", count: 2000))) == .contextExceeded)
    #expect(try await code(.completion(.text(""))) == .badRequest)
    let large = String(repeating: "x", count: 1_000_000)
    #expect(try await code(chat(large)) == .contextExceeded)
    #expect(try await code(chat("")) == nil, "an empty message is a message")
    var picture = EngineRequest(job: chat("What is this? \(EngineMedia.mark)"), maxTokens: 4)
    picture.media = [EngineMedia(kind: .image, bytes: [1])]
    #expect {
      try engine.submit(picture)
    } throws: {
      ($0 as? EngineError)?.code == .unsupported && "\($0)".contains("pictures")
    }
    #expect(try await code(chat("still well?")) == nil)
    await engine.stop()
  }

  @Test func `a storm of cancels and more requests than slots leave nothing behind`() async throws {
    let engine = try await Fixtures.engine {
      $0.slots = 3
      $0.contextTokens = 256
    }
    try await withThrowingTaskGroup(of: Void.self) { group in
      for index in 0..<64 {
        group.addTask {
          let request = EngineRequest(
            job: .completion(.text("Number \(index):")), seed: UInt64(index), salt: "s\(index % 4)",
            maxTokens: 6)
          let stream = try engine.submit(request)
          if index.isMultiple(of: 2) {
            if index.isMultiple(of: 4) { _ = await stream.next() }
            stream.cancel()
          }
          let answer = await collect(stream)
          if !index.isMultiple(of: 2) {
            #expect(answer.error == nil)
            #expect(answer.usage?.completionTokens == answer.tokens().count)
          }
        }
      }
      try await group.waitForAll()
    }
    let after = try await collect(engine, EngineRequest(job: .completion(.text("A")), maxTokens: 2))
    #expect(after.error == nil)
    let capacity = engine.capacity()
    #expect(capacity.queued == 0)
    #expect(capacity.prefillTokensPerSecond > 0)
    await engine.stop()
  }

  @Test func `a model that cannot fit, a damaged file and a cancelled load are refused`()
    async throws
  {
    await #expect {
      _ = try await Fixtures.engine { $0.memoryLimitBytes = 1 << 20 }
    } throws: {
      let error = $0 as? EngineError
      return error?.code == .memory && error?.context.contains("missing") == true
    }
    var template = Array("/tmp/darkbloom-test-XXXXXX".utf8CString)
    let broken = unsafe mkstemp(&template)
    let path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    defer {
      close(broken)
      unsafe unlink(path)
    }
    let header: [UInt8] = Array("GGUF".utf8) + [3, 0, 0, 0] + Array(repeating: 0xff, count: 64)
    _ = unsafe write(broken, header, header.count)
    await #expect { try await LlamaEngine.load(descriptor: broken) } throws: {
      ($0 as? EngineError)?.code == .model
    }
    let good = unsafe open(
      "\(Fixtures.share)/models/smollm2-135m-instruct-q4_1.gguf", O_RDONLY)
    defer { close(good) }
    await #expect {
      try await LlamaEngine.load(descriptor: good) { $0 < 0.3 }
    } throws: {
      ($0 as? EngineError)?.code == .cancelled
    }
  }

  @Test func `the deadline is the first token's; a reader that does not read is dropped later`()
    async throws
  {
    let time = SetTime()
    let engine = try await Fixtures.engine(time: time)
    var request = EngineRequest(
      job: .completion(.text("Once upon a time")), answerID: "a", salt: "s", maxTokens: 32,
      deadline: Instant(nanoseconds: 10_000_000_000))
    request.sampling = .greedy
    let stream = try engine.submit(request)
    var frames = 0
    while let event = await stream.next() {
      if case .failed(let error) = event { Issue.record("\(error)") }
      guard case .tokens = event else { continue }
      frames += 1
      time.seconds.store(30, ordering: .relaxed)
    }
    #expect(frames > 16)

    request.maxTokens = 800
    request.deadline = time.now() + .seconds(10)
    let unread = try engine.submit(request)
    request.maxTokens = 1
    request.deadline = nil
    for _ in 0..<2_000 {
      #expect(try await collect(engine, request).error == nil)
      if engine.capacity().busySlots == 0 { break }
      time.seconds.add(100, ordering: .relaxed)
    }
    #expect(await collect(unread).error?.code == .deadline)
    await engine.stop()
  }

  @Test func `a long list of texts does not delay a short one`() async throws {
    let engine = try await Fixtures.engine("minilm-l6-v2-f16")
    let text = EngineRequest.Prompt.text("A cat sits on the mat.")
    let long = try engine.submit(
      EngineRequest(job: .embeddings(Array(repeating: text, count: 400))))
    let short = try engine.submit(EngineRequest(job: .embeddings([text])))
    let order = Locked<[Int]>([])
    await withTaskGroup(of: Void.self) { group in
      for stream in [long, short] {
        group.addTask {
          let answer = await collect(stream)
          order.withLock { $0.append(answer.vectors.count) }
        }
      }
    }
    #expect(order.withLock { $0 } == [1, 400])
    await engine.stop()
  }

  @Test func `texts of like meaning have near vectors`() async throws {
    let engine = try await Fixtures.engine("minilm-l6-v2-f16")
    #expect(engine.model.abilities == .embeddings)
    let request = EngineRequest(
      job: .embeddings(
        ["A cat sits on the mat.", "A kitten rests on the rug.", "Stocks fell in Tokyo."].map {
          .text($0)
        }))
    let answer = try await collect(engine, request)
    #expect(answer.vectors.count == 3)
    func cosine(_ a: [Float], _ b: [Float]) -> Float { zip(a, b).reduce(0) { $0 + $1.0 * $1.1 } }
    #expect(abs(cosine(answer.vectors[0], answer.vectors[0]) - 1) < 1e-4)
    #expect(cosine(answer.vectors[0], answer.vectors[1]) > 0.4)
    #expect(cosine(answer.vectors[0], answer.vectors[2]) < 0.3)
    #expect(throws: EngineError.self) {
      try engine.submit(EngineRequest(job: .completion(.text("x"))))
    }
    await engine.stop()
  }
}
