import BloomBase
import BloomEngine
import Testing

@testable import BloomEngineLlama

#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

/// What docs/reports/determinism.md states; `DARKBLOOM_DEEP=1` runs it in full size.
@Suite(.serialized) struct DeterminismTests {
  private let count = Fixtures.isDeep ? 50 : 6
  private let length = Fixtures.isDeep ? 100 : 14

  private func request(_ index: Int) -> EngineRequest {
    let filler =
      index % 5 == 0 ? String(repeating: "the river runs to the sea and ", count: 30) : ""
    var request = EngineRequest(
      job: chat("\(filler)Tell me fact number \(index) about the sea."), seed: UInt64(index),
      salt: "salt\(index % 3)", maxTokens: length, logprobs: 0)
    request.sampling = index.isMultiple(of: 2) ? .greedy : EngineSampling()
    return request
  }

  /// Runs all requests at once, so that they share batches of eight.
  private func together<Result: Sendable>(
    _ body: @escaping @Sendable (Int) async throws -> Result
  ) async throws -> [Int: Result] {
    try await withThrowingTaskGroup(of: (Int, Result).self) { group in
      for index in 0..<count { group.addTask { (index, try await body(index)) } }
      return try await group.reduce(into: [:]) { $0[$1.0] = $1.1 }
    }
  }

  @Test func `exact answers do not depend on company, cancelling and resuming`() async throws {
    let engine = try await Fixtures.engine { $0.slots = 8 }
    var alone: [Transcript] = []
    for index in 0..<count { alone.append(try await collect(engine, request(index))) }
    let mixed = try await together { try await collect(engine, request($0)) }
    for (index, transcript) in mixed {
      #expect(transcript.tokens() == alone[index].tokens(), "request \(index) forked")
      #expect(
        transcript.frames.flatMap(\.logprobs) == alone[index].frames.flatMap(\.logprobs),
        "request \(index) has other log-probabilities")
    }
    let resumed = try await together { try await cancelledAndResumed($0, engine) }
    var cuts = 0
    for (index, parts) in resumed {
      cuts += parts.count - 1
      #expect(
        parts.flatMap { $0.frames.flatMap(\.tokens) } == alone[index].tokens(),
        "request \(index) forked after resuming")
      #expect(
        Transcript.visible(parts.flatMap { $0.frames.flatMap(\.deltas) })
          == alone[index].visible(), "request \(index) lost or repeated text")
    }
    #expect(cuts > count)
    print("determinism: \(count) prompts of \(length) tokens, \(cuts) cuts at random tokens")
    await engine.stop()
  }

  /// An answer that is cancelled after a random number of tokens, again and again.
  private func cancelledAndResumed(
    _ index: Int, _ engine: LlamaEngine
  ) async throws -> [Transcript] {
    var parts: [Transcript] = []
    for attempt in 0..<4 {
      var part = request(index)
      let delivered = parts.flatMap { $0.frames.flatMap(\.tokens) }
      if !delivered.isEmpty { part.resume = [.init(tokens: delivered, isDone: false)] }
      let bits = CounterRandom.bits(seed: 3, choice: attempt, position: index)
      let wanted = attempt == 3 ? Int.max : 1 + Int(bits % UInt64(length / 2))
      let stream = try engine.submit(part)
      var seen = Transcript()
      reading: while let event = await stream.next() {
        switch event {
        case .tokens(let frame):
          seen.frames.append(frame)
          if seen.tokens().count >= wanted {
            stream.cancel()
            break reading
          }
        case .finished(let choice, let finish, _): seen.finishes[choice] = finish
        case .failed(let error): throw error
        case .admitted, .embeddings, .done: continue
        }
      }
      parts.append(seen)
      if !seen.finishes.isEmpty { break }
    }
    return parts
  }

  @Test(.enabled(if: Fixtures.isDeep, "a long variant"))
  func `the number of threads does not change an answer`() async throws {
    var answers: [[[Int32]]] = []
    for threads in [1, 2] {
      let engine = try await Fixtures.engine { $0.threads = threads }
      var tokens: [[Int32]] = []
      for index in 0..<10 {
        let filler = String(repeating: "the river runs to the sea and ", count: 6 * index)
        var request = EngineRequest(
          job: chat("\(filler)Tell me fact \(index)."), seed: 1, maxTokens: 40)
        request.sampling = .greedy
        tokens.append(try await collect(engine, request).tokens())
      }
      answers.append(tokens)
      await engine.stop()
    }
    #expect(answers[0] == answers[1])
  }
}

/// Twenty answers of every kind, cut at every token, continued in both ways.
@Suite(.serialized) struct CutTests {
  struct Answer: Sendable {
    var text: String
    var more = ""
    var temperature: Float = 0
    var stops: [String] = []
  }

  private static func schema(_ schema: String) -> String {
    ##","response_format":{"type":"json_schema","json_schema":{"name":"x","schema":\##(schema)}}"##
  }

  private static let call = ChatFormatTests.tool + #","tool_choice":"required""#

  /// The answers of a template; `nil` is the model's own.
  static let answers: KeyValuePairs<String?, [Answer]> = [
    nil: [
      Answer(text: "東京について日本語で教えてください。🌱🗼", temperature: 1.2),
      Answer(text: "Name three colours.", stops: [" and", ", ", "ee"]),
      Answer(
        text: "Give me JSON about Zürich.",
        more: schema(
          ##"{"type":"object","properties":{"city":{"type":"string","maxLength":30},"n":{"type":"integer"}},"required":["city","n"],"additionalProperties":false}"##
        ), temperature: 0.8),
      Answer(text: "Tell me a fact about the sea."),
      Answer(text: "Écris en français: où est la forêt?", temperature: 1),
      Answer(text: "Напиши по-русски о море.", temperature: 1),
      Answer(text: "Write only emoji: 🌊🐟🦈🐙", temperature: 1.5),
      Answer(text: "Count from one to twenty.", stops: ["five", "\n\n", "10"]),
      Answer(text: "List words with commas.", temperature: 0.7, stops: [", the", ". ", "z"]),
      Answer(
        text: "Two or three flags.",
        more: schema(##"{"type":"array","items":{"type":"boolean"},"minItems":2,"maxItems":3}"##),
        temperature: 1),
      Answer(text: "A colour.", more: schema(##"{"enum":["rød","grün","青"]}"##), temperature: 1),
      Answer(
        text: "A list of words.",
        more: schema(
          ##"{"type":"array","items":{"type":"string","minLength":3,"maxLength":9},"minItems":4,"maxItems":5}"##
        ), temperature: 1.2),
    ],
    "Qwen-Qwen2.5-7B-Instruct": [
      Answer(text: "Weather in Zürich?", more: call, temperature: 0.5),
      Answer(text: "Weather in 東京?", more: call, temperature: 1),
      Answer(text: "Weather in Bern?", more: ChatFormatTests.tool, temperature: 1),
      Answer(text: "Weather in Bern?", more: call, stops: ["\"city"]),
    ],
    "Qwen3-Coder": [
      Answer(text: "Weather in Zürich?", more: call, temperature: 0.5),
      Answer(text: "Weather in 東京?", more: call, temperature: 1.2),
    ],
    "NousResearch-Hermes-3-Llama-3.1-8B-tool_use": [
      Answer(text: "Weather in Bern?", more: call, temperature: 0.8)
    ],
    "mistralai-Mistral-Nemo-Instruct-2407": [
      Answer(text: "Weather in Bern?", more: call, temperature: 0.8)
    ],
  ]

  @Test func `an answer cut at any token loses and repeats nothing, in both profiles`()
    async throws
  {
    #expect(Self.answers.reduce(0) { $0 + $1.value.count } == 20)
    let (length, stride) = Fixtures.isDeep ? (36, 1) : (20, 9)
    var cuts = 0
    for (template, answers) in Self.answers {
      let source = try template.map {
        try Fixtures.read("\(Fixtures.share)/templates/\($0).jinja")
      }
      if !Fixtures.isDeep && template != nil && template != "Qwen-Qwen2.5-7B-Instruct" { continue }
      let engine = try await Fixtures.engine {
        $0.chatTemplate = source
        $0.slots = 8
      }
      let model = try Fixtures.model()
      let format = try ChatTemplate(model: model, source: source)
      for (index, answer) in answers.prefix(Fixtures.isDeep ? .max : 3).enumerated() {
        var request = EngineRequest(
          job: chat(answer.text, answer.more), answerID: "r\(index)", seed: UInt64(index),
          maxTokens: length)
        request.sampling.temperature = answer.temperature
        request.stops = answer.stops
        guard case .chat(let body) = request.job else { continue }
        let reader = Reader(
          model: model, format: try format.apply(body, now: request.now.seconds), request: request)
        cuts += try await check(request, engine, reader, stride: stride)
      }
      await engine.stop()
    }
    print("determinism: \(cuts) cuts, each continued in both profiles")
    #expect(cuts > (Fixtures.isDeep ? 300 : 5))
  }

  /// The visible text as a function of all tokens: what a reader must have seen in the end.
  private struct Reader: Sendable {
    let model: LlamaModel
    let format: ChatFormat
    let request: EngineRequest

    func visible(_ tokens: [Int32]) throws -> String {
      var text = try AnswerText(model: model, request: request, choice: 0, format: format)
      var deltas: [EngineDelta] = []
      for token in tokens { deltas += try text.feed(token) ?? [] }
      return Transcript.visible(deltas + (try text.finish()))
    }
  }

  private func check(
    _ request: EngineRequest, _ engine: LlamaEngine, _ reader: Reader, stride: Int
  ) async throws -> Int {
    let full = try await collect(engine, request)
    #expect(full.error == nil)
    #expect(full.visible() == (try reader.visible(full.tokens())))
    return try await withThrowingTaskGroup(of: Void.self) { group in
      var cuts = 0
      for cut in Swift.stride(from: 1, to: full.frames.count, by: stride) {
        cuts += 1
        for continuation in [EngineRequest.Continuation.exact, .fast] {
          group.addTask {
            let before = full.frames[..<cut]
            var part = request
            part.resume = [.init(tokens: before.flatMap(\.tokens), isDone: false)]
            part.continuation = continuation
            let rest = try await collect(engine, part)
            let label = Comment(rawValue: "\(request.answerID), cut at \(cut), \(continuation)")
            #expect(rest.error == nil, label)
            let tokens = before.flatMap(\.tokens) + rest.tokens()
            if continuation == .exact { #expect(tokens == full.tokens(), label) }
            #expect(
              Transcript.visible(before.flatMap(\.deltas) + rest.frames.flatMap(\.deltas))
                == (try reader.visible(tokens)), label)
          }
        }
      }
      try await group.waitForAll()
      return cuts
    }
  }
}

extension Fixtures {
  /// The bundled model without an engine.
  static func model() throws -> LlamaModel {
    let descriptor = unsafe open("\(share)/models/smollm2-135m-instruct-q8_0.gguf", O_RDONLY)
    try #require(descriptor >= 0, "run make deps: the bundled model is missing")
    defer { close(descriptor) }
    return try LlamaModel(
      descriptor: descriptor, facts: try FileFacts(descriptor: descriptor),
      progress: { _ in true })
  }
}
