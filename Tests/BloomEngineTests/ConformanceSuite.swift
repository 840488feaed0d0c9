import BloomBase
import BloomEngine
import Testing

/// What every engine must do; run against each in a test of its own.
struct Conformance {
  let engine: any BloomEngine
  /// A request that gives at least a dozen tokens.
  var request: EngineRequest {
    var request = EngineRequest(
      job: .completion(.text("The capital of France is")), answerID: "a1", seed: 7, salt: "s",
      maxTokens: 16)
    request.sampling = .greedy
    return request
  }

  func runAll() async throws {
    try await answersInOrder()
    try await repeatsItself()
    try await resumesAtEveryToken()
    try await namesTheStopText()
    try await countsDown()
    try await refusesBadFields()
    try await cancels()
    try await waitsForSlowReaders()
    try await keepsChoicesApart()
    try await obeysDeadlines()
    try await forgetsEpochs()
    try await refusesMedia()
    try await stops()
  }

  func answersInOrder() async throws {
    let answer = try await collect(engine, request)
    #expect(answer.error == nil)
    #expect((answer.admission?.promptTokens ?? 0) > 0)
    #expect(answer.tokens().count == answer.usage?.completionTokens)
    #expect(answer.usage?.promptTokens == answer.admission?.promptTokens)
    #expect(answer.finishes.count == 1)
    #expect(!answer.visible().isEmpty)
  }

  func repeatsItself() async throws {
    var sampled = request
    sampled.sampling = EngineSampling()
    let first = try await collect(engine, sampled)
    let second = try await collect(engine, sampled)
    #expect(first.tokens() == second.tokens())
    sampled.seed = 8
    let other = try await collect(engine, sampled)
    #expect(first.tokens() != other.tokens())
  }

  /// No token and no character is lost or repeated, wherever the answer is cut.
  func resumesAtEveryToken() async throws {
    for (text, sampling, stops) in [
      ("The capital of France is", EngineSampling.greedy, []),
      ("東京は日本の首都です。", EngineSampling(), [" STOP", "light.", "。\n", "は日"]),
    ] {
      var whole = request
      whole.job = .completion(.text(text))
      whole.sampling = sampling
      whole.stops = stops
      let full = try await collect(engine, whole)
      for cut in 1..<full.frames.count {
        let before = full.frames[..<cut]
        var part = whole
        part.resume = [.init(tokens: before.flatMap(\.tokens), isDone: false)]
        part.maxTokens = whole.maxTokens
        guard part.maxTokens > 0 else { continue }
        let rest = try await collect(engine, part)
        #expect(rest.error == nil)
        #expect(rest.admission?.replayedTokens == part.resume[0].tokens.count)
        #expect(before.flatMap(\.tokens) + rest.tokens() == full.tokens(), "cut at \(cut)")
        let shown = Transcript.visible(before.flatMap(\.deltas)) + rest.visible()
        #expect(shown == full.visible(), "cut at \(cut)")
      }
    }
  }

  func namesTheStopText() async throws {
    var question = request
    question.sampling = .greedy
    let whole = try await collect(engine, question)
    #expect(whole.stops.isEmpty)
    let shown = whole.visible()
    let word = try #require(shown.dropFirst(shown.count / 2).split(separator: " ").first)
    question.stops = ["\u{1}never", String(word)]
    let cut = try await collect(engine, question)
    #expect(cut.finishes[0] == .stop)
    #expect(cut.stops[0] == 1)
    #expect(cut.visible().count < shown.count && shown.hasPrefix(cut.visible()))
  }

  func countsDown() async throws {
    var short = request
    short.maxTokens = 3
    let answer = try await collect(engine, short)
    #expect(answer.tokens().count == 3)
    #expect(answer.finishes[0] == .length)
  }

  func refusesBadFields() async throws {
    var bad: [EngineRequest] = []
    for change: (inout EngineRequest) -> Void in [
      { $0.maxTokens = 0 }, { $0.choices = 0 }, { $0.choices = 17 },
      { $0.sampling.temperature = .nan }, { $0.sampling.temperature = 2.1 },
      { $0.sampling.topP = -0.1 }, { $0.logprobs = 21 }, { $0.stops = [""] },
      { $0.stops = Array(repeating: "x", count: 17) },
      { $0.sampling.logitBias = [-1: 1] }, { $0.sampling.logitBias = [1 << 30: 1] },
      { $0.resume = [.init(tokens: [-1], isDone: false)] },
      { $0.resume = Array(repeating: .init(tokens: [], isDone: false), count: 2) },
      { $0.job = .completion(.tokens([1 << 30])) },
    ] {
      var request = request
      change(&request)
      bad.append(request)
    }
    for request in bad {
      #expect(throws: EngineError.self) { try engine.submit(request) }
    }
  }

  func cancels() async throws {
    var long = request
    long.maxTokens = 1000
    let stream = try engine.submit(long)
    _ = await stream.next()
    stream.cancel()
    let rest = await collect(stream)
    #expect(rest.usage == nil)
    do { _ = try engine.submit(long) }  // dropped at once
    let after = try await collect(engine, request)
    #expect(after.error == nil)
  }

  func waitsForSlowReaders() async throws {
    let stream = try engine.submit(request)
    for _ in 0..<50 { await Task.yield() }
    let answer = await collect(stream)
    #expect(answer.error == nil)
    #expect(answer.tokens().count == answer.usage?.completionTokens)
  }

  func keepsChoicesApart() async throws {
    var many = request
    many.choices = 3
    many.sampling = EngineSampling()
    let answer = try await collect(engine, many)
    #expect(answer.finishes.count == 3)
    #expect(Set((0..<3).map { answer.tokens($0) }).count > 1)
    many.resume = (0..<3).map { .init(tokens: answer.tokens($0), isDone: true) }
    let nothing = try await collect(engine, many)
    #expect(nothing.error == nil)
    #expect(nothing.frames.isEmpty)
  }

  func obeysDeadlines() async throws {
    var late = request
    late.deadline = Instant(nanoseconds: 0)
    let answer = try await collect(engine, late)
    #expect(answer.error?.code == .deadline)
  }

  /// Whatever was kept for an epoch: after it nothing of it is reused, and the answer is the same.
  func forgetsEpochs() async throws {
    var old = request
    old.epoch = "old"
    let first = try await collect(engine, old)
    engine.forget(epoch: "old")
    engine.forget(epoch: "never seen")
    let second = try await collect(engine, old)
    #expect(second.usage?.cachedTokens == 0)
    #expect(second.tokens() == first.tokens())
  }

  func refusesMedia() async throws {
    var picture = request
    picture.media = [EngineMedia(kind: .image, bytes: [1]), EngineMedia(kind: .audio, bytes: [2])]
    #expect(engine.model.abilities.isDisjoint(with: [.images, .audio]))
    #expect {
      try engine.submit(picture)
    } throws: {
      ($0 as? EngineError)?.code == .unsupported
    }
  }

  func stops() async throws {
    await engine.stop()
    #expect(throws: EngineError.self) { try engine.submit(request) }
  }
}

@Suite struct ScriptedEngineTests {
  @Test func `the scripted engine conforms`() async throws {
    // More than a stream holds, so that no answer ends before its reader cancels it.
    var script = ScriptedEngine.Script()
    script.answerTokens = 1_000
    try await Conformance(engine: ScriptedEngine(script: script)).runAll()
  }

  @Test func `a refusal, a failure and a full queue are reported`() async throws {
    var script = ScriptedEngine.Script()
    script.failsAfterTokens = 4
    let failing = ScriptedEngine(script: script)
    let answer = try await collect(failing, EngineRequest(job: .completion(.text("x"))))
    #expect(answer.error?.code == .engine)
    #expect(answer.tokens().count == 4)

    script = ScriptedEngine.Script()
    script.stallsAfterTokens = 2
    script.slots = 1
    script.queueLimit = 1
    let stalling = ScriptedEngine(script: script)
    let first = try stalling.submit(EngineRequest(job: .completion(.text("x"))))
    let second = try stalling.submit(EngineRequest(job: .completion(.text("y"))))
    #expect {
      try stalling.submit(EngineRequest(job: .completion(.text("z"))))
    } throws: {
      ($0 as? EngineError)?.code == .busy
    }
    first.cancel()
    second.cancel()
    await stalling.stop()

    script = ScriptedEngine.Script()
    script.refusal = EngineError(.memory, "too small")
    #expect(throws: EngineError(.memory, "too small")) {
      try ScriptedEngine(script: script).submit(EngineRequest(job: .completion(.text("x"))))
    }
  }
}
