internal import BloomBase
internal import BloomBench
internal import BloomEngine
internal import BloomEngineLlama
internal import BloomPlatform

#if canImport(Glibc)
internal import Glibc
#else
internal import Darwin
#endif

/// Measures the engine beside llama.cpp's own tools on the same file, in turns.
@main
struct BenchEngine {
  static let model = EngineFolder.model
  static let rounds = Int(ProcessEnvironment.current["ROUNDS"] ?? "") ?? 3
  static let time = SystemTime()

  static func main() async throws {
    let peers = Peers(engineFolder: EngineFolder.path)
    if peers == nil { print("llama.cpp's tools are missing: scripts/deps-engine --peers") }
    // Parts by name, for a quick look at one: bench-engine latency served
    let wanted = Set(CommandLine.arguments.dropFirst())
    func isWanted(_ part: String) -> Bool { wanted.isEmpty || wanted.contains(part) }
    var rows: [BenchRow] = []
    if isWanted("single") {
      for threads in [1, 2] { rows += try await single(threads: threads, peers: peers) }
    }
    if isWanted("parallel") { rows += try await parallel(peers: peers) }
    if isWanted("latency") { rows += try await latency() }
    if isWanted("served") { rows += try await Served.rows(peers: peers) }
    BenchReport.finish(area: "engine", rows: rows)
  }

  static func engine(_ change: (inout LlamaOptions) -> Void) async throws -> LlamaEngine {
    let descriptor = unsafe open(model, O_RDONLY)
    guard descriptor >= 0 else { throw EngineError(.model, "no bundled model; run make deps") }
    defer { close(descriptor) }
    var options = LlamaOptions()
    options.contextTokens = 1024
    options.keepsPrefixes = false
    change(&options)
    return try await LlamaEngine.load(descriptor: descriptor, options: options)
  }

  /// A request whose prompt no other shares, that decodes exactly `tokens`.
  static func request(_ id: Int, prompt: Int, tokens: Int) -> EngineRequest {
    let ids = (0..<prompt).map {
      Int32(CounterRandom.bits(seed: UInt64(id), choice: 0, position: $0) % 40_000 + 1000)
    }
    var request = EngineRequest(
      job: .completion(.tokens(ids)), seed: UInt64(id), salt: "\(id)", maxTokens: tokens)
    request.sampling = .greedy
    request.sampling.logitBias = [2: -100, 0: -100]  // never ends by itself
    return request
  }

  struct Times {
    var submitted = Instant(nanoseconds: 0)
    var admitted = Instant(nanoseconds: 0)
    var first = Instant(nanoseconds: 0)
    var last = Instant(nanoseconds: 0)
    var tokens = 0
    var stamps: [Instant] = []
  }

  static func run(_ engine: LlamaEngine, _ request: EngineRequest) async throws -> Times {
    var times = Times()
    times.submitted = time.now()
    let stream = try engine.submit(request)
    while let event = await stream.next() {
      switch event {
      case .admitted: times.admitted = time.now()
      case .tokens(let frame):
        times.last = time.now()
        if times.tokens == 0 { times.first = times.last }
        times.tokens += frame.tokens.count
        times.stamps.append(times.last)
      case .failed(let error): throw error
      case .finished, .embeddings, .done: break
      }
    }
    return times
  }

  /// Prompt and decode speed of one stream, best of the rounds on both sides.
  static func single(threads: Int, peers: Peers?) async throws -> [BenchRow] {
    let engine = try await engine {
      $0.threads = threads
      $0.slots = 1
    }
    var (prompt, decode) = (0.0, 0.0)
    var peer: (prompt: Double, decode: Double)?
    for round in 0..<rounds {
      // As gateways ask unless told otherwise.
      var question = request(round, prompt: 512, tokens: 1)
      question.continuation = .fast
      let filled = try await run(engine, question)
      prompt = max(prompt, 512 / (filled.first - filled.admitted).inSeconds)
      let spoken = try await run(engine, request(100 + round, prompt: 8, tokens: 129))
      decode = max(decode, Double(spoken.tokens - 1) / (spoken.last - spoken.first).inSeconds)
      if let found = peers?.bench(model: model, threads: threads) {
        peer = (max(peer?.prompt ?? 0, found.prompt), max(peer?.decode ?? 0, found.decode))
      }
    }
    await engine.stop()
    return [
      row("prompt 512, \(threads) threads", prompt, "llama-bench", peer?.prompt),
      row("decode 128, \(threads) threads", decode, "llama-bench", peer?.decode),
    ]
  }

  /// Decode speed of several streams together; the last row's come one by one to slots that others
  /// left in another order, where they decode in one pass only when they stand side by side.
  static func parallel(peers: Peers?) async throws -> [BenchRow] {
    let engine = try await engine { $0.slots = 8 }
    var rows: [BenchRow] = []
    for (count, isLate) in [(1, false), (2, false), (4, false), (8, false), (4, true)] {
      var best = 0.0
      var peer: Double?
      for round in 0..<rounds {
        if isLate {
          let earlier = (0..<8).map {
            request(9000 + 10 * round + $0, prompt: 8, tokens: 4 + $0 * 5 % 8)
          }
          _ = try await decodeRate(engine, earlier, oneByOne: false)
        }
        let requests = (0..<count).map {
          request(1000 * count + 10 * round + $0 + (isLate ? 500 : 0), prompt: 32, tokens: 80)
        }
        best = max(best, try await decodeRate(engine, requests, oneByOne: isLate))
        if let found = peers?.batched(model: model, threads: 1, sequences: count) {
          peer = max(peer ?? 0, found)
        }
      }
      let name = isLate ? "decode, \(count) that came later" : "decode, \(count) streams together"
      rows.append(row(name, best, "llama-batched-bench", peer))
    }
    await engine.stop()
    return rows
  }

  /// Tokens a second while all requests decode.
  ///
  /// Only that time counts, as in llama-batched-bench.
  private static func decodeRate(
    _ engine: LlamaEngine, _ requests: [EngineRequest], oneByOne: Bool
  ) async throws -> Double {
    let times = try await withThrowingTaskGroup(of: Times.self) { group in
      for (index, request) in requests.enumerated() {
        group.addTask {
          if oneByOne { try await Task.sleep(for: .milliseconds(60 * index)) }
          return try await run(engine, request)
        }
      }
      return try await group.reduce(into: [Times]()) { $0.append($1) }
    }
    let start = times.map(\.first).max() ?? times[0].first
    let end = times.map(\.last).min() ?? times[0].last
    let tokens = times.flatMap(\.stamps).count { $0 > start && $0 <= end }
    return Double(tokens) / max(1e-9, (end - start).inSeconds)
  }

  /// What stands between a prompt's computation and its first token, the reuse of a prefix, and
  /// the gap that a long prompt makes.
  static func latency() async throws -> [BenchRow] {
    let engine = try await engine {
      $0.slots = 2
      $0.contextTokens = 2560
      $0.keepsPrefixes = true
    }
    var (overheads, inPlace, copied): ([Double], [Double], [Double]) = ([], [], [])
    for round in 0..<(3 * rounds) {
      var request = request(5000 + round, prompt: 391, tokens: 1)
      let before = engine.capacity().prefillNanoseconds
      let cold = try await run(engine, request)
      let computed = Double(engine.capacity().prefillNanoseconds - before) / 1e6
      overheads.append((cold.first - cold.admitted).inSeconds * 1000 - computed)
      // The same prompt again continues in its slot; while it runs, another one gets a copy.
      request.continuation = .fast
      let warm = try await run(engine, request)
      inPlace.append((warm.admitted - warm.submitted).inSeconds * 1000)
      request.maxTokens = 60
      let holding = try engine.submit(request)
      while let event = await holding.next() { if case .tokens = event { break } }
      request.maxTokens = 1
      let other = try await run(engine, request)
      holding.cancel()
      copied.append((other.admitted - other.submitted).inSeconds * 1000)
    }
    let talking = try engine.submit(Self.request(6000, prompt: 8, tokens: 400))
    var gaps: [Double] = []
    let long = Self.request(6001, prompt: 2000, tokens: 1)
    async let other = run(engine, long)
    var last: Instant?
    while let event = await talking.next() {
      guard case .tokens = event else { continue }
      let now = time.now()
      if let last { gaps.append((now - last).inSeconds * 1000) }
      last = now
    }
    let filled = try await other
    let piece = (filled.first - filled.admitted).inSeconds * 1000 / (2000.0 / 128)
    let p99 = gaps.quantile(0.99)
    await engine.stop()
    return [
      limit("first token after its prompt was computed", overheads, 2),
      limit("391 shared tokens reused in place, submit to admitted", inPlace, 1),
      limit("391 shared tokens copied to another slot, submit to admitted", copied, 1),
      BenchRow(
        "p99 gap of a stream while a prompt of 2000 enters", value: p99, unit: "ms",
        peer: "one piece and one step", ratio: p99 / piece, target: "<= 2 x one piece",
        holds: p99 <= 2 * piece),
    ]
  }

  /// A time with a limit: the median of all rounds.
  private static func limit(_ name: String, _ times: [Double], _ most: Double) -> BenchRow {
    let median = times.median
    return BenchRow(
      name, value: median, unit: "ms", target: "<= \(Int(most)) ms", holds: median <= most)
  }

  static func row(_ name: String, _ value: Double, _ peer: String, _ theirs: Double?) -> BenchRow {
    let ratio = theirs.map { value / $0 }
    return BenchRow(
      name, value: value, unit: "tokens/s", peer: peer, ratio: ratio, target: ">= 0.97",
      holds: ratio.map { $0 >= 0.97 } ?? false)
  }
}
