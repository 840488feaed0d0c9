internal import BloomBase
internal import BloomLedger
internal import BloomLink
internal import BloomSchedule
internal import BloomWire

/// The coordinator's links and relays, as its hub drives them.
extension Simulation {
  func coordinatorReceives(_ connection: Int, _ bytes: [UInt8]) {
    guard coordinator.isUp, let effects = coordinator.links[connection]?.received(bytes, now: now)
    else { return }
    coordinator.heardAt[connection] = now
    perform(connection, effects)
  }

  func linkDue(_ connection: Int) {
    guard linksArmed[connection] == now || linksArmed[connection] == nil else { return }
    linksArmed[connection] = nil
    guard coordinator.isUp, let effects = coordinator.links[connection]?.tick(now: now) else {
      return
    }
    perform(connection, effects)
  }

  func coordinatorLosesLink(_ connection: Int) {
    guard coordinator.isUp, let link = coordinator.links.removeValue(forKey: connection) else {
      return
    }
    connections[connection].isCut = true
    coordinator.suspects.remove(connection)
    guard let node = link.node, coordinator.connections[node] == connection else { return }
    coordinator.connections[node] = nil
    failParts(on: connection)
    apply(.nodeLeft(node))
  }

  func perform(_ connection: Int, _ effects: [CoordinatorLinkEffect]) {
    for effect in effects { perform(connection, effect) }
    armLink(connection)
  }

  private func perform(_ connection: Int, _ effect: CoordinatorLinkEffect) {
    let number = connections[connection].node
    let node = nodes[number].name
    switch effect {
    case .send(let bytes): carry(connection, toNode: true, bytes)
    case .ping:
      if !nodes[number].isAsleep, !connections[connection].isCut,
        let effects = coordinator.links[connection]?.heard(now: now)
      {
        perform(connection, effects)
      }
    case .verify(let record, _, _, _):
      let isGood = record == SimBytes.words([UInt64(number)])
      let effects =
        isGood
        ? coordinator.links[connection]?.proven(node, time: unixTime, now: now)
        : coordinator.links[connection]?.disproven()
      perform(connection, effects ?? [])
    case .opened(let node): opened(connection, number, node)
    case .capacity(let capacity):
      // A link that was replaced may still deliver; only the node's present one counts.
      guard coordinator.connections[node] == connection else { return }
      apply(.capacityReported(node, reported(capacity)))
    case .record, .models: break
    case .draining: apply(.nodeDraining(node))
    case .accepted(let stream):
      guard let (id, attempt) = find(connection, stream) else { return }
      say(id, .accepted(node: node), attempt: attempt.number)
      apply(.accepted(id, node))
    case .refused(let stream, let reason, _):
      if let id = leave(connection, stream) {
        apply(.refused(id, node, isBusy: reason == .busy))
      }
    case .bytes(let stream, let bytes): forward(connection, stream, node, bytes)
    case .receipt(let stream, let bytes):
      guard let receipt = take(receipt: bytes, node: number, closes: false) else { return }
      if let id = coordinator.placed[.init(connection: connection, stream: stream)] {
        apply(.progressed(id, node, tokens: receipt.completion))
      }
    case .done(let stream, let bytes): done(connection, stream, number, bytes)
    case .handedBack(let stream, _):
      if let id = leave(connection, stream) {
        coordinator.failedParts.insert(id)
        apply(.handedBack(id, node))
      }
    case .suspected:
      coordinator.suspects.insert(connection)
      failParts(on: connection)
      apply(.nodeSuspected(node))
    case .recovered:
      coordinator.suspects.remove(connection)
      apply(.nodeRecovered(node))
    case .close:
      queue.add(
        .connectionLost(connection: connection, nodeSide: true), at: now + milliseconds(20))
      coordinatorLosesLink(connection)
    }
  }

  /// A posted envelope.
  func coordinatorTakes(_ session: Int, _ client: Int, _ bytes: [UInt8]) {
    guard coordinator.isUp else {
      return queue.add(.bodyEnd(session: session), at: now + milliseconds(20))
    }
    guard let envelope = Envelope(bytes) else { return refuse(session, .malformed) }
    let id = envelope.id
    guard coordinator.requests[id] == nil else { return refuse(session, .replay) }
    let payer = account(client)
    do throws(LedgerError) {
      let previous = RequestID(answer: id.answer, part: id.part &- 1)
      let command: LedgerCommand =
        id.part == 0
        ? .reserve(envelope.reservation(payer, deadline: unixTime + 120))
        : .admitPart(
          envelope.admission(
            payer, previousFailed: coordinator.failedParts.contains(previous)))
      _ = try coordinator.ledger.apply(command, at: unixTime)
    } catch {
      return refuse(session, reason(error))
    }
    // In memory and written with the next group, as the hub does it.
    armCommit()
    let known = account(plan.sabotage == .mergesAccounts ? 0 : client)
    let work = envelope.work(known, at: now, mayHedge: network.next() % 4 == 0)
    coordinator.requests[id] = .init(
      session: session, client: client, envelope: envelope,
      allowed: Set(work.candidates.map(\.node)))
    coordinator.order.append(id)
    checker.arrived(id)
    isRefused = false
    queue.add(.began(session: session), at: recordTime(session))
    apply(.requestArrived(work))
    if isRefused { coordinator.requests[id] = nil }
    armAlive()
  }

  /// The gateway hung up.
  func coordinatorLoses(_ session: Int) {
    guard coordinator.isUp else { return }
    guard let id = coordinator.requests.first(where: { $0.value.session == session })?.key else {
      return
    }
    coordinator.failedParts.insert(id)
    apply(.requestCancelled(id))
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
      refuse(session, wire(reason))
    case .cancel(let id, let node, _):
      guard let attempt = coordinator.requests[id]?.attempts.last(where: { $0.node == node })
      else { return }
      if let effects = coordinator.links[attempt.place.connection]?.cancel(
        attempt.place.stream, .cancelled)
      {
        perform(attempt.place.connection, effects)
      }
    case .attemptFailed(let id, let node, let reason, let willRetry):
      coordinator.failedParts.insert(id)
      let attempt = coordinator.requests[id]?.attempts.last { $0.node == node }?.number ?? 0
      let wire = wire(reason)
      say(
        id,
        .attemptFailed(
          reason: wire, isRetriable: willRetry || wire.isRetriable, retryAfterMilliseconds: 0),
        attempt: attempt)
    case .started(let id, let node): coordinator.requests[id]?.selected = node
    case .suspect(let id, _):
      coordinator.failedParts.insert(id)
      say(id, .suspected, attempt: coordinator.requests[id]?.attempts.last?.number ?? 0)
    case .end(let id, let ending):
      end(id, ending)
      if plan.sabotage == .endsTwice { end(id, ending) }
    case .turnAway: checker.fault(self, "a node was turned away")
    }
  }

  private func opened(_ connection: Int, _ number: Int, _ node: NodeID) {
    if let old = coordinator.connections[node] {
      coordinator.connections[node] = nil
      coordinator.links[old] = nil
      failParts(on: old)
      apply(.nodeLeft(node))
    }
    coordinator.connections[node] = connection
    let profile = NodeProfile(
      node: node, tier: .hardware, region: "region-\(nodes[number].region)",
      owner: nodes[number].owner, memoryBytes: 16 << 30,
      keys: [OfferedKey(key: nodes[number].key, model: model, activeBytes: 2_000_000_000)])
    apply(.nodeJoined(profile, []))
  }

  private func reported(_ capacity: Capacity) -> [ReportedCapacity] {
    guard capacity.closed == nil else { return [] }
    return capacity.models.map { model in
      ReportedCapacity(
        model: model.model, slots: model.slots,
        prefillRate: Double(model.prefillMilliTokensPerSecond) / 1000,
        decodeRate: Double(model.decodeMilliTokensPerSecond) / 1000)
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

  private func forward(
    _ connection: Int, _ stream: StreamID, _ node: NodeID, _ bytes: [UInt8]
  ) {
    if let effects = coordinator.links[connection]?.consumed(stream, byteCount: bytes.count) {
      perform(connection, effects)
    }
    guard let (id, attempt) = find(connection, stream) else { return }
    apply(.firstToken(id, node))
    guard coordinator.requests[id]?.selected == node else { return }
    if plan.sabotage == .dropsBytes, draw(1) < 0.05 { return }
    say(id, .sealed(bytes), attempt: attempt.number)
  }

  private func done(_ connection: Int, _ stream: StreamID, _ number: Int, _ bytes: [UInt8]) {
    let id = leave(connection, stream)
    let isAlone = !coordinator.requests.keys.contains {
      $0.answer == SimBytes.Receipt(bytes)?.answer && $0 != id
    }
    let receipt = take(receipt: bytes, node: number, closes: isAlone)
    if let receipt { confirm(connection, receipt.digest) }
    guard let id, plan.sabotage != .hidesEnds else { return }
    let node = nodes[number].name
    guard let receipt else { return apply(.finished(id, node, nil)) }
    if receipt.end != .complete { coordinator.failedParts.insert(id) }
    apply(
      .finished(
        id, node,
        WorkSummary(
          promptTokens: receipt.promptTokens, completionTokens: receipt.completion)))
  }

  private func confirm(_ connection: Int, _ digest: Digest) {
    if plan.sabotage == .confirmsEarly {
      checker.confirms(self, digest)
      perform(connection, coordinator.links[connection]?.stored(receipt: digest) ?? [])
    } else {
      coordinator.acknowledgements.append((connection, digest))
    }
    armCommit()
  }

  /// Checks and books a receipt; `nil` for bytes that are none of this node's.
  private func take(receipt bytes: [UInt8], node: Int, closes: Bool) -> SimBytes.Receipt? {
    guard let receipt = SimBytes.Receipt(bytes), receipt.node == node else { return nil }
    let facts = ReceiptFacts(
      digest: receipt.digest, node: nodes[node].name, owner: nodes[node].owner, model: model,
      answer: receipt.answer, part: receipt.part, basePromptTokens: receipt.promptTokens,
      replayedTokens: receipt.replayed, completionTokens: receipt.completion,
      isFinal: receipt.end != .running, signedAt: unixTime)
    let settles = closes && receipt.end == .complete && plan.sabotage != .keepsReservations
    book(settles ? .settle(facts) : .receipt(facts))
    coordinator.booked.append(receipt.digest)
    return receipt
  }

  private func end(_ id: RequestID, _ ending: RequestEnding) {
    checker.ended(self, id)
    guard let work = coordinator.requests.removeValue(forKey: id) else { return }
    switch ending {
    case .done: break
    case .cancelled: coordinator.failedParts.insert(id)
    case .failed(let reason, let retryAfter):
      coordinator.failedParts.insert(id)
      trace(UInt64(reason.rawValue) + 100)
      let milliseconds = Int((retryAfter?.wholeNanoseconds ?? 0) / 1_000_000)
      let wire = wire(reason)
      record(
        work.session,
        .attemptFailed(
          reason: wire, isRetriable: wire.isRetriable, retryAfterMilliseconds: milliseconds),
        attempt: work.attempts.last?.number ?? 0)
    }
    queue.add(.bodyEnd(session: work.session), at: recordTime(work.session))
  }

  private func refuse(_ session: Int, _ reason: Reason) {
    queue.add(.refused(session: session, reason), at: recordTime(session))
  }

  private func wire(_ reason: ReasonCode) -> Reason {
    switch reason {
    case .partNotAdmitted, .retryBudgetSpent: .partNotAllowed
    case .duplicateRequest: .replay
    case .deadlinePassed, .deadlineUnreachable: .deadline
    case .nodeLost, .suspect: .nodeLost
    case .handedBack: .ownerActive
    case .clientCancelled: .cancelled
    case .accountQueueFull, .networkQueueFull: .queueFull
    default: .busy
    }
  }

  private func reason(_ error: LedgerError) -> Reason {
    switch error {
    case .insufficientCredit: .noCredit
    case .unknownAnswer: .answerUnknown
    case .previousPartHealthy, .partOutOfOrder, .termsDiffer: .partNotAllowed
    default: .replay
    }
  }

  private func say(_ id: RequestID, _ item: OuterRecord, attempt: UInt8) {
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

  private func find(
    _ connection: Int, _ stream: StreamID
  ) -> (RequestID, SimCoordinator.Attempt)? {
    let place = SimCoordinator.Place(connection: connection, stream: stream)
    guard let id = coordinator.placed[place],
      let attempt = coordinator.requests[id]?.attempts.last(where: { $0.place == place })
    else { return nil }
    return (id, attempt)
  }

  private func leave(_ connection: Int, _ stream: StreamID) -> RequestID? {
    coordinator.placed.removeValue(forKey: .init(connection: connection, stream: stream))
  }

  private func failParts(on connection: Int) {
    for (place, id) in coordinator.placed where place.connection == connection {
      coordinator.failedParts.insert(id)
    }
  }

  private func armAlive() {
    guard !isSayingAlive, !coordinator.requests.isEmpty else { return }
    isSayingAlive = true
    queue.add(.alive, at: now + .milliseconds(100))
  }

  private func armSchedule() {
    scheduleDue = coordinator.scheduler.nextDeadline
    livingRequests = coordinator.scheduler.livingCount
    guard let due = scheduleDue, plan.sabotage != .ignoresDeadlines else { return }
    if let armed = scheduleArmed, armed <= due, armed > now { return }
    scheduleArmed = due
    queue.add(.scheduleDue, at: due)
  }

  private func armLink(_ connection: Int) {
    guard let due = coordinator.links[connection]?.nextDeadline else { return }
    let time = max(due, now + .milliseconds(1))
    if let armed = linksArmed[connection], armed <= time, armed > now { return }
    linksArmed[connection] = time
    queue.add(.linkDue(connection: connection), at: time)
  }
}
