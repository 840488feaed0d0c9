internal import BloomBase
internal import BloomCoordinator
internal import BloomLedger
internal import BloomLink
internal import BloomSchedule
internal import BloomWire

/// The coordinator's relays and its scheduler's decisions, as its hub drives them.
extension Simulation {
  /// A posted envelope.
  func coordinatorTakes(_ session: Int, _ client: Int, _ bytes: [UInt8]) {
    guard coordinator.isUp else {
      return queue.add(.bodyEnd(session: session, isBroken: true), at: now + milliseconds(20))
    }
    guard let envelope = Envelope(bytes) else { return refuse(session, .malformed) }
    let id = envelope.id
    guard coordinator.requests[id] == nil else { return refuse(session, .replay) }
    let payer = account(client)
    // Who keeps asking for the next part has lost the connection of one that is well.
    let previous = RequestID(answer: id.answer, part: id.part &- 1)
    if let work = coordinator.requests[previous], work.client == client,
      coordinator.requests[previous]?.doubt.asked(now: now) == true
    {
      coordinatorLoses(work.session)
    }
    do throws(LedgerError) {
      let command: LedgerCommand =
        id.part == 0
        ? .reserve(envelope.reservation(payer, deadline: unixTime + 120))
        : .admitPart(
          envelope.admission(
            payer, previousFailed: coordinator.followable.contains(previous)))
      _ = try coordinator.ledger.apply(command, at: unixTime)
    } catch {
      return refuse(session, error.wire)
    }
    // In memory and written with the next group, as the hub does it.
    armCommit()
    let known = account(plan.sabotage == .mergesAccounts ? 0 : client)
    let work = envelope.work(known, at: now, mayHedge: network.next() % 4 == 0)
    coordinator.requests[id] = .init(
      session: session, client: client, envelope: envelope,
      allowed: Set(work.candidates.map(\.node)))
    coordinator.order.append(id)
    coordinator.books.began(id.answer)
    checker.arrived(id)
    isRefused = false
    queue.add(.began(session: session), at: recordTime(session))
    apply(.requestArrived(work))
    if isRefused {
      sessions[session].isRefused = true
      coordinator.requests[id] = nil
      coordinator.books.ended(id.answer, now: now)
    }
    armAlive()
  }

  /// The gateway hung up.
  func coordinatorLoses(_ session: Int) {
    guard coordinator.isUp else { return }
    guard let id = coordinator.requests.first(where: { $0.value.session == session })?.key else {
      return
    }
    coordinator.followable.insert(id)
    apply(.requestCancelled(id))
  }

  /// A gateway says that it has a part with this last receipt.
  func coordinatorHears(_ answer: AnswerID, has receipt: Digest) {
    guard coordinator.isUp, plan.sabotage != .keepsReservations,
      coordinator.books.takeEnd(of: answer, receipt)
    else { return }
    book(.close(answer))
  }

  /// A sign of life every 100 ms while the node behind a request gives its own.
  func sayAlive() {
    isSayingAlive = false
    guard coordinator.isUp else { return }
    let living = coordinator.requests
    coordinator.order.removeAll { living[$0] == nil }
    for id in coordinator.order {
      guard let work = coordinator.requests[id] else { continue }
      if let attempt = work.attempts.last {
        let connection = attempt.place.connection
        guard !coordinator.suspects.contains(connection),
          let heardAt = coordinator.heardAt[connection], now - heardAt < .milliseconds(250)
        else { continue }
      }
      say(id, .alive, attempt: work.attempts.last?.number ?? 0)
    }
    armAlive()
  }

  /// Gives the scheduler an event and does what it says.
  func apply(_ event: ScheduleEvent) {
    guard coordinator.isUp else { return }
    switch event {
    case .nodeLeft(let node), .nodeDraining(let node): checker.laneEnded(node)
    default: break
    }
    for effect in coordinator.scheduler.handle(event, now: now) { perform(effect) }
    armSchedule()
  }

  private func perform(_ effect: ScheduleEffect) {
    switch effect {
    case .dispatch(let dispatch): send(dispatch)
    case .queued(let id, let position, let estimate):
      if let work = coordinator.requests[id],
        let decision = coordinator.scheduler.decision(for: id)
      {
        let lanes = decision.candidates.filter { $0.reason == .busy }.map(\.node)
        checker.waits(id, client: work.client, lanes: lanes)
      }
      let milliseconds = Int(min(estimate.wholeNanoseconds / 1_000_000, 1_000_000))
      say(id, .queued(position: position, estimateMilliseconds: milliseconds), attempt: 0)
    case .refuse(let id, let reason, _):
      trace(UInt64(reason.rawValue))
      checker.refused(id)
      guard let session = coordinator.requests[id]?.session else { return }
      isRefused = true
      refuse(session, reason.wire)
    case .cancel(let id, let node, _):
      guard let attempt = coordinator.requests[id]?.attempts.last(where: { $0.node == node })
      else { return }
      if let effects = coordinator.links[attempt.place.connection]?.cancel(
        attempt.place.stream, .cancelled)
      {
        perform(attempt.place.connection, effects)
      }
    case .attemptFailed(let id, let node, let reason, let willRetry):
      coordinator.followable.insert(id)
      let attempt = coordinator.requests[id]?.attempts.last { $0.node == node }?.number ?? 0
      say(
        id,
        .attemptFailed(
          reason: reason.wire, isRetriable: willRetry || reason.wire.isRetriable,
          retryAfterMilliseconds: 0), attempt: attempt)
    case .started(let id, let node): coordinator.requests[id]?.selected = node
    case .suspect(let id, _): suspect(id)
    case .end(let id, let ending):
      end(id, ending)
      if plan.sabotage == .endsTwice { end(id, ending) }
    case .turnAway: checker.fault(self, "a node was turned away")
    }
  }

  private func send(_ dispatch: Dispatch) {
    guard let work = coordinator.requests[dispatch.request] else {
      return checker.fault(self, "a dispatch without a request")
    }
    var target = dispatch.node
    if plan.sabotage == .misroutes {
      target = coordinator.connections.keys.sorted().first { !work.allowed.contains($0) } ?? target
    }
    checker.serves(self, dispatch.request, client: work.client, at: target)
    if !work.allowed.contains(target) { checker.fault(self, "a node that was not named") }
    trace(target.digest.bytes.reduce(0) { $0 << 1 ^ UInt64($1) })
    guard let head = work.envelope.head(for: target),
      let connection = coordinator.connections[target],
      let begun = coordinator.links[connection]?.begin(
        head: head, body: work.envelope.body, now: now)
    else { return apply(.refused(dispatch.request, dispatch.node, isBusy: true)) }
    let place = SimCoordinator.Place(connection: connection, stream: begun.stream)
    coordinator.placed[place] = dispatch.request
    coordinator.heardAt[connection] = now
    coordinator.requests[dispatch.request]?.attempts.append(
      .init(place: place, node: target, number: UInt8(clamping: dispatch.attempt)))
    perform(connection, begun.effects)
  }

  private func end(_ id: RequestID, _ ending: RequestEnding) {
    checker.ended(self, id)
    guard let work = coordinator.requests.removeValue(forKey: id) else { return }
    coordinator.books.ended(id.answer, now: now)
    switch ending {
    case .done: break
    case .cancelled: coordinator.followable.insert(id)
    case .failed(let reason, let retryAfter):
      coordinator.followable.insert(id)
      trace(UInt64(reason.rawValue) + 100)
      let milliseconds = Int((retryAfter?.wholeNanoseconds ?? 0) / 1_000_000)
      record(
        work.session,
        .attemptFailed(
          reason: reason.wire, isRetriable: reason.wire.isRetriable,
          retryAfterMilliseconds: milliseconds), attempt: work.attempts.last?.number ?? 0)
    }
    queue.add(.bodyEnd(session: work.session, isBroken: false), at: recordTime(work.session))
  }

  /// The next part may begin, and the gateway hears it once.
  func suspect(_ id: RequestID) {
    coordinator.followable.insert(id)
    guard let work = coordinator.requests[id], !work.isSuspected else { return }
    coordinator.requests[id]?.isSuspected = true
    say(id, .suspected, attempt: work.attempts.last?.number ?? 0)
  }

  private func refuse(_ session: Int, _ reason: Reason) {
    queue.add(.refused(session: session, reason), at: recordTime(session))
  }

  func say(_ id: RequestID, _ item: OuterRecord, attempt: UInt8) {
    if let session = coordinator.requests[id]?.session { record(session, item, attempt: attempt) }
  }

  private func record(_ session: Int, _ item: OuterRecord, attempt: UInt8) {
    var bytes: [UInt8] = []
    item.append(attempt: attempt, to: &bytes)
    queue.add(.record(session: session, bytes), at: recordTime(session))
  }

  /// When what leaves now on a response body arrives: in order.
  private func recordTime(_ session: Int) -> Instant {
    recordTimes[session] = arrival(after: recordTimes[session])
    return recordTimes[session]
  }

  private func armAlive() {
    guard !isSayingAlive, !coordinator.requests.isEmpty else { return }
    isSayingAlive = true
    queue.add(.alive, at: now + .milliseconds(100))
  }

  func armSchedule() {
    scheduleDue = coordinator.scheduler.nextDeadline
    livingRequests = coordinator.scheduler.livingCount
    guard let due = scheduleDue, plan.sabotage != .ignoresDeadlines else { return }
    if let armed = scheduleArmed, armed <= due, armed > now { return }
    scheduleArmed = due
    queue.add(.scheduleDue, at: due)
  }
}
