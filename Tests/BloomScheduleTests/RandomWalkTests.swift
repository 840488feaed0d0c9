import BloomBase
import BloomSchedule
import Testing

/// Random events against rules that hold after every one of them.
@Suite struct RandomWalkTests {
  @Test(arguments: 0..<40)
  func `every admitted request ends exactly once and no slot is used twice`(seed: Int) {
    var walk = Walk(seed: UInt64(seed))
    for _ in 0..<600 { walk.step() }
    walk.finish()
    #expect(walk.faults == [])
    #expect(walk.ended > 0)
  }

  @Test func `the same events give the same effects`() {
    func trace(_ seed: UInt64) -> [[ScheduleEffect]] {
      var walk = Walk(seed: seed)
      for _ in 0..<300 { walk.step() }
      return walk.trace
    }
    #expect(trace(5) == trace(5))
    #expect(trace(5) != trace(6))
  }
}

private struct Walk {
  var world: World
  var generator: SeededGenerator
  var living: [RequestID: Set<NodeID>] = [:]
  var running: [NodeID: Set<RequestID>] = [:]
  var answers: [(RequestID, [UInt8])] = []
  var slots: [NodeID: Int] = [:]
  var connected: Set<UInt8> = []
  var trace: [[ScheduleEffect]] = []
  var faults: [String] = []
  var ended = 0

  init(seed: UInt64) {
    var limits = ScheduleLimits()
    limits.waitingPerAccount = 6
    limits.waiting = 30
    limits.nodes = 7
    world = World(limits: limits)
    generator = SeededGenerator(seed: seed)
    world.generator = SeededGenerator(seed: seed &+ 1)
  }

  mutating func draw(_ count: Int) -> Int { Int.random(in: 0..<count, using: &generator) }

  mutating func step() {
    let node = UInt8(1 + draw(8))
    let name = World.node(node)
    switch draw(20) {
    case 0:
      slots[name] = 1 + draw(3)
      connected.insert(node)
      running[name] = []
      apply(.nodeJoined(world.profile(node), world.capacity(slots[name] ?? 1)))
    case 1:
      connected.remove(node)
      running[name] = []
      apply(.nodeLeft(name))
    case 2: apply(.nodeSuspected(name))
    case 3: apply(.nodeRecovered(name))
    case 4: apply(draw(3) == 0 ? .nodeDraining(name) : .capacityReported(name, world.capacity(2)))
    case 5...9:
      let nodes = Array(Set((0...draw(3)).map { _ in UInt8(1 + draw(8)) })).sorted()
      var request = world.request(
        nodes, account: "user-\(draw(3))", deadline: .seconds(5 + draw(50)),
        mayHedge: draw(2) == 0)
      if draw(4) == 0, let (old, _) = answers.randomElement(using: &generator) {
        request.id = RequestID(answer: old.answer, part: old.part + UInt16(draw(2)))
      }
      answers.append((request.id, nodes))
      let wasLiving = living[request.id] != nil
      let allowed = Set(nodes.map(World.node))
      if !wasLiving { living[request.id] = allowed }
      let effects = apply(.requestArrived(request))
      if !effects.refusals.isEmpty, !wasLiving { living[request.id] = nil }
    case 10:
      if let id = some() { apply(.requestCancelled(id)) }
    case 11...17:
      guard let (node, id) = someRunning() else { return }
      switch draw(8) {
      case 0: apply(.accepted(id, node))
      case 1, 2: apply(.firstToken(id, node))
      case 3:
        running[node]?.remove(id)
        apply(.refused(id, node, isBusy: draw(2) == 0))
      case 4:
        running[node]?.remove(id)
        apply(.handedBack(id, node))
      case 5: apply(.tick)
      default:
        running[node]?.remove(id)
        let summary = WorkSummary(promptTokens: draw(1000), completionTokens: draw(300))
        apply(.finished(id, node, draw(5) == 0 ? nil : summary))
      }
    default:
      world.now = world.now + .milliseconds(draw(4000))
      apply(.tick)
    }
  }

  mutating func finish() {
    for id in living.keys.sorted(by: { $0.description < $1.description }) {
      apply(.requestCancelled(id))
    }
    world.now = world.now + .seconds(7200)
    apply(.tick)
    if world.scheduler.livingCount != 0 { faults.append("a request did not end") }
    if world.scheduler.waitingCount != 0 { faults.append("a request still waits") }
    if world.scheduler.runningCount != 0 { faults.append("a slot leaked") }
    if !living.isEmpty { faults.append("no end for \(living.count)") }
  }

  private func some() -> RequestID? {
    living.keys.min { $0.description < $1.description }
  }

  private mutating func someRunning() -> (NodeID, RequestID)? {
    let all = running.flatMap { node, ids in ids.map { (node, $0) } }
      .sorted { ($0.0.digest.hex, $0.1.description) < ($1.0.digest.hex, $1.1.description) }
    return all.isEmpty ? nil : all[draw(all.count)]
  }

  @discardableResult
  private mutating func apply(_ event: ScheduleEvent) -> [ScheduleEffect] {
    let effects = world.handle(event)
    trace.append(effects)
    for effect in effects {
      switch effect {
      case .dispatch(let dispatch):
        guard let allowed = living[dispatch.request] else {
          faults.append("dispatch of a request that does not live")
          continue
        }
        if !allowed.contains(dispatch.node) { faults.append("a node that was not named") }
        if running[dispatch.node]?.insert(dispatch.request).inserted != true {
          faults.append("twice at one node, or a node without a link")
        }
      case .end(let id, _):
        ended += 1
        if living.removeValue(forKey: id) == nil { faults.append("a second end") }
      default: break
      }
    }
    if let next = world.scheduler.nextDeadline, next <= world.now {
      faults.append("a deadline was passed over")
    }
    return effects
  }
}
