internal import BloomBase
internal import BloomBench
internal import BloomChaos
internal import BloomEngine
internal import BloomEngineLlama
internal import BloomHTTP
internal import BloomNet
internal import BloomPlatform
internal import BloomTestSupport
internal import BloomWire

#if canImport(Glibc)
internal import Glibc
#else
internal import Darwin
#endif

/// Measures the whole private path beside the same engine without network, in turns.
///
/// Path: HTTP client, gateway, coordinator, agent and worker, each its own process. Peer: the same
/// engine with the same options in this process. One engine thread each, unique prompts.
@main
struct BenchPath {
  static let time = SystemTime()
  static let rounds = Int(ProcessEnvironment.current["ROUNDS"] ?? "") ?? 60
  static let tokens = 64

  static func main() async throws {
    let folder = try TemporaryFolder("bench-path")
    let cluster = try LocalCluster(folder: folder.path)
    do {
      let rows = try await measure(cluster, EngineFolder.model)
      await cluster.stop()
      BenchReport.finish(area: "path", rows: rows)
    } catch {
      await cluster.stop()
      throw error
    }
    withExtendedLifetime(folder) {}
  }

  static func measure(_ cluster: LocalCluster, _ model: String) async throws -> [BenchRow] {
    try await cluster.start(bundled: model)
    try await cluster.addNode(.real, slots: 8)
    let gateway = try await cluster.startGateway()
    let path = PathSide(
      url: gateway.url, token: gateway.token, model: await cluster.model(of: .real) ?? "")
    let engine = try await DirectSide(model: model)
    for warm in 0..<3 {
      _ = try await path.ask(prompt(-1 - warm), tokens: 8)
      _ = try await engine.ask(prompt(-1 - warm), tokens: 8)
    }
    var rows = try await single(path, engine)
    rows += try await together(path, engine)
    let kilobytes = ProcessCost.residentKiB(gateway.processID)
    rows.append(
      BenchRow(
        "gateway's memory after \(rounds) answers and 3 x 8 together",
        value: Double(kilobytes) / 1024, unit: "MB", target: "<= 25 MB",
        holds: kilobytes > 0 && kilobytes <= 25 * 1024))
    await engine.stop()
    return rows
  }

  /// Some sixty tokens that no other prompt shares from its beginning.
  static func prompt(_ index: Int) -> String {
    let words = ["river", "stone", "clock", "bread", "wind", "glass", "road", "lamp"]
    let text = (0..<24).map { words[(index &* 31 &+ $0 &* 7 &+ 4096) & 7] }.joined(separator: " ")
    return "Note \(index): \(text). Tell a long story with these words."
  }

  static func single(_ path: PathSide, _ engine: DirectSide) async throws -> [BenchRow] {
    var ours: [Sample] = []
    var theirs: [Sample] = []
    for round in 0..<rounds {
      let text = prompt(round)
      // In turns, each first every other time, so that both see the same machine.
      if round.isMultiple(of: 2) {
        ours.append(try await path.ask(text, tokens: tokens))
        theirs.append(try await engine.ask(text, tokens: tokens))
      } else {
        theirs.append(try await engine.ask(text, tokens: tokens))
        ours.append(try await path.ask(text, tokens: tokens))
      }
    }
    let more = zip(ours, theirs).map { $0.firstMilliseconds - $1.firstMilliseconds }
    let rate = ours.map(\.tokensPerSecond).median
    let peerRate = theirs.map(\.tokensPerSecond).median
    func first(_ name: String, _ share: Double, _ limit: Double) -> BenchRow {
      let value = ours.map(\.firstMilliseconds).quantile(share)
      let peer = theirs.map(\.firstMilliseconds).quantile(share)
      return BenchRow(
        "time to first token \(name): more than the engine's \(tenths(peer)) ms",
        value: value - peer, unit: "ms", peer: "engine", ratio: value / peer,
        target: "<= +\(tenths(limit)) ms", holds: value - peer <= limit)
    }
    return [
      first("p50", 0.5, 2), first("p99", 0.99, 8),
      BenchRow(
        "time to first token, median of the differences", value: more.median, unit: "ms"),
      BenchRow(
        "one stream", value: rate, unit: "tokens/s", peer: "engine", ratio: rate / peerRate,
        target: ">= 0.97", holds: rate / peerRate >= 0.97),
    ]
  }

  static func together(_ path: PathSide, _ engine: DirectSide) async throws -> [BenchRow] {
    var best = (ours: 0.0, theirs: 0.0)
    for round in 0..<3 {
      best.ours = max(
        best.ours, try await eight(1_000 + 10 * round) { try await path.ask($0, tokens: tokens) })
      best.theirs = max(
        best.theirs,
        try await eight(1_000 + 10 * round) { try await engine.ask($0, tokens: tokens) })
    }
    let ratio = best.ours / best.theirs
    return [
      BenchRow(
        "8 streams together", value: best.ours, unit: "tokens/s", peer: "engine", ratio: ratio,
        target: ">= 0.95", holds: ratio >= 0.95)
    ]
  }

  /// Tokens a second of eight answers together, from the first question to the last token.
  static func eight(
    _ first: Int, _ ask: @escaping @Sendable (String) async throws -> Sample
  ) async throws -> Double {
    let start = time.now()
    let count = try await withThrowingTaskGroup(of: Int.self) { group in
      for index in 0..<8 { group.addTask { try await ask(prompt(first + index)).tokens } }
      return try await group.reduce(0, +)
    }
    return Double(count) / (time.now() - start).inSeconds
  }

  static func tenths(_ value: Double) -> Double { (value * 10).rounded() / 10 }
}

/// One answer's times.
struct Sample: Sendable {
  var firstMilliseconds: Double
  var tokensPerSecond: Double
  var tokens: Int

  /// From the question, the first token and the last.
  init(_ start: Instant, _ first: Instant?, _ last: Instant, tokens: Int) {
    firstMilliseconds = first.map { ($0 - start).inSeconds * 1000 } ?? .infinity
    let span = first.map { (last - $0).inSeconds } ?? 0
    tokensPerSecond = span > 0 ? Double(tokens - 1) / span : 0
    self.tokens = tokens
  }
}

/// The private path, as a program of the user's sees it.
struct PathSide: Sendable {
  let url: String
  let token: String
  let model: String
  let client = HTTPClient()

  func ask(_ prompt: String, tokens: Int) async throws -> Sample {
    let body = """
      {"model":"\(model)","temperature":0,"max_tokens":\(tokens),"stream":true,"messages":\
      [{"role":"user","content":"\(prompt)"}],"stream_options":{"include_usage":true},\
      "logit_bias":{"2":-100,"0":-100}}
      """
    var request = try ClientRequest.post(url + "/v1/chat/completions", Array(body.utf8))
    request.headers.add(.authorization, try HTTPFieldValue("Bearer " + token))
    let start = BenchPath.time.now()
    let response = try await client.send(request)
    guard response.status == .ok else { throw UsageError("status \(response.status.code)") }
    var first: Instant?
    var last = start
    var parser = SSEParser()
    var counted = 0
    for try await bytes in response.body {
      let now = BenchPath.time.now()
      var offset = 0
      while let event = try parser.next(bytes.span, at: &offset) {
        guard let value = try? JSONValue(decoding: event.data) else { continue }
        if let usage = value["usage"]?["completion_tokens"]?.integer { counted = Int(usage) }
        guard value["choices"]?.items?.first?["delta"]?["content"]?.string?.isEmpty == false
        else { continue }
        first = first ?? now
        last = now
      }
    }
    return Sample(start, first, last, tokens: counted)
  }
}

/// The same engine without anything between.
struct DirectSide: Sendable {
  let engine: LlamaEngine

  init(model: String) async throws {
    let descriptor = unsafe open(model, O_RDONLY)
    guard descriptor >= 0 else { throw EngineError(.model, "no bundled model; run make deps") }
    defer { close(descriptor) }
    var options = LlamaOptions()
    options.threads = 1
    options.slots = 8
    engine = try await LlamaEngine.load(descriptor: descriptor, options: options)
  }

  func stop() async { await engine.stop() }

  func ask(_ prompt: String, tokens: Int) async throws -> Sample {
    let body = """
      {"messages":[{"role":"user","content":"\(prompt)"}]}
      """
    // As the gateway asks: an exact one may reuse less of the prompts before it.
    var request = EngineRequest(
      job: .chat(body: Array(body.utf8)), maxTokens: tokens, continuation: .fast)
    request.sampling = .greedy
    request.sampling.logitBias = [2: -100, 0: -100]
    let start = BenchPath.time.now()
    var first: Instant?
    var last = start
    var count = 0
    let stream = try engine.submit(request)
    while let event = await stream.next() {
      switch event {
      case .tokens(let frame):
        count += frame.tokens.count
        let isVisible = frame.deltas.contains {
          if case .content(let text) = $0 { !text.isEmpty } else { false }
        }
        guard isVisible else { continue }
        last = BenchPath.time.now()
        first = first ?? last
      case .failed(let error): throw error
      case .admitted, .finished, .embeddings, .done: break
      }
    }
    return Sample(start, first, last, tokens: count)
  }
}
