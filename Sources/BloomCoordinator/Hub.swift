internal import BloomLedger
internal import BloomLink
package import BloomBase
package import BloomNet
package import BloomSchedule
package import BloomStore
internal import BloomWire

/// Names one connection of a node; a node's identity is never its connection.
package struct SessionID: Hashable, Sendable {
  let rawValue: UInt64

  /// Wraps a number.
  package init(rawValue: UInt64) { self.rawValue = rawValue }
}

/// The coordinator's live state: links, relays and the scheduler, all on one event loop.
///
/// It drives three pure machines and moves bytes it cannot read. What they decide, it performs;
/// it decides nothing itself.
package actor Hub {
  let loop: EventLoop
  let time: any TimeSource
  let store: LedgerStore
  let appraiser: RecordAppraiser
  let catalog: ManifestCatalog
  let log: Log
  let metrics: CoordinatorMetrics
  var scheduler: Scheduler
  var sessions: [SessionID: NodeSession] = [:]
  var sessionOfNode: [NodeID: SessionID] = [:]
  var relays: [RequestID: Relay] = [:]
  var directory: Directory
  let leafLog: LeafLog?
  var publishAllowance = PublishAllowance()
  /// Whether a task waits for its turn to publish.
  var isPublishing = false
  /// The snapshot that is on its way to the disk.
  var publishing: Task<Void, Never>?
  var followable = FollowableParts()
  var servedParts = ServedParts()
  var books = OpenBooks()
  var figures = FleetFigures()
  var keptStatements = KnownDigests()
  var questioned = QuestionedNodes()
  var unflushed: LedgerStore.Ticket?
  var isFlushing = false
  let pools: Pools
  var boards: [String: PoolBoard] = [:]
  /// Answers that run for pools, until they are closed.
  var poolAnswers: [AnswerID: PoolAnswer] = [:]
  /// Snapshots of deleted pools that are on their way to the disk, by the pool's name.
  var leavingBoards: [String: Task<Void, Never>] = [:]
  var keyRates = KeyRates()
  var keyHolds: [AnswerID: KeyHold] = [:]
  private var nextSession: UInt64 = 1
  private var isTicking = false
  /// Whether no new work is taken.
  package private(set) var isDraining = false

  /// Sealed requests under way.
  package var relayCount: Int { relays.count }
  /// Proven nodes.
  package var nodeCount: Int { sessionOfNode.count }
  /// Proven nodes that take work.
  package var readyNodeCount: Int {
    sessions.values.count { $0.node != nil && $0.capacity.map { $0.closed == nil } ?? false }
  }

  /// The loop's serial executor: no lock, and no thread hop from a connection of the same loop.
  nonisolated package var unownedExecutor: UnownedSerialExecutor {
    unsafe loop.serial.asUnownedSerialExecutor()
  }

  /// Creates a hub without links.
  package init(
    loop: EventLoop, time: any TimeSource, store: LedgerStore, appraiser: RecordAppraiser,
    directory: Directory, leafLog: LeafLog? = nil, pools: Pools? = nil,
    catalog: ManifestCatalog = ManifestCatalog(), log: Log,
    metrics: CoordinatorMetrics = CoordinatorMetrics(),
    limits: ScheduleLimits = ScheduleLimits(), seed: UInt64
  ) {
    self.loop = loop
    self.time = time
    self.store = store
    self.appraiser = appraiser
    self.directory = directory
    self.leafLog = leafLog
    self.pools = pools ?? Pools(store: store, time: time)
    self.catalog = catalog
    self.log = log
    self.metrics = metrics
    scheduler = Scheduler(limits: limits, seed: seed)
  }

  // MARK: Links

  /// A node's connection is there; the driver writes what the queue gives.
  package func connected(
    outbox: TwoLaneQueue, exporter: [UInt8]?, nonce: Digest
  ) -> SessionID? {
    guard !isDraining else { return nil }
    let id = SessionID(rawValue: nextSession)
    nextSession += 1
    sessions[id] = NodeSession(
      id: id, outbox: outbox,
      machine: CoordinatorLinkMachine(nonce: nonce, exporter: exporter, now: time.now()),
      now: time.now())
    tickLater()
    return id
  }

  /// The messages that one read of a link brought.
  ///
  /// Together they cost one entry into the actor, and each gateway's chunks leave in one write.
  package func received(_ messages: [[UInt8]], from id: SessionID) async {
    var hasForwarded = false
    for message in messages {
      guard let session = sessions[id] else { return }
      let now = time.now()
      session.heardAt = now
      for effect in session.machine.received(message, now: now) {
        switch effect {
        case .bytes: hasForwarded = true
        // To check a receipt takes as long as to relay twenty chunks: those before it leave first.
        case .receipt where hasForwarded, .done where hasForwarded:
          await Task.yield()
          hasForwarded = false
        default: break
        }
        perform(effect, of: session)
      }
    }
  }

  /// A ping of a link is over; `nil` when no pong came.
  package func pinged(_ id: SessionID, roundTrip: Duration?) {
    guard let session = sessions[id] else { return }
    session.quality.add(roundTrip)
    if let node = session.node, let usual = session.quality.roundTrip {
      handle(.networkMeasured(node, roundTrip: usual, loss: session.quality.loss))
    }
    if roundTrip != nil { perform(session.machine.heard(now: time.now()), of: session) }
  }

  /// A link's connection is gone.
  package func disconnected(_ id: SessionID) {
    guard let session = sessions.removeValue(forKey: id) else { return }
    session.machine.disconnected()
    session.outbox.finish(dropping: true)
    lost(session)
  }

  /// The node behind a session is not reachable any more.
  func lost(_ session: NodeSession) {
    catalog.withdraw(session.id)
    guard let node = session.node, sessionOfNode[node] == session.id else { return }
    sessionOfNode[node] = nil
    hide(node)
    for (stream, relay) in session.streams {
      checkRunning(stream, session)
      followable.insert(relay.id)
    }
    session.streams = [:]
    handle(.nodeLeft(node))
  }

  // MARK: Relays

  /// Places a sealed request; the sink gives the outer records of its answer.
  ///
  /// - Throws: ``RelayRefusal`` when it was not taken up, `LedgerError` when it cannot be paid.
  package func submit(_ request: SealedRequest) throws -> RelaySink {
    guard !isDraining else {
      throw RelayRefusal(reason: .draining, retryAfter: .seconds(5))
    }
    let id = request.work.id
    guard relays[id] == nil else { throw RelayRefusal(reason: .replay, retryAfter: nil) }
    try checkPace(of: request)
    try checkPrivacy(of: request)
    noteDoubt(of: RequestID(answer: id.answer, part: id.part &- 1), request.reservation.payer)
    let relay = Relay(request, arrivedAt: time.now())
    // In memory and durable with the next group: an answer need not wait for a disk, and a
    // reservation that a crash takes back was never paid.
    let ticket = try admit(request)
    try hold(request, ticket.outcome)
    flushLater(ticket)
    metrics.requests.add()
    relays[id] = relay
    books.began(id.answer)
    handle(.requestArrived(priced(request)))
    if let refusal = relay.refusal {
      relays[id] = nil
      books.ended(id.answer, now: time.now())
      throw explained(refusal, request)
    }
    countPace(of: request)
    if let pool = request.work.constraints.pool {
      poolAnswers[id.answer, default: PoolAnswer(account: request.work.account)]
        .pools[Int(id.part)] = pool
    }
    return relay.sink
  }

  /// The gateway's connection ended; what runs for it is stopped and settled by its receipts.
  package func clientLeft(_ id: RequestID) {
    guard let relay = relays[id], !relay.isEnded else { return }
    followable.insert(id)
    handle(.requestCancelled(id))
  }

  /// The next part is asked for: who keeps asking has lost the connection of a part that is well.
  private func noteDoubt(of id: RequestID, _ payer: AccountID) {
    guard let relay = relays[id], relay.request.reservation.payer == payer,
      relay.doubt.asked(now: time.now())
    else { return }
    clientLeft(id)
  }

  /// The gateway's connection took a batch: each node may send as many bytes more as were its own.
  package func consumed(_ id: RequestID, _ batch: RelaySink.Batch) {
    for share in batch.earlier { giveBack(share, id) }
    giveBack(batch.newest, id)
  }

  private func giveBack(_ share: RelaySink.Batch.Share, _ id: RequestID) {
    guard share.byteCount > 0,
      let attempt = relays[id]?.attempts.last(where: { $0.number == share.attempt }),
      let session = sessions[attempt.session]
    else { return }
    perform(session.machine.consumed(attempt.stream, byteCount: share.byteCount), of: session)
  }

  /// Takes no new work and tells the nodes to come back; relays run on until the server's drain ends.
  package func drain() {
    isDraining = true
    for session in Array(sessions.values) where session.streams.isEmpty { goodbye(session) }
  }

  /// Tells every node that is still here to come back.
  package func dismiss() {
    for session in Array(sessions.values) { goodbye(session) }
  }

  private func goodbye(_ session: NodeSession) {
    // Spread the return of ten thousand nodes over five seconds.
    let spread = Int(session.id.rawValue % 50) * 100
    perform(session.machine.goodbye(.draining, retryAfterMilliseconds: 500 + spread), of: session)
  }

  // MARK: Time

  /// Machines are asked every 50 ms while there is anything to ask about.
  private func tickLater() {
    guard !isTicking else { return }
    isTicking = true
    Task(executorPreference: loop) { [weak self, loop] in
      // Nobody cancels this task, so the sleep does not fail.
      while let hub = self, await hub.tick() { try? await loop.sleep(for: .milliseconds(50)) }
    }
  }

  private func tick() -> Bool {
    let now = time.now()
    for session in Array(sessions.values) {
      if let due = session.machine.nextDeadline, due <= now {
        perform(session.machine.tick(now: now), of: session)
      }
      if !session.streams.isEmpty { checkRunning(of: session, now: now) }
      sayStanding(session, now)
    }
    if let due = scheduler.nextDeadline, due <= now { handle(.tick) }
    sayAlive(now)
    for answer in books.takeDue(now: now) { closeBooks(answer) }
    isTicking = !sessions.isEmpty || !relays.isEmpty || !books.isEmpty
    return isTicking
  }

  /// A sign of life every 100 ms while the node behind a relay gives its own.
  private func sayAlive(_ now: Instant) {
    for relay in relays.values where now - relay.aliveAt >= .milliseconds(100) {
      if let attempt = relay.attempts.last {
        guard let session = sessions[attempt.session], !session.isSuspect,
          now - session.heardAt < .milliseconds(250)
        else { continue }
      }
      relay.aliveAt = now
      relay.sink.push(.alive, attempt: relay.attempts.count)
    }
  }

  // MARK: Scheduling

  func handle(_ event: ScheduleEvent) {
    for effect in scheduler.handle(event, now: time.now()) { perform(effect) }
    tickLater()
  }
}
