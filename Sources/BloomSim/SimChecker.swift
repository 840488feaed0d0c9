internal import BloomBase
internal import BloomLedger
internal import BloomSchedule

/// The rules that hold after every event, and those that hold at the end.
struct SimChecker {
  private(set) var faults: [String] = []
  /// Requests the scheduler took in and has not ended.
  private var living: Set<RequestID> = []
  private var settled: Set<AnswerID> = []
  private var maximumPaid: [AnswerID: Int] = [:]
  var refusedCommands = 0

  mutating func fault(_ simulation: Simulation, _ text: String) {
    let milliseconds = (simulation.now - simulation.start).wholeNanoseconds / 1_000_000
    faults.append("at \(milliseconds) ms: \(text)")
  }

  mutating func arrived(_ id: RequestID, isLiving: Bool) { if !isLiving { living.insert(id) } }

  mutating func refused(_ id: RequestID, _ reason: ReasonCode) {
    if reason != .duplicateRequest { living.remove(id) }
  }

  mutating func ended(_ simulation: Simulation, _ id: RequestID) {
    if living.remove(id) == nil { fault(simulation, "a request ended twice") }
  }

  /// What the coordinator's memory held is gone; what the store held is not.
  mutating func coordinatorDied(_ simulation: Simulation) {
    living = []
    settled = settled.filter { simulation.coordinator.durable.answers[$0] == nil }
  }

  /// After every event: no wait and no attempt is past its time, and money is neither made nor lost.
  mutating func check(_ simulation: Simulation) {
    guard simulation.coordinator.isUp else { return }
    if let due = simulation.scheduleDue, due < simulation.now,
      simulation.scheduleArmed == nil
    {
      fault(simulation, "a deadline without a timer")
    }
    if simulation.livingRequests > simulation.coordinator.requests.count {
      fault(simulation, "a request that the coordinator does not know")
    }
    if simulation.report.events.isMultiple(of: 64) { checkMoney(simulation) }
  }

  /// Every entry balances, and an answer is settled once.
  mutating func checkEntries(_ changes: ChangeSet) {
    for entry in changes.entries {
      let sum = entry.postings.reduce(Micros.zero) { $0 + $1.amount }
      if sum != .zero { faults.append("entry \(entry.sequence) does not balance") }
      guard let record = entry.settlement, let answer = entry.answer else { continue }
      if !settled.insert(answer).inserted { faults.append("an answer was settled twice") }
      let paid = record.lines.reduce(0) { $0 + $1.completionTokens }
      let prompts = record.lines.filter { $0.promptTokens > 0 }.count
      maximumPaid[answer] = paid
      if prompts > 1 { faults.append("a prompt was paid twice") }
      if paid > OutputClass.tokens256.maximumTokens { faults.append("more paid than reserved") }
    }
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
      let paid = maximumPaid[id] ?? 0
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
