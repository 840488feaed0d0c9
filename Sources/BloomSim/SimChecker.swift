internal import BloomBase
internal import BloomLedger
internal import BloomSchedule

/// The rules that hold after every event, and those that hold at the end.
struct SimChecker {
  private struct Wait {
    let client: Int
    var lanes: [NodeID]
  }

  private struct Turn: Hashable {
    let client: Int
    let node: NodeID
  }

  /// How often others may be served at a machine while a client waits for it.
  ///
  /// An account is at most one request's work behind its turn, and works differ by less than five
  /// times here.
  private static let turns = 8

  private(set) var faults: [String] = []
  /// Requests the scheduler took in and has not ended.
  private var living: Set<RequestID> = []
  private var waiting: [RequestID: Wait] = [:]
  private var passed: [Turn: Int] = [:]
  private var settled: Set<AnswerID> = []
  private var durable: Set<Digest> = []
  private var paidTokens: [AnswerID: Int] = [:]
  private(set) var servedAfterWait = 0

  mutating func fault(_ simulation: Simulation, _ text: String) {
    let milliseconds = (simulation.now - simulation.start).wholeNanoseconds / 1_000_000
    faults.append("at \(milliseconds) ms: \(text)")
  }

  mutating func arrived(_ id: RequestID) { living.insert(id) }

  mutating func refused(_ id: RequestID) {
    living.remove(id)
    waiting[id] = nil
  }

  mutating func ended(_ simulation: Simulation, _ id: RequestID) {
    if living.remove(id) == nil { fault(simulation, "a request ended twice") }
    waiting[id] = nil
  }

  // MARK: Fairness

  mutating func waits(_ id: RequestID, client: Int, lanes: [NodeID]) {
    waiting[id] = nil
    for lane in lanes where !isWaiting(client, lane) {
      passed[Turn(client: client, node: lane)] = 0
    }
    waiting[id] = Wait(client: client, lanes: lanes)
  }

  /// A machine takes a request: if it had waited, others who wait there were passed over once more.
  mutating func serves(
    _ simulation: Simulation, _ id: RequestID, client: Int, at node: NodeID
  ) {
    guard waiting.removeValue(forKey: id) != nil else { return }
    servedAfterWait += 1
    passed[Turn(client: client, node: node)] = 0
    for other in simulation.clients.indices where other != client && isWaiting(other, node) {
      let count = (passed[Turn(client: other, node: node)] ?? 0) + 1
      passed[Turn(client: other, node: node)] = count
      if count == Self.turns * max(simulation.clients.count - 1, 1) {
        fault(simulation, "a client was passed over \(count) times")
      }
    }
  }

  /// A machine takes no more: who waited for it waits elsewhere, or again.
  mutating func laneEnded(_ node: NodeID) {
    for id in Array(waiting.keys) { waiting[id]?.lanes.removeAll { $0 == node } }
  }

  private func isWaiting(_ client: Int, _ node: NodeID) -> Bool {
    waiting.values.contains { $0.client == client && $0.lanes.contains(node) }
  }

  // MARK: Money

  /// A group is on disk: every entry balances, an answer is settled once.
  mutating func written(_ changes: ChangeSet, _ receipts: [Digest]) {
    durable.formUnion(receipts)
    for entry in changes.entries {
      let sum = entry.postings.reduce(Micros.zero) { $0 + $1.amount }
      if sum != .zero { faults.append("entry \(entry.sequence) does not balance") }
      guard let record = entry.settlement, let answer = entry.answer else { continue }
      if !settled.insert(answer).inserted { faults.append("an answer was settled twice") }
      let paid = record.lines.reduce(0) { $0 + $1.completionTokens }
      let prompts = record.lines.filter { $0.promptTokens > 0 }.count
      paidTokens[answer] = paid
      if prompts > 1 { faults.append("a prompt was paid twice") }
      if paid > OutputClass.tokens256.maximumTokens { faults.append("more paid than reserved") }
    }
  }

  /// A node hears that its receipt is safe.
  mutating func confirms(_ simulation: Simulation, _ receipt: Digest) {
    if !durable.contains(receipt) {
      fault(simulation, "a receipt was confirmed before it was written")
    }
  }

  /// What the coordinator's memory held is gone; what the store held is not.
  mutating func coordinatorDied() {
    living = []
    waiting = [:]
    passed = [:]
  }

  // MARK: Steps

  /// After every event: no wait and no attempt is past its time, and money is neither made nor lost.
  mutating func check(_ simulation: Simulation) {
    guard simulation.coordinator.isUp else { return }
    if let due = simulation.scheduleDue, due < simulation.now,
      simulation.scheduleArmed == nil
    {
      fault(simulation, "something waits past its deadline")
    }
    if simulation.livingRequests > simulation.coordinator.requests.count {
      fault(simulation, "a request that the coordinator does not know")
    }
    if simulation.report.events.isMultiple(of: 256) { checkMoney(simulation) }
  }

  /// At the end: every answer ended, no reservation is left, no token was paid that was not made.
  mutating func checkEnd(_ simulation: Simulation) {
    checkMoney(simulation)
    if !simulation.coordinator.isUp { fault(simulation, "the coordinator did not come back") }
    let scheduler = simulation.coordinator.scheduler
    if scheduler.livingCount > 0 { fault(simulation, "a request never ended") }
    if scheduler.waitingCount > 0 { fault(simulation, "a request still waits") }
    if scheduler.runningCount > 0 { fault(simulation, "a slot leaked") }
    let open = simulation.coordinator.ledger.answers.count
    if open > 0 { fault(simulation, "\(open) reservations leaked") }
    let reserved = simulation.coordinator.ledger.balances.values
      .reduce(Micros.zero) { $0 + $1.reserved }
    if reserved != .zero { fault(simulation, "\(reserved) is still reserved") }
    let mayInflate = simulation.nodes.contains { $0.vice == .inflates }
    for id in simulation.answerOrder {
      guard let answer = simulation.answers[id] else { continue }
      if answer.ending == nil { fault(simulation, "an answer never ended") }
      let paid = paidTokens[id] ?? 0
      if !mayInflate, paid > answer.answerTokens {
        fault(simulation, "\(paid) tokens paid of an answer of \(answer.answerTokens)")
      }
    }
  }

  private mutating func checkMoney(_ simulation: Simulation) {
    let sum = simulation.coordinator.ledger.balances.values.reduce(Micros.zero) { $0 + $1.total }
    if sum != .zero { fault(simulation, "all balances sum to \(sum)") }
  }
}
