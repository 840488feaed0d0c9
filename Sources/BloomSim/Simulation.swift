internal import BloomBase
internal import BloomClient
internal import BloomLedger
internal import BloomLink
internal import BloomNode
internal import BloomSchedule
internal import BloomWire

/// The whole network under virtual time: encoded bytes pass between the real state machines.
///
/// Real: both halves of the node link, the agent's job table, the scheduler, the ledger and its SQLite
/// store, envelopes and response records, the gateway's guard set and answer machine. Stand-ins: a
/// worker is a speed, and what is sealed and signed in life is checkable in clear here. Every fault is
/// drawn from the seed.
package final class Simulation {
  enum Event {
    case toCoordinator(connection: Int, [UInt8])
    case toNode(connection: Int, [UInt8])
    case connectionLost(connection: Int, nodeSide: Bool)
    case linkDue(connection: Int)
    case nodeDue(Int)
    case connect(Int)
    case report(Int)
    case firstToken(node: Int, incarnation: Int, StreamID)
    case step(node: Int, incarnation: Int)
    case lateDone(node: Int, incarnation: Int, StreamID, [UInt8])
    case workerReady(Int)
    case scheduleDue
    case alive
    case commit
    case sweep
    case ask(client: Int)
    case envelope(session: Int, client: Int, [UInt8])
    case hangUp(session: Int)
    case began(session: Int)
    case refused(session: Int, Reason)
    case record(session: Int, [UInt8])
    case bodyEnd(session: Int, isBroken: Bool)
    case stopReading(session: Int)
    case acknowledged(AnswerID, Digest)
    case answerDue(AnswerID)
    case fault
    case wake(Int)
    case restartCoordinator
  }

  let plan: SimPlan
  let model = ModelID(.zero)
  let start = Instant(nanoseconds: 1_000_000_000)
  var now: Instant
  var queue = VirtualQueue<Event>()
  var network: SeededGenerator
  var chance: SeededGenerator
  var users: SeededGenerator
  var nodes: [SimNode] = []
  var clients: [ClientVice] = []
  var coordinator: SimCoordinator
  var store: SimStore
  /// Each client's own machines, which it changes slowly.
  var guards: [GuardSet] = []
  /// When each client last found the coordinator out of reach.
  var unreachableAt: [Int: Instant] = [:]
  var answers: [AnswerID: SimAnswer] = [:]
  var answerOrder: [AnswerID] = []
  var sessions: [SimSession] = []
  /// The node at the other end of each connection ever made, and when each direction delivers next.
  var connections: [(node: Int, toNode: Instant, toCoordinator: Instant, isCut: Bool)] = []
  var recordTimes: [Instant] = []
  var scheduleArmed: Instant?
  /// What the scheduler said after its last event: it changes nowhere else.
  var scheduleDue: Instant?
  var livingRequests = 0
  var linksArmed: [Int: Instant] = [:]
  var isCommitting = false
  var isSayingAlive = false
  /// Whether the scheduler refused the arrival that it was just told of.
  var isRefused = false
  var checker = SimChecker()
  package private(set) var report: SimReport

  /// Draws a run from its plan.
  package init(_ plan: SimPlan) {
    self.plan = plan
    report = SimReport(plan)
    now = start
    network = SeededGenerator(seed: plan.seed &* 3 &+ 1)
    chance = SeededGenerator(seed: plan.seed &* 5 &+ 2)
    users = SeededGenerator(seed: plan.seed &* 7 &+ 3)
    do {
      store = try SimStore(plan.store, mints: plan.sabotage == .mintsMoney)
    } catch {
      fatalError("the simulation's store cannot be opened: \(error.safeDescription)")
    }
    coordinator = SimCoordinator(seed: plan.seed, ledger: Ledger())
    prepare()
  }

  /// Runs to the end and checks what must hold then.
  package func run() -> SimReport {
    let limit = start + plan.duration + .seconds(400)
    var quietSweeps = 0
    while let next = queue.next(), next.time <= limit {
      now = max(now, next.time)
      report.events += 1
      handle(next.event)
      checker.check(self)
      if checker.faults.count > 20 { break }
      // Quiet at three sweeps in a row: late receipts have had their 15 seconds.
      if case .sweep = next.event {
        quietSweeps = isQuiet ? quietSweeps + 1 : 0
        if quietSweeps == 3 { break }
      }
    }
    checker.checkEnd(self)
    report.faults = checker.faults
    report.waited = checker.servedAfterWait
    for id in answerOrder {
      switch answers[id]?.ending {
      case .complete: report.complete += 1
      case .failed: report.failed += 1
      case .left: report.left += 1
      case nil: break
      }
    }
    return report
  }

  private var isQuiet: Bool {
    answerOrder.count >= plan.answers && coordinator.isUp && livingRequests == 0
      && coordinator.ledger.answers.isEmpty && coordinator.scheduler.runningCount == 0
      && now - start > plan.duration && answers.values.allSatisfy { $0.ending != nil }
  }

  /// Mixes what happened into the run's fingerprint.
  func trace(_ value: UInt64) {
    report.fingerprint = SimBytes.mixed(report.fingerprint ^ value, now.nanoseconds)
  }

  func count(_ change: (inout SimReport) -> Void) { change(&report) }

  private func prepare() {
    for number in 0..<plan.nodes {
      guard let digest = Digest(SimBytes.words((0..<4).map { SimBytes.mixed(UInt64(number), $0) })),
        let owner = AccountID("owner-\(number)")
      else { continue }
      let vice: NodeVice =
        draw(1) < plan.viceShare
        ? NodeVice.allCases.randomElement(using: &chance) ?? .none : .none
      nodes.append(
        SimNode(
          number: number, name: NodeID(digest), owner: owner,
          region: number % max(plan.regions, 1), vice: vice,
          slots: 1 + Int.random(in: 0...3, using: &chance), decodeRate: 15 + draw(60),
          prefillRate: 150 + draw(800), machine: NodeLinkMachine(release: .zero)))
      nodes[nodes.count - 1].jobs.workerReady(model)
      queue.add(.connect(number), at: now + milliseconds(draw(500)))
    }
    if let price = Price(promptPerMillion: 100_000, completionPerMillion: 400_000) {
      book(.changePrice(.fallback(price)))
    }
    for client in 0..<plan.clients {
      clients.append(
        draw(1) < plan.viceShare
          ? ClientVice.allCases.randomElement(using: &chance) ?? .none : .none)
      guards.append(GuardSet())
      book(.grant(key: "start-\(client)", account(client), Micros(50_000_000)))
    }
    commit()
    for _ in 0..<plan.answers {
      let client = Int.random(in: 0..<plan.clients, using: &users)
      let time = Double(plan.duration.wholeNanoseconds) / 1e6 * draw(1)
      queue.add(.ask(client: client), at: now + milliseconds(1000 + time))
    }
    if let every = plan.faultEvery {
      let gap = Double(every.wholeNanoseconds) / 1e6
      var time = gap * (0.5 + draw(1))
      while time < Double(plan.duration.wholeNanoseconds) / 1e6 {
        queue.add(.fault, at: now + milliseconds(1000 + time))
        time += gap * (0.2 + 1.6 * draw(1))
      }
    }
    queue.add(.sweep, at: now + .seconds(5))
  }

  func account(_ client: Int) -> AccountID {
    guard let account = AccountID("user-\(client)") else { fatalError("a valid name") }
    return account
  }

  /// A number below `bound` from the faults' own sequence.
  func draw(_ bound: Double) -> Double {
    Double(chance.next() >> 11) / Double(1 << 53) * bound
  }

  func milliseconds(_ value: Double) -> Duration { .microseconds(Int64(value * 1000)) }

  var unixTime: UnixTime { UnixTime(1_700_000_000 + Int64(now.nanoseconds / 1_000_000_000)) }

  /// When a message that leaves now arrives; never before one that left earlier.
  func arrival(after earlier: Instant) -> Instant {
    var delay =
      1 + Double(network.next() % 1024) / 1024
      * Double(plan.delay.wholeNanoseconds) / 1e6
    if Double(network.next() % 10_000) / 10_000 < plan.loss { delay += 200 }
    return max(now + milliseconds(delay), earlier + .nanoseconds(1))
  }

  private func handle(_ event: Event) {
    switch event {
    case .toCoordinator(let connection, let bytes): coordinatorReceives(connection, bytes)
    case .toNode(let connection, let bytes): nodeReceives(connection, bytes)
    case .connectionLost(let connection, let nodeSide): lost(connection, nodeSide: nodeSide)
    case .linkDue(let connection): linkDue(connection)
    case .nodeDue(let node): nodeDue(node)
    case .connect(let node): connect(node)
    case .report(let node): reportCapacity(node)
    case .firstToken(let node, let incarnation, let stream): read(node, incarnation, stream)
    case .step(let node, let incarnation): step(node, incarnation)
    case .lateDone(let node, let incarnation, let stream, let receipt):
      if nodes[node].worker.incarnation == incarnation {
        hear(node, .done(stream, receipt: receipt))
      }
    case .workerReady(let node): workerReady(node)
    case .scheduleDue:
      if scheduleArmed == now { scheduleArmed = nil }
      if coordinator.isUp { apply(.tick) }
    case .alive: sayAlive()
    case .commit: commit()
    case .sweep: sweep()
    case .ask(let client): ask(client)
    case .envelope(let session, let client, let bytes): coordinatorTakes(session, client, bytes)
    case .hangUp(let session): coordinatorLoses(session)
    case .began(let session): gatewayBegins(session)
    case .refused(let session, let reason): gatewayIsRefused(session, reason)
    case .record(let session, let bytes): gatewayReceives(session, bytes)
    case .bodyEnd(let session, let isBroken): gatewayLoses(session, isBroken: isBroken)
    case .stopReading(let session): sessions[session].isOpen = false
    case .acknowledged(let answer, let receipt): coordinatorHears(answer, has: receipt)
    case .answerDue(let answer): answerDue(answer)
    case .fault: injectFault()
    case .wake(let node): wake(node)
    case .restartCoordinator: restartCoordinator()
    }
  }
}
