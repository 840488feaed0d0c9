internal import BloomAPI
internal import BloomBase
internal import BloomClient
internal import BloomPlatform
internal import BloomWire

/// One run of the suite: streams while machines are killed, frozen and restarted around them.
package struct ChaosRun: Sendable {
  /// How large it is.
  package struct Size: Sendable {
    /// Answers of the scripted engine, over all phases.
    package var scripted = 800
    /// Answers of the real engine, over all phases.
    package var real = 200
    /// Nodes with the scripted engine.
    package var scriptedNodes = 10
    /// Nodes with the real engine; 0 for none.
    package var realNodes = 5
    /// Scripted answers at once.
    package var scriptedAtOnce = 32
    /// Real answers at once.
    package var realAtOnce = 6
    /// Tokens of a real answer.
    package var realTokens = 32
    /// What happens, in this order.
    package var phases = Phase.allCases
    /// How long streams run before something happens, and a frozen node stays frozen.
    package var pace = (before: Duration.milliseconds(1_200), frozen: Duration.seconds(4))

    /// The whole suite.
    package init() {}

    /// A tenth of a minute, for CI: scripted nodes only.
    package static let small: Size = {
      var size = Size()
      size.scripted = 36
      size.real = 0
      size.scriptedNodes = 5
      size.realNodes = 0
      size.scriptedAtOnce = 12
      size.phases = [.crash, .silence, .coordinator]
      size.pace = (.milliseconds(700), .milliseconds(1_300))
      return size
    }()
  }

  /// What happens to the machines while the streams of a phase run.
  package enum Phase: String, Sendable, CaseIterable {
    /// `kill -9` of 20 % of the nodes.
    case crash
    /// SIGSTOP of 20 % of the nodes.
    case silence
    /// `kill -9` of 50 % of the nodes, three times.
    case waves
    /// `kill -9` of the coordinator, and its restart.
    case coordinator
  }

  private let size: Size
  private let cluster: LocalCluster
  private let bundled: String?
  private let say: @Sendable (String) -> Void

  /// Plans a run in a folder that the caller removes.
  package init(
    size: Size, folder: String, bundled: String?, say: @escaping @Sendable (String) -> Void
  ) throws {
    self.size = size
    self.bundled = size.realNodes > 0 ? bundled : nil
    self.say = say
    cluster = try LocalCluster(folder: folder)
  }

  /// Runs every phase and gives what was seen.
  ///
  /// - Throws: When the network could not be started at all.
  package func run() async throws -> ChaosReport {
    do {
      let report = try await perform()
      await cluster.stop()
      return report
    } catch {
      await cluster.stop()
      throw error
    }
  }

  private func perform() async throws -> ChaosReport {
    try await cluster.start(bundled: bundled)
    for _ in 0..<size.scriptedNodes { try await cluster.addNode(.scripted) }
    for _ in 0..<size.realNodes { try await cluster.addNode(.real) }
    var configuration = PrivateInference.Configuration()
    configuration.continuesExactly = true
    let (service, view) = try await cluster.client(configuration)
    try await wait(view)
    say("\(size.scriptedNodes) scripted and \(size.realNodes) real nodes are there")
    var report = ChaosReport()
    let truths = try await realTruths(service)
    let phases = size.phases
    for (index, phase) in phases.enumerated() {
      say("\(phase.rawValue)")
      // Every node of before is back, so that each phase has the same start.
      try await wait(view)
      let share = { (total: Int) in total / phases.count + (index < total % phases.count ? 1 : 0) }
      async let faults: Void = harm(phase)
      let results = await streams(
        phase, scripted: share(size.scripted), real: share(size.real), service, truths)
      try await faults
      report.add(phase, results)
      say(report.line(phase))
    }
    // Receipts of nodes that were away come when they are back.
    try await wait(view)
    try await Task.sleep(for: .seconds(1))
    await cluster.stopCoordinator()
    try await report.readBooks(folder: cluster.folder)
    return report
  }

  private func wait(_ view: NetworkView) async throws {
    try await cluster.wait(for: size.scriptedNodes, of: cluster.scriptedModel, view)
    if size.realNodes > 0, let model = await cluster.model(of: .real) {
      try await cluster.wait(for: size.realNodes, of: model, view)
    }
  }

  // MARK: Harm

  private func harm(_ phase: Phase) async throws {
    try await Task.sleep(for: size.pace.before)
    switch phase {
    case .crash:
      let victims = await victims(percent: 20)
      for victim in victims { await cluster.killNode(victim) }
      try await Task.sleep(for: size.pace.frozen / 2)
      for victim in victims { try await cluster.restartNode(victim) }
    case .silence:
      let victims = await victims(percent: 20)
      for victim in victims { await cluster.freezeNode(victim) }
      try await Task.sleep(for: size.pace.frozen)
      for victim in victims { await cluster.thawNode(victim) }
    case .waves:
      for _ in 0..<3 {
        let victims = await victims(percent: 50)
        for victim in victims { await cluster.killNode(victim) }
        try await Task.sleep(for: .milliseconds(500))
        for victim in victims { try await cluster.restartNode(victim) }
        try await Task.sleep(for: .milliseconds(2_500))
      }
    case .coordinator:
      await cluster.killCoordinator()
      try await Task.sleep(for: .milliseconds(300))
      try await cluster.startCoordinator()
    }
  }

  /// That share of the nodes of each kind, at least one of each.
  private func victims(percent: Int) async -> [Int] {
    var victims: [Int] = []
    for engine in [LocalCluster.Engine.scripted, .real] {
      let nodes = await cluster.nodes(of: engine)
      if nodes.count < 2 { continue }
      victims += nodes.shuffled().prefix(max(1, nodes.count * percent / 100))
    }
    return victims
  }

  // MARK: Streams

  private func streams(
    _ phase: Phase, scripted: Int, real: Int, _ service: PrivateInference,
    _ truths: [RealRequest]
  ) async -> [ChaosReport.Result] {
    await withTaskGroup(of: [ChaosReport.Result].self) { group in
      group.addTask {
        await atOnce(size.scriptedAtOnce, scripted) { index in
          await scriptedStream(service, "\(phase.rawValue) \(index)", index)
        }
      }
      group.addTask {
        await atOnce(size.realAtOnce, truths.isEmpty ? 0 : real) { index in
          let request = truths[index % truths.count]
          let stream = await ChaosStream.run(service, request.body, choices: request.choices)
          return ChaosReport.Result(
            stream: stream, truth: request.truth, isReal: true, kind: request.kind)
        }
      }
      var results: [ChaosReport.Result] = []
      for await part in group { results += part }
      return results
    }
  }

  private func atOnce(
    _ limit: Int, _ count: Int, _ work: @escaping @Sendable (Int) async -> ChaosReport.Result
  ) async -> [ChaosReport.Result] {
    await withTaskGroup(of: ChaosReport.Result.self) { group in
      var results: [ChaosReport.Result] = []
      for index in 0..<count {
        if index >= limit, let done = await group.next() { results.append(done) }
        group.addTask { await work(index) }
      }
      for await done in group { results.append(done) }
      return results
    }
  }

  private func scriptedStream(
    _ service: PrivateInference, _ prompt: String, _ index: Int
  ) async -> ChaosReport.Result {
    let choices = index.isMultiple(of: 5) ? 2 : 1
    let logprobs = index.isMultiple(of: 3) ? ",\"logprobs\":true,\"top_logprobs\":2" : ""
    let body = """
      {"model":"\(cluster.scriptedModel)","max_tokens":96,"n":\(choices),"seed":\(index),\
      "messages":[{"role":"user","content":"\(prompt)"}]\(logprobs)}
      """
    let stream = await ChaosStream.run(service, body, choices: choices)
    var truth: [ChaosStream.Choice] = []
    do {
      let request = try ChatRequest.parse(Array(body.utf8))
      guard case .object(var members) = request.body else { throw UsageError("no object") }
      members.append(.init("continuation", .string("exact")))
      truth = try await ScriptedTruth.choices(
        .object(members), seed: UInt64(index), choices: choices, maxTokens: 96)
      if index.isMultiple(of: 3) {
        for choice in truth.indices { truth[choice].logprobs = truth[choice].tokens.count }
      }
    } catch {
      say("no truth: \(error)")
    }
    return ChaosReport.Result(stream: stream, truth: truth, isReal: false, kind: "scripted")
  }

  /// A request to the real engine, and its uninterrupted answer.
  struct RealRequest: Sendable {
    let body: String
    let choices: Int
    let kind: String
    var truth: [ChaosStream.Choice] = []
  }

  /// Greedy answers, two with log-probabilities, ones by a schema, and sampled ones with a stop
  /// text.
  ///
  /// The bundled model's template knows no tools.
  private func realTruths(_ service: PrivateInference) async throws -> [RealRequest] {
    guard size.realNodes > 0, let model = await cluster.model(of: .real) else { return [] }
    let subjects = ["rivers", "bread", "clocks", "birds", "stone"]
    let kinds: [(choices: Int, name: String, extra: String)] = [
      (1, "greedy", ",\"temperature\":0"),
      (2, "two choices", ",\"temperature\":0,\"n\":2,\"logprobs\":true,\"top_logprobs\":1"),
      (
        1, "schema",
        """
        ,"temperature":0,"response_format":{"type":"json_schema","json_schema":{"name":"facts",\
        "schema":{"type":"object","properties":{"facts":{"type":"array","items":{"type":"string"}\
        }},"required":["facts"],"additionalProperties":false}}}
        """
      ),
      (1, "sampled", ",\"temperature\":0.9,\"top_p\":0.9,\"stop\":[\" they\"]"),
    ]
    var requests: [RealRequest] = []
    for subject in subjects {
      for kind in kinds {
        let body = """
          {"model":"\(model)","seed":1,"max_tokens":\(size.realTokens),"messages":\
          [{"role":"user","content":"Tell me all you know about \(subject)."}]\(kind.extra)}
          """
        var request = RealRequest(body: body, choices: kind.choices, kind: kind.name)
        let whole = await ChaosStream.run(service, body, choices: kind.choices)
        guard whole.failure == nil else {
          throw UsageError("an undisturbed answer failed: \(whole.failure ?? "")")
        }
        request.truth = whole.choices
        requests.append(request)
      }
    }
    say("\(requests.count) undisturbed answers of the real engine")
    return requests
  }
}
