package import BloomBase

/// Places sealed requests on the nodes they name: events in, effects out, no clock, no I/O.
///
/// A decision looks at one to four candidates, whatever the number of nodes; a freed slot takes the
/// next waiting request in O(log n). The same events give the same effects on every platform. Not
/// to be copied while in use: it lives behind one lock or in one actor.
package struct Scheduler: Sendable {
  /// The bounds it was made with.
  package let limits: ScheduleLimits

  var offers = Slab<OfferState>()
  var histories: [OfferHistory] = []
  var offerIndex = DenseIndex()
  let seed: UInt64
  /// ``ScheduleLimits/acceptTimeout``, since arithmetic with durations takes a share of a decision.
  let acceptNanoseconds: UInt64
  /// What ``readAhead(_:)`` read, so that it is not left out.
  var touched: UInt8 = 0
  var nodes = Slab<NodeState>()
  /// What nodes say of themselves, by node number.
  var profiles: [NodeProfile] = []
  /// Offer numbers, by node number.
  var served: [[Int]] = []
  /// What became of requests, by node number.
  var reasons: [ReasonCounts] = []
  var nodeNumbers: [NodeID: Int] = [:]
  var gone = GoneList()
  var requests = Slab<RequestState>()
  /// Region and pool that a request names, by its number.
  var demands: [Int: PlacementConstraints] = [:]
  var attempts = Slab<AttemptState>()
  var answers = Slab<AnswerState>()
  /// Who pays for an answer, by its number.
  var payers: [AccountID] = []
  var answerIndex = DenseIndex()
  /// Candidates that failed an answer, by its number.
  ///
  /// By key, since a worker that was started again has a new one and is as good as another node.
  var failures: [Int: UpToFour<Candidate>] = [:]
  var retired = RetiredList()
  var accounts = Slab<AccountState>()
  var accountNumbers: [AccountID: Int] = [:]
  var accountSerial: UInt32 = 0
  var models = Slab<ModelState>()
  var modelNumbers: [ModelID: Int] = [:]
  var queue = FairQueue()
  var timers = KeyedHeap()
  var timerPositions: [Int32] = []
  var tally = TallyLog()
  var generator: SeededGenerator
  var effects: [ScheduleEffect] = []

  /// Creates a scheduler that knows no nodes.
  ///
  /// - Parameters:
  ///   - limits: Bounds and constants.
  ///   - seed: Spreads the advice when to retry and the places of tables; random, except in tests.
  package init(limits: ScheduleLimits = ScheduleLimits(), seed: UInt64 = 1) {
    self.limits = limits
    generator = SeededGenerator(seed: seed)
    self.seed = generator.next()
    acceptNanoseconds = UInt64(max(0, limits.acceptTimeout.wholeNanoseconds))
  }

  /// Takes one event and says what to do, in order.
  ///
  /// - Parameters:
  ///   - event: What happened. Unknown names are ignored: links race with endings.
  ///   - now: When; must not go back.
  /// - Returns: What to do, in order.
  /// - Complexity: O(log waiting), independent of the number of nodes. A node that leaves costs
  ///   O(its running and waiting requests).
  package mutating func handle(_ event: ScheduleEvent, now: Instant) -> [ScheduleEffect] {
    expire(now)
    switch event {
    case .nodeJoined(let profile, let capacity): join(profile, capacity, now)
    case .recordChanged(let profile): changeRecord(profile, now)
    case .capacityReported(let node, let capacity): report(node, capacity, now)
    case .nodeSuspected(let node): suspect(node, now)
    case .nodeRecovered(let node): recover(node, now)
    case .nodeDraining(let node): drain(node, now)
    case .nodeLeft(let node): leave(node, now)
    case .networkMeasured(let node, let roundTrip, let loss): measure(node, roundTrip, loss)
    case .nodeDisputed(let node): dispute(node, now)
    case .requestArrived(let request): arrive(request, now)
    case .answerRestored(let id, let account, let model, let output, let dispatches):
      restore(id, account, model, output, dispatches, now)
    case .requestCancelled(let id): cancel(id, now)
    case .accepted(let id, let node): accept(id, node, now)
    case .refused(let id, let node, let isBusy): refuse(id, node, isBusy, now)
    case .firstToken(let id, let node): start(id, node, now)
    case .finished(let id, let node, let summary): finish(id, node, summary, now)
    case .handedBack(let id, let node): handBack(id, node, now)
    case .tick: break
    }
    if case .requestArrived = event {} else { settleTally(atMost: 16) }
    var result: [ScheduleEffect] = []
    swap(&result, &effects)
    return result
  }

  /// When ``ScheduleEvent/tick`` is due next; `nil` when nothing waits for time.
  package var nextDeadline: Instant? {
    timers.minimum.map { Instant(nanoseconds: $0.key) }
  }

  /// Requests that wait for a slot.
  package var waitingCount: Int { queue.waitingRequests }
  /// Attempts that occupy a slot, those told to stop included.
  package var runningCount: Int { attempts.count }
  /// Requests that have not ended.
  package var livingCount: Int { requests.count }
}
