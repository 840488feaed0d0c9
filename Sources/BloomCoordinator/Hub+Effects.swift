internal import BloomBase
internal import BloomLedger
internal import BloomLink
internal import BloomRecords
internal import BloomSchedule
internal import BloomWire

extension Hub {
  // MARK: What the scheduler decided

  func perform(_ effect: ScheduleEffect) {
    switch effect {
    case .dispatch(let dispatch): start(dispatch)
    case .queued(let id, let position, let estimate):
      relays[id]?.sink.push(
        .queued(
          position: position,
          estimateMilliseconds: clampedMilliseconds(estimate)), attempt: 0)
    case .refuse(let id, let code, let retryAfter):
      relays[id]?.refusal = RelayRefusal(reason: code.wire, retryAfter: retryAfter)
    case .cancel(let id, let node, let code):
      guard let attempt = attempt(id, node), let session = sessions[attempt.session] else { return }
      perform(session.machine.cancel(attempt.stream, code.wire), of: session)
    case .attemptFailed(let id, let node, let code, let willRetry):
      guard let attempt = attempt(id, node) else { return }
      followable.insert(id)
      metrics.attemptFailed(code.wire)
      let isUnopened = relays[id]?.unopened.contains(node) == true
      relays[id]?.sink.push(
        .attemptFailed(
          reason: isUnopened ? .malformed : code.wire,
          isRetriable: willRetry || code.wire.isRetriable,
          retryAfterMilliseconds: 0), attempt: attempt.number)
    case .started(let id, let node):
      relays[id]?.selected = node
      servedParts.insert(id, .node(node))
    case .suspect(let id, _): suspect(id)
    case .end(let id, let ending): end(id, ending)
    case .turnAway(let node):
      guard let id = sessionOfNode[node], let session = sessions[id] else { return }
      perform(session.machine.goodbye(.queueFull, retryAfterMilliseconds: 60_000), of: session)
    }
  }

  private func start(_ dispatch: Dispatch) {
    guard let relay = relays[dispatch.request],
      let sessionID = sessionOfNode[dispatch.node], let session = sessions[sessionID],
      let candidate = relay.request.prefix.candidates.first(where: { $0.node == dispatch.node }),
      let statement = session.statement,
      // Bad only when the record changed between placement and now: then another node is tried.
      let chain = try? ReceiptChain(
        head: relay.request.prefix.head, candidate: candidate, statement: statement),
      let (stream, effects) = session.machine.begin(
        head: relay.request.prefix.forwarded(to: candidate), body: relay.request.body,
        now: time.now())
    else { return handle(.refused(dispatch.request, dispatch.node, isBusy: true)) }
    session.streams[stream] = relay
    metrics.bytesToNodes.add(relay.request.body.count)
    session.heardAt = max(session.heardAt, time.now())
    relay.attempts.append(
      Relay.Attempt(
        number: dispatch.attempt, node: dispatch.node, session: sessionID, stream: stream,
        chain: chain))
    perform(effects, of: session)
  }

  private func end(_ id: RequestID, _ ending: RequestEnding) {
    guard let relay = relays[id] else { return }
    relay.isEnded = true
    if relay.selected == nil { servedParts.insert(id, .nobody) }
    relay.dropEnvelope()
    metrics.requestTime.record(time.now() - relay.arrivedAt)
    switch ending {
    case .done: metrics.ended(.done)
    case .cancelled:
      metrics.ended(.cancelled)
      followable.insert(id)
    case .failed(let code, let retryAfter):
      metrics.ended(.failed)
      followable.insert(id)
      relay.sink.push(
        .attemptFailed(
          reason: relay.unopened.isEmpty ? code.wire : .malformed,
          isRetriable: code.wire.isRetriable,
          retryAfterMilliseconds: clampedMilliseconds(retryAfter ?? .zero)),
        attempt: relay.attempts.count)
    }
    finishWhenSettled(relay)
  }

  func finishWhenSettled(_ relay: Relay) {
    guard relay.isEnded, relay.settling == 0 else { return }
    relay.sink.finish()
    guard relays[relay.id] === relay else { return }
    relays[relay.id] = nil
    books.ended(relay.id.answer, now: time.now())
  }

  /// The next part may begin, and the gateway hears it at once: its own timer would be later.
  private func suspect(_ id: RequestID) {
    followable.insert(id)
    guard let relay = relays[id], !relay.isEnded, !relay.isSuspected else { return }
    relay.isSuspected = true
    relay.sink.push(.suspected, attempt: relay.attempts.last?.number ?? 0)
  }

  func attempt(_ id: RequestID, _ node: NodeID) -> Relay.Attempt? {
    relays[id]?.attempts.last { $0.node == node }
  }

  private func clampedMilliseconds(_ duration: Duration) -> Int {
    Int(max(0, min(604_800_000, duration.wholeNanoseconds / 1_000_000)))
  }

  // MARK: What a link said

  func perform(_ effects: [CoordinatorLinkEffect], of session: NodeSession) {
    for effect in effects { perform(effect, of: session) }
  }

  func perform(_ effect: CoordinatorLinkEffect, of session: NodeSession) {
    switch effect {
    case .send(let message):
      if !session.outbox.push(message, isControl: LinkLane.isControl(message)) { drop(session) }
    case .ping: session.outbox.push([], isControl: true)
    case .verify(let record, let nonce, let exporter, let signature):
      verify(
        session, record, LinkProofClaim(nonce: nonce, exporter: exporter, signature: signature))
    case .opened(let node): opened(node, session)
    case .record(let record): renew(session, record)
    case .capacity(let capacity): take(capacity, session)
    case .models(let models): session.models = models
    case .manifest(let manifest): offer(manifest, session)
    case .draining:
      if let node = session.node { handle(.nodeDraining(node)) }
    case .accepted(let stream):
      guard let (relay, attempt) = find(stream, session) else { return }
      relay.sink.push(.accepted(node: attempt.node), attempt: attempt.number)
      handle(.accepted(relay.id, attempt.node))
    case .refused(let stream, let reason, _):
      guard let relay = session.streams.removeValue(forKey: stream), let node = session.node else {
        return
      }
      if reason == .malformed { relay.unopened.insert(node) }
      handle(.refused(relay.id, node, isBusy: reason == .busy || reason == .queueFull))
    case .bytes(let stream, let bytes): forward(bytes, stream, session)
    case .receipt(let stream, let receipt): note(receipt, stream, session)
    case .done(let stream, let receipt): settle(receipt, stream, session)
    case .handedBack(let stream, _):
      checkRunning(stream, session)
      guard let relay = session.streams.removeValue(forKey: stream), let node = session.node else {
        return
      }
      followable.insert(relay.id)
      handle(.handedBack(relay.id, node))
    case .suspected:
      session.isSuspect = true
      guard let node = session.node else { return }
      for relay in session.streams.values { suspect(relay.id) }
      handle(.nodeSuspected(node))
    case .recovered:
      session.isSuspect = false
      for relay in session.streams.values { relay.isSuspected = false }
      if let node = session.node { handle(.nodeRecovered(node)) }
    case .close(let reason):
      metrics.linkClosed(reason)
      log.info(
        "node link closed", ["reason": ShortName(reason.name).map { .name($0) } ?? "unknown"])
      drop(session)
    }
  }

  private func drop(_ session: NodeSession) {
    sessions[session.id] = nil
    session.outbox.finish()
    lost(session)
  }

  func find(_ stream: StreamID, _ session: NodeSession) -> (Relay, Relay.Attempt)? {
    guard let relay = session.streams[stream],
      let attempt = relay.attempts.last(where: {
        $0.session == session.id && $0.stream == stream
      })
    else { return nil }
    return (relay, attempt)
  }

  private func forward(_ bytes: [UInt8], _ stream: StreamID, _ session: NodeSession) {
    guard let (relay, attempt) = find(stream, session) else {
      // Nobody reads any more: the credit goes back so that the last receipt can come.
      return perform(
        session.machine.consumed(stream, byteCount: bytes.count), of: session)
    }
    do {
      try attempt.chain.forwarded(bytes)
    } catch {
      // What is not an answer in form is not forwarded and not paid.
      log.warning("node sent a malformed answer", ["reason": .error(error)])
      checkRunning(stream, session)
      session.streams[stream] = nil
      perform(session.machine.cancel(stream, .malformed), of: session)
      return handle(.finished(relay.id, attempt.node, nil))
    }
    guard !relay.isEnded else {
      return perform(session.machine.consumed(stream, byteCount: bytes.count), of: session)
    }
    attempt.sealedByteCount += bytes.count
    let node = attempt.node
    let now = time.now()
    // The response's own head is node, key and nonce: 72 bytes; what follows carries tokens.
    if attempt.firstTokenAt == nil, attempt.sealedByteCount > 72 {
      attempt.firstTokenAt = now
      metrics.firstToken.record(now - relay.arrivedAt)
      figures.firstToken(
        relay.request.work.model, node, after: now - relay.arrivedAt, now: now)
      handle(.firstToken(relay.id, node))
    }
    // Another attempt is the answer: tokens of this one, late or of a lost race, would repeat it.
    let isHead = relay.selected == nil && attempt.firstTokenAt == nil
    guard relay.selected == node || isHead else {
      return perform(session.machine.consumed(stream, byteCount: bytes.count), of: session)
    }
    metrics.chunks.add()
    metrics.bytesToGateways.add(bytes.count)
    relay.sink.push(sealed: bytes, attempt: attempt.number)
    relay.aliveAt = now
  }

  // MARK: Records

  private func verify(_ session: NodeSession, _ record: [UInt8], _ claim: LinkProofClaim) {
    do {
      let appraised = try appraiser.appraise(record, proof: claim, now: time.unixTime())
      session.record = appraised
      perform(
        session.machine.proven(
          appraised.profile.node, time: time.unixTime(), now: time.now()), of: session)
    } catch {
      metrics.recordsRefused.add()
      log.warning("node record refused", ["reason": .error(error)])
      let isNobodys = error as? AppraisalError == .notEnrolled
      perform(session.machine.disproven(isNobodys ? .unauthorized : .notProven), of: session)
    }
  }

  private func opened(_ node: NodeID, _ session: NodeSession) {
    metrics.linksOpened.add()
    session.node = node
    // A node that came back before its old connection was missed: the new one counts.
    if let old = sessionOfNode[node].flatMap({ sessions[$0] }) {
      sessions[old.id] = nil
      old.outbox.finish(dropping: true)
      lost(old)
    }
    sessionOfNode[node] = session.id
    guard let record = session.record else { return }
    show(record)
    handle(.nodeJoined(informed(record.profile), []))
  }

  private func renew(_ session: NodeSession, _ bytes: [UInt8]) {
    do {
      let record = try appraiser.appraise(bytes, proof: nil, now: time.unixTime())
      guard record.profile.node == session.node else {
        return perform(
          session.machine.goodbye(.notProven, retryAfterMilliseconds: 1000), of: session)
      }
      session.record = record
      show(record)
      handle(.recordChanged(informed(record.profile)))
    } catch {
      metrics.recordsRefused.add()
      log.warning("node record refused", ["reason": .error(error)])
      perform(session.machine.goodbye(.notProven, retryAfterMilliseconds: 60_000), of: session)
    }
  }

  /// A record's profile with what manifests say of its models.
  ///
  /// A manifest that the operator lists later counts from the machine's next record on.
  func informed(_ profile: NodeProfile) -> NodeProfile {
    var profile = profile
    for index in profile.keys.indices {
      profile.keys[index].activeBytes = catalog.weightBytes(of: profile.keys[index].model)
    }
    return profile
  }

  /// A model that a machine has: its record came before, so the scheduler hears its size now.
  private func offer(_ manifest: [UInt8], _ session: NodeSession) {
    let before = session.record.map { informed($0.profile) }
    catalog.offer(manifest, from: session.id)
    guard session.node != nil, let before else { return }
    let after = informed(before)
    if after != before { handle(.recordChanged(after)) }
  }

  private func take(_ capacity: Capacity, _ session: NodeSession) {
    guard let node = session.node else { return }
    session.capacity = capacity
    let reports =
      capacity.closed != nil
      ? []
      : capacity.models.map {
        ReportedCapacity(
          model: $0.model, slots: $0.slots,
          prefillRate: Double($0.prefillMilliTokensPerSecond) / 1000,
          decodeRate: Double($0.decodeMilliTokensPerSecond) / 1000)
      }
    handle(.capacityReported(node, reports))
  }
}
