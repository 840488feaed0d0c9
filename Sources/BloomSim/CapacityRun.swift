internal import BloomBase
internal import BloomSchedule

/// The scheduler with the capacity model under it: machines that share their speed among streams.
///
/// No bytes pass here; how work is distributed is the real scheduler's doing. With churn, owners come
/// and go independently of each other, by an exponential law; ``hour`` has them go together.
package struct CapacityPlan: Equatable, Sendable {
  /// Draws the run.
  package var seed: UInt64
  /// Machines.
  package var nodes = 1000
  /// Their kinds.
  package var mix = ChipMix.mixed
  /// The model that all of them serve.
  package var model = SmallModel.all[0]
  /// Streams a machine runs at once.
  package var slots = 4
  /// Offered work as a share of the theoretical sum.
  package var load = 0.95
  /// Whether owners take their machines back: away 10 minutes, there 20, in the mean.
  package var hasChurn = false
  /// Seconds before anything is counted.
  package var warmUp = 60.0
  /// Seconds that are counted.
  package var measured = 240.0
  /// Candidates that a client names.
  package var candidates = 3
  /// The hour in UTC; then only machines are there whose owners are away at that hour where they are.
  package var hour: Int?

  /// Machines as they were measured; empty for ``nodes`` of ``mix``.
  package var machines: [MachineSpeed] = []
  /// Clients that ask again as soon as they have an answer, in place of ``load``.
  package var closedLoop: Int?
  /// Tokens of every answer, for ``closedLoop``.
  package var answerTokens = 250

  /// A plan with the defaults.
  package init(seed: UInt64) { self.seed = seed }
}

/// A machine as it was measured, in place of one from the chip table.
package struct MachineSpeed: Equatable, Sendable {
  /// Tokens a second of one lone stream.
  package var decode: Double
  /// Slowing of each stream by each other one: `decode / (1 + slowing (n − 1))`.
  package var slowing: Double
  /// Seconds from a request to its first token, its prompt included.
  package var firstToken: Double

  /// Creates a speed.
  package init(decode: Double, slowing: Double, firstToken: Double) {
    self.decode = decode
    self.slowing = slowing
    self.firstToken = firstToken
  }
}

/// What came out, per second of the measured time.
package struct CapacityResult: Equatable, Sendable {
  /// Completion tokens a second.
  package var tokens = 0.0
  /// The sum of what all connected machines could do with full batches.
  package var sum = 0.0
  /// Requests that arrived.
  package var arrived = 0
  /// Requests refused or ended without an answer.
  package var refused = 0
  /// Seconds to the first token: median and 95th percentile.
  package var firstToken = (median: 0.0, p95: 0.0)
  /// Events handled, for the speed of the simulator.
  package var events = 0

  /// Tokens as a share of the sum.
  package var share: Double { sum > 0 ? tokens / sum : 0 }

  /// Whether both came to the same.
  package static func == (a: Self, b: Self) -> Bool {
    a.tokens == b.tokens && a.arrived == b.arrived && a.refused == b.refused
      && a.events == b.events
  }
}

/// One run of a ``CapacityPlan``.
package struct CapacityRun {
  private enum Event {
    case arrival
    case firstToken(node: Int, RequestID)
    case finished(node: Int, version: Int)
    case leave(Int)
    case join(Int)
    case tick
  }

  private struct Stream {
    let id: RequestID
    let tokens: Double
    var left: Double
  }

  private struct Machine {
    let name: NodeID
    let single: Double
    let prefill: Double
    var slowing = MeasuredRates.batchSlowing
    var delay = 0.05
    var streams: [Stream] = []
    var reading = 0
    var version = 0
    var updated = 0.0
    var isConnected = true

    /// Tokens a second of one stream; prefill and decode share the machine.
    var rate: Double {
      let width = Double(streams.count + reading)
      return single / (1 + slowing * max(width - 1, 0))
    }
  }

  private let plan: CapacityPlan
  private var generator: SeededGenerator
  private var scheduler: Scheduler
  private var machines: [Machine] = []
  private var numbers: [NodeID: Int] = [:]
  private var queue = VirtualQueue<Event>()
  private var now = Instant(nanoseconds: 0)
  private var work: [RequestID: (arrived: Double, prompt: Int, tokens: Double)] = [:]
  private var waits: [Double] = []
  private var result = CapacityResult()
  private var armed: Instant?
  private let model = ModelID(.zero)

  /// Draws the machines.
  package init(_ plan: CapacityPlan) {
    self.plan = plan
    generator = SeededGenerator(seed: plan.seed)
    var limits = ScheduleLimits()
    limits.waitingPerAccount = 1 << 20
    limits.acceptTimeout = .seconds(3600)
    limits.firstTokenFloor = .seconds(3600)
    scheduler = Scheduler(limits: limits, seed: plan.seed)
    for (number, speed) in plan.machines.enumerated() {
      let words = SimBytes.words((0..<4).map { SimBytes.mixed(UInt64(number), $0) })
      let name = NodeID(Digest(words) ?? .zero)
      machines.append(
        Machine(
          name: name, single: speed.decode, prefill: 1e9, slowing: speed.slowing,
          delay: speed.firstToken))
      numbers[name] = number
    }
    guard machines.isEmpty else { return }
    let total = plan.mix.shares.reduce(0) { $0 + $1.weight }
    for number in 0..<plan.nodes {
      var ticket = draw() * total
      var chip = Chip.intel
      for share in plan.mix.shares {
        ticket -= share.weight
        if let found = Chip.named(share.chip) { chip = found }
        if ticket < 0 { break }
      }
      let words = SimBytes.words((0..<4).map { SimBytes.mixed(UInt64(number), $0) })
      let name = NodeID(Digest(words) ?? .zero)
      machines.append(
        Machine(
          name: name, single: chip.decodeRate(plan.model),
          prefill: chip.prefillRate(plan.model)))
      numbers[name] = number
    }
  }

  /// Runs to the end.
  package mutating func run() -> CapacityResult {
    if let hour = plan.hour {
      machines = machines.filter { _ in draw() < DayAndNight.share(at: hour, ticket: draw()) }
      for (number, machine) in machines.enumerated() { numbers[machine.name] = number }
    }
    for number in machines.indices {
      join(number)
      if plan.hasChurn { queue.add(.leave(number), at: later(draw() * 2400)) }
    }
    let width = Double(plan.slots)
    let batched = width / (1 + MeasuredRates.batchSlowing * (width - 1))
    for machine in machines {
      result.sum += machine.single * batched * efficiency(machine)
    }
    for client in 0..<(plan.closedLoop ?? 1) {
      queue.add(.arrival, at: later(0.001 * Double(client + 1)))
    }
    let end = plan.warmUp + plan.measured
    while let next = queue.next() {
      now = next.time
      guard seconds < end else { break }
      result.events += 1
      handle(next.event)
      arm()
    }
    result.tokens /= plan.measured
    waits.sort()
    if !waits.isEmpty {
      result.firstToken = (waits[waits.count / 2], waits[waits.count * 95 / 100])
    }
    return result
  }

  private static let meanTokens = 250.0
  private static let meanPrompt = 300.0

  /// The share of a slot's time in which it decodes: the rest reads prompts.
  private func efficiency(_ machine: Machine) -> Double {
    let width = Double(plan.slots)
    let rate = machine.single / (1 + MeasuredRates.batchSlowing * (width - 1))
    let decoding = Self.meanTokens / rate
    return decoding / (decoding + 0.05 + Self.meanPrompt / machine.prefill)
  }

  private var seconds: Double { Double(now.nanoseconds) / 1e9 }
  private var isCounting: Bool { seconds >= plan.warmUp }

  private func later(_ seconds: Double) -> Instant {
    now + .nanoseconds(Int64(max(seconds, 0) * 1e9))
  }

  private mutating func draw() -> Double { Double(generator.next() >> 11) / Double(1 << 53) }

  /// Exponential with the given mean.
  private mutating func gap(_ mean: Double) -> Double {
    -mean * Logarithm.log2(max(1 - draw(), 1e-12)) * 0.693_147_180_559_945
  }

  private mutating func handle(_ event: Event) {
    switch event {
    case .arrival: arrive()
    case .firstToken(let node, let id): startDecoding(node, id)
    case .finished(let node, let version): finish(node, version)
    case .leave(let node): leave(node)
    case .join(let node): join(node)
    case .tick:
      if armed == now { armed = nil }
      apply(.tick)
    }
  }

  private mutating func arrive() {
    if plan.closedLoop == nil {
      queue.add(.arrival, at: later(gap(Self.meanTokens / (result.sum * plan.load))))
    }
    let id = RequestID(answer: AnswerID(using: &generator), part: 0)
    // A sum of three uniforms: mean 1, between 0.1 and 1.9, no long tail to wait for.
    let spread = 0.1 + 1.8 * (draw() + draw() + draw()) / 3
    let prompt = Int(Self.meanPrompt * (0.2 + 1.6 * draw()))
    let tokens =
      plan.closedLoop == nil ? (Self.meanTokens * spread).rounded() : Double(plan.answerTokens)
    work[id] = (seconds, prompt, tokens)
    var candidates: UpToFour<Candidate> = []
    while candidates.count < min(plan.candidates, machines.count) {
      let number = pick()
      let candidate = Candidate(node: machines[number].name, key: KeyID(UInt64(number)))
      if !candidates.contains(candidate) { candidates.append(candidate) }
    }
    guard let account = AccountID("user-\(generator.next() % 500)") else { return }
    if isCounting { result.arrived += 1 }
    apply(
      .requestArrived(
        WorkRequest(
          id: id, account: account, model: model, candidates: candidates, inputBytes: 4 * prompt,
          output: .tokens1k, deadline: now + .seconds(60))))
  }

  /// A client draws nodes by capacity: a fast machine twice as often as one half as fast.
  private mutating func pick() -> Int {
    while true {
      let number = Int(generator.next() % UInt64(machines.count))
      if draw() * fastest < machines[number].single * efficiency(machines[number]) {
        return number
      }
    }
  }

  private lazy var fastest: Double = machines.map { $0.single * efficiency($0) }.max() ?? 1

  private mutating func apply(_ event: ScheduleEvent) {
    for effect in scheduler.handle(event, now: now) {
      switch effect {
      case .dispatch(let dispatch):
        guard let node = numbers[dispatch.node], let job = work[dispatch.request] else { continue }
        progress(node)
        machines[node].reading += 1
        let reading = machines[node].delay + Double(job.prompt) / machines[node].prefill
        queue.add(.firstToken(node: node, dispatch.request), at: later(reading))
        plan(node)
        apply(.accepted(dispatch.request, dispatch.node))
      case .refuse(let id, _, _), .end(let id, .failed), .end(let id, .cancelled):
        if work.removeValue(forKey: id) != nil {
          if isCounting { result.refused += 1 }
          if plan.closedLoop != nil { queue.add(.arrival, at: later(1)) }
        }
      case .end, .queued, .cancel, .attemptFailed, .started, .suspect, .turnAway: break
      }
    }
  }

  private mutating func startDecoding(_ node: Int, _ id: RequestID) {
    guard machines[node].isConnected, let job = work[id] else { return }
    progress(node)
    machines[node].reading -= 1
    machines[node].streams.append(Stream(id: id, tokens: job.tokens, left: job.tokens))
    if isCounting { waits.append(seconds - job.arrived) }
    apply(.firstToken(id, machines[node].name))
    plan(node)
  }

  /// Brings the streams of a machine up to now.
  private mutating func progress(_ node: Int) {
    let rate = machines[node].rate
    let passed = seconds - machines[node].updated
    machines[node].updated = seconds
    guard passed > 0 else { return }
    for index in machines[node].streams.indices {
      let made = min(machines[node].streams[index].left, passed * rate)
      machines[node].streams[index].left -= made
      if isCounting { result.tokens += made }
    }
  }

  /// Says when the first of the streams will be done.
  private mutating func plan(_ node: Int) {
    machines[node].version += 1
    guard let least = machines[node].streams.map(\.left).min() else { return }
    queue.add(
      .finished(node: node, version: machines[node].version),
      at: later(least / machines[node].rate + 1e-6))
  }

  private mutating func finish(_ node: Int, _ version: Int) {
    guard machines[node].version == version else { return }
    progress(node)
    let done = machines[node].streams.filter { $0.left <= 1e-3 }
    machines[node].streams.removeAll { $0.left <= 1e-3 }
    for stream in done {
      let prompt = work.removeValue(forKey: stream.id)?.prompt ?? 0
      if plan.closedLoop != nil { queue.add(.arrival, at: later(0.001)) }
      apply(
        .finished(
          stream.id, machines[node].name,
          WorkSummary(promptTokens: prompt, completionTokens: Int(stream.tokens))))
    }
    plan(node)
  }

  private mutating func leave(_ node: Int) {
    progress(node)
    machines[node].isConnected = false
    machines[node].streams = []
    machines[node].reading = 0
    machines[node].version += 1
    apply(.nodeLeft(machines[node].name))
    queue.add(.join(node), at: later(gap(600)))
  }

  private mutating func join(_ node: Int) {
    machines[node].isConnected = true
    machines[node].updated = seconds
    let profile = NodeProfile(
      node: machines[node].name, tier: .hardware,
      keys: [OfferedKey(key: KeyID(UInt64(node)), model: model)])
    let report = ReportedCapacity(
      model: model, slots: plan.slots, prefillRate: machines[node].prefill,
      decodeRate: machines[node].single)
    apply(.nodeJoined(profile, [report]))
    if plan.hasChurn, seconds > 0 { queue.add(.leave(node), at: later(gap(1200))) }
  }

  private mutating func arm() {
    guard let due = scheduler.nextDeadline else { return }
    if let armed, armed <= due, armed > now { return }
    armed = due
    queue.add(.tick, at: due)
  }
}
