internal import BloomBase
internal import BloomLedger
internal import BloomLink
internal import BloomSchedule
internal import BloomWire

extension Simulation {
  func coordinatorReceives(_ connection: Int, _ bytes: [UInt8]) {
    guard coordinator.isUp, let effects = coordinator.links[connection]?.received(bytes, now: now)
    else { return }
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
    if let node = link.node, coordinator.connections[node] == connection {
      coordinator.connections[node] = nil
      apply(.nodeLeft(node))
    }
  }

  func perform(_ connection: Int, _ effects: [CoordinatorLinkEffect]) {
    let number = connections[connection].node
    let node = nodes[number].name
    for effect in effects {
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
        guard coordinator.connections[node] == connection else { continue }
        apply(.capacityReported(node, reported(capacity)))
      case .record, .models: break
      case .draining: apply(.nodeDraining(node))
      case .accepted(let stream):
        if let id = coordinator.placed[.init(connection: connection, stream: stream)] {
          apply(.accepted(id, node))
        }
      case .refused(let stream, let reason, _):
        if let id = leave(connection, stream) {
          apply(.refused(id, node, isBusy: reason == .busy))
        }
      case .bytes(let stream, let bytes): forward(connection, stream, node, bytes)
      case .receipt(let stream, let bytes):
        guard let receipt = take(receipt: bytes, node: number, closes: false) else { continue }
        if let id = coordinator.placed[.init(connection: connection, stream: stream)] {
          apply(.progressed(id, node, tokens: receipt.completion))
        }
      case .done(let stream, let bytes): done(connection, stream, number, bytes)
      case .handedBack(let stream, _):
        if let id = leave(connection, stream) { apply(.handedBack(id, node)) }
      case .suspected: apply(.nodeSuspected(node))
      case .recovered: apply(.nodeRecovered(node))
      case .close:
        coordinatorLosesLink(connection)
        queue.add(
          .connectionLost(connection: connection, nodeSide: true), at: now + milliseconds(20))
        coordinator.connections = coordinator.connections.filter { $0.value != connection }
        apply(.nodeLeft(node))
      }
    }
    armLink(connection)
  }

  /// A sealed request with its clear header.
  func coordinatorTakes(_ session: Int, _ envelope: SimEnvelope) {
    guard coordinator.isUp else {
      return queue.add(.bodyEnd(session: session), at: now + milliseconds(20))
    }
    let request = envelope.request
    let id = request.id
    do throws(LedgerError) {
      if id.part == 0 {
        let reservation = Reservation(
          answer: id.answer, payer: request.account, model: request.model, kind: .chat,
          maxPromptTokens: 4096, maxCompletionTokens: request.output.maximumTokens,
          deadline: unixTime + 120)
        _ = try coordinator.ledger.apply(.reserve(reservation), at: unixTime)
      }
    } catch {
      return refuse(session, error == .insufficientCredit ? .noCredit : .replay, 0)
    }
    coordinator.isDirty = true
    coordinator.arrivals.append(
      .init(session: session, request: request, body: envelope.body))
    armCommit()
  }

  /// The gateway hung up, or said that its answer is over.
  func coordinatorLoses(_ session: Int) {
    guard coordinator.isUp else { return }
    coordinator.arrivals.removeAll { $0.session == session }
    for (id, work) in coordinator.requests where work.session == session {
      return apply(.requestCancelled(id))
    }
  }

  /// The store has written everything up to here.
  func commit() {
    isCommitting = false
    guard coordinator.isUp else { return }
    checker.checkEntries(coordinator.ledger.takeChanges())
    coordinator.durable = coordinator.ledger
    coordinator.isDirty = false
    let acknowledgements = coordinator.acknowledgements
    coordinator.acknowledgements = []
    for item in acknowledgements {
      if let effects = coordinator.links[item.connection]?.stored(receipt: item.receipt) {
        perform(item.connection, effects)
      }
    }
    let arrivals = coordinator.arrivals
    coordinator.arrivals = []
    for arrival in arrivals { admit(arrival) }
  }

  /// Closes answers whose deadline has passed, whatever happened to them.
  func sweep() {
    queue.add(.sweep, at: now + .seconds(5))
    guard coordinator.isUp else { return }
    for answer in coordinator.ledger.overdue(at: unixTime).sorted(by: {
      $0.description < $1.description
    }) {
      book(.close(answer))
    }
  }

  /// Applies a command; what is refused changes nothing and is counted.
  @discardableResult
  func book(_ command: LedgerCommand) -> LedgerOutcome? {
    do throws(LedgerError) {
      let outcome = try coordinator.ledger.apply(command, at: unixTime)
      coordinator.isDirty = true
      armCommit()
      return outcome
    } catch {
      checker.refusedCommands += 1
      return nil
    }
  }

  /// Gives the scheduler an event and does what it says.
  func apply(_ event: ScheduleEvent) {
    guard coordinator.isUp else { return }
    for effect in coordinator.scheduler.handle(event, now: now) { perform(effect) }
    armSchedule()
  }

  private func perform(_ effect: ScheduleEffect) {
    switch effect {
    case .dispatch(let dispatch): send(dispatch)
    case .queued(let id, let position, let estimate):
      let milliseconds = Int(min(estimate.wholeNanoseconds / 1_000_000, 1_000_000))
      say(id, .queued(position: position, estimateMilliseconds: milliseconds))
    case .refuse(let id, let reason, let retryAfter):
      // The arrival that is being admitted; a living request of the same name has its own session.
      trace(UInt64(reason.rawValue))
      checker.refused(id, reason)
      let wait = Int((retryAfter?.wholeNanoseconds ?? 0) / 1_000_000)
      if let session = admitting {
        let wire: Reason =
          switch reason {
          case .partNotAdmitted: .partNotAllowed
          case .duplicateRequest: .replay
          default: .busy
          }
        refuse(session, wire, wait)
      }
    case .cancel(let id, let node, _):
      for place in coordinator.streams[id] ?? [] where link(place, is: node) {
        if let effects = coordinator.links[place.connection]?.cancel(place.stream, .cancelled) {
          perform(place.connection, effects)
        }
      }
    case .attemptFailed: break
    case .started(let id, let node): coordinator.requests[id]?.selected = node
    case .suspect(let id, _):
      say(
        id,
        .attemptFailed(reason: .nodeSilent, isRetriable: true, retryAfterMilliseconds: 0))
    case .end(let id, let ending): end(id, ending)
    case .turnAway: checker.fault(self, "a node was turned away")
    }
  }

  private func opened(_ connection: Int, _ number: Int, _ node: NodeID) {
    coordinator.connections[node] = connection
    let profile = NodeProfile(
      node: node, tier: .hardware, owner: nodes[number].owner, memoryBytes: 16 << 30,
      keys: [OfferedKey(key: nodes[number].key, model: model, activeBytes: 2_000_000_000)])
    apply(.nodeJoined(profile, []))
  }

  private func reported(_ capacity: Capacity) -> [ReportedCapacity] {
    capacity.models.map { model in
      ReportedCapacity(
        model: model.model, slots: model.slots,
        prefillRate: Double(model.prefillMilliTokensPerSecond) / 1000,
        decodeRate: Double(model.decodeMilliTokensPerSecond) / 1000)
    }
  }

  private func admit(_ arrival: SimCoordinator.Arrival) {
    let id = arrival.request.id
    let wasLiving = coordinator.requests[id] != nil
    if !wasLiving {
      coordinator.requests[id] = .init(
        session: arrival.session, head: [1], body: arrival.body,
        account: arrival.request.account,
        allowed: Set(arrival.request.candidates.map(\.node)))
    }
    admitting = arrival.session
    isRefused = false
    checker.arrived(id, isLiving: wasLiving)
    apply(.requestArrived(arrival.request))
    admitting = nil
    if isRefused {
      if !wasLiving { coordinator.requests[id] = nil }
    } else if id.part > 0 {
      book(
        .admitPart(
          PartAdmission(
            answer: id.answer, part: Int(id.part), payer: arrival.request.account,
            model: arrival.request.model,
            maxCompletionTokens: arrival.request.output.maximumTokens, previousFailed: true)))
    }
  }

  private func send(_ dispatch: Dispatch) {
    guard let work = coordinator.requests[dispatch.request] else {
      return checker.fault(self, "a dispatch without a request")
    }
    if !work.allowed.contains(dispatch.node) { checker.fault(self, "a node that was not named") }
    trace(dispatch.node.digest.bytes.reduce(0) { $0 << 1 ^ UInt64($1) })
    guard let connection = coordinator.connections[dispatch.node],
      let begun = coordinator.links[connection]?.begin(
        head: work.head, body: work.body, now: now)
    else { return apply(.refused(dispatch.request, dispatch.node, isBusy: true)) }
    let place = SimCoordinator.Place(connection: connection, stream: begun.stream)
    coordinator.placed[place] = dispatch.request
    coordinator.streams[dispatch.request, default: []].append(place)
    perform(connection, begun.effects)
    say(dispatch.request, .accepted(node: dispatch.node))
  }

  private func forward(
    _ connection: Int, _ stream: StreamID, _ node: NodeID, _ bytes: [UInt8]
  ) {
    if let effects = coordinator.links[connection]?.consumed(stream, byteCount: bytes.count) {
      perform(connection, effects)
    }
    guard let id = coordinator.placed[.init(connection: connection, stream: stream)] else { return }
    apply(.firstToken(id, node))
    if coordinator.requests[id]?.selected == node { say(id, .sealed(bytes)) }
  }

  private func done(_ connection: Int, _ stream: StreamID, _ number: Int, _ bytes: [UInt8]) {
    let receipt = take(receipt: bytes, node: number, closes: true)
    if let receipt {
      coordinator.acknowledgements.append((connection, receipt.digest))
      armCommit()
    }
    guard let id = leave(connection, stream) else { return }
    let node = nodes[number].name
    guard let receipt, receipt.end == .complete else {
      return apply(.finished(id, node, nil))
    }
    apply(
      .finished(
        id, node,
        WorkSummary(
          promptTokens: receipt.promptTokens, completionTokens: receipt.completion)))
  }

  /// Checks and books a receipt; `nil` for bytes that are none of this node's.
  private func take(receipt bytes: [UInt8], node: Int, closes: Bool) -> SimBytes.Receipt? {
    guard let receipt = SimBytes.Receipt(bytes), receipt.node == node else { return nil }
    let facts = ReceiptFacts(
      digest: receipt.digest, node: nodes[node].name, owner: nodes[node].owner, model: model,
      answer: receipt.answer, part: receipt.part, basePromptTokens: receipt.promptTokens,
      replayedTokens: receipt.replayed, completionTokens: receipt.completion,
      isFinal: receipt.end != .running, signedAt: unixTime)
    book(closes && receipt.end == .complete ? .settle(facts) : .receipt(facts))
    return receipt
  }

  private func end(_ id: RequestID, _ ending: RequestEnding) {
    checker.ended(self, id)
    guard let work = coordinator.requests.removeValue(forKey: id) else { return }
    coordinator.streams[id] = nil
    if case .failed(let reason, let retryAfter) = ending {
      trace(UInt64(reason.rawValue) + 100)
      let wait = Int((retryAfter?.wholeNanoseconds ?? 0) / 1_000_000)
      record(
        work.session,
        .attemptFailed(
          reason: reason == .deadlinePassed ? .deadline : .nodeLost, isRetriable: true,
          retryAfterMilliseconds: wait))
    }
    endBody(work.session)
  }

  private func refuse(_ session: Int, _ reason: Reason, _ retryAfter: Int) {
    isRefused = true
    record(
      session,
      .attemptFailed(
        reason: reason, isRetriable: reason.isRetriable, retryAfterMilliseconds: retryAfter))
    endBody(session)
  }

  private func say(_ id: RequestID, _ item: OuterRecord) {
    if let session = coordinator.requests[id]?.session { record(session, item) }
  }

  private func record(_ session: Int, _ item: OuterRecord) {
    var bytes: [UInt8] = []
    item.append(attempt: 0, to: &bytes)
    recordTimes[session] = arrival(after: recordTimes[session])
    queue.add(.record(session: session, bytes), at: recordTimes[session])
  }

  private func endBody(_ session: Int) {
    recordTimes[session] = arrival(after: recordTimes[session])
    queue.add(.bodyEnd(session: session), at: recordTimes[session])
  }

  private func leave(_ connection: Int, _ stream: StreamID) -> RequestID? {
    let place = SimCoordinator.Place(connection: connection, stream: stream)
    guard let id = coordinator.placed.removeValue(forKey: place) else { return nil }
    coordinator.streams[id]?.removeAll { $0 == place }
    return id
  }

  private func link(_ place: SimCoordinator.Place, is node: NodeID) -> Bool {
    coordinator.links[place.connection]?.node == node
  }

  private func armCommit() {
    guard !isCommitting else { return }
    isCommitting = true
    queue.add(.commit, at: now + .milliseconds(3))
  }

  private func armSchedule() {
    scheduleDue = coordinator.scheduler.nextDeadline
    livingRequests = coordinator.scheduler.livingCount
    guard let due = scheduleDue else { return }
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
