internal import BloomBase
internal import BloomCoordinator
internal import BloomLedger
internal import BloomLink
internal import BloomSchedule
internal import BloomWire

/// The coordinator's links, as its hub drives them.
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
    case .record, .models, .manifest: break
    case .draining: apply(.nodeDraining(node))
    case .accepted(let stream):
      guard let (id, attempt) = find(connection, stream) else { return }
      say(id, .accepted(node: node), attempt: attempt.number)
      apply(.accepted(id, node))
    case .refused(let stream, let reason, _):
      if let id = leave(connection, stream) {
        apply(.refused(id, node, isBusy: reason == .busy || reason == .queueFull))
      }
    case .bytes(let stream, let bytes): forward(connection, stream, node, bytes)
    case .receipt(_, let bytes):
      _ = take(receipt: bytes, node: number)
    case .done(let stream, let bytes): done(connection, stream, number, bytes)
    case .handedBack(let stream, _):
      if let id = leave(connection, stream) {
        coordinator.followable.insert(id)
        apply(.handedBack(id, node))
      }
    case .suspected:
      coordinator.suspects.insert(connection)
      for id in placed(on: connection) { suspect(id) }
      apply(.nodeSuspected(node))
    case .recovered:
      coordinator.suspects.remove(connection)
      for id in placed(on: connection) { coordinator.requests[id]?.isSuspected = false }
      apply(.nodeRecovered(node))
    case .close:
      queue.add(
        .connectionLost(connection: connection, nodeSide: true), at: now + milliseconds(20))
      coordinatorLosesLink(connection)
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
    let receipt = take(receipt: bytes, node: number)
    if let receipt { confirm(connection, receipt.digest) }
    guard let id, plan.sabotage != .hidesEnds else { return }
    let node = nodes[number].name
    guard let receipt else { return apply(.finished(id, node, nil)) }
    // Until its gateway says that it has the end, the next part may begin.
    coordinator.followable.insert(id)
    if receipt.end == .complete {
      coordinator.books.brought(toEnd: receipt.answer, by: receipt.digest)
      say(id, .settled(receipt: receipt.digest, cost: .zero), attempt: 0)
    }
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
  private func take(receipt bytes: [UInt8], node: Int) -> SimBytes.Receipt? {
    guard let receipt = SimBytes.Receipt(bytes), receipt.node == node else { return nil }
    let facts = ReceiptFacts(
      digest: receipt.digest, node: nodes[node].name, owner: nodes[node].owner, model: model,
      answer: receipt.answer, part: receipt.part, basePromptTokens: receipt.promptTokens,
      replayedTokens: receipt.replayed, completionTokens: receipt.completion,
      isFinal: receipt.end != .running, signedAt: unixTime)
    book(.receipt(facts))
    coordinator.booked.append(receipt.digest)
    return receipt
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
    for id in placed(on: connection) { coordinator.followable.insert(id) }
    coordinator.placed = coordinator.placed.filter { $0.key.connection != connection }
  }

  /// The requests on a link, in the order of its streams.
  private func placed(on connection: Int) -> [RequestID] {
    coordinator.placed.filter { $0.key.connection == connection }
      .sorted { $0.key.stream.rawValue < $1.key.stream.rawValue }.map(\.value)
  }

  private func armLink(_ connection: Int) {
    guard let due = coordinator.links[connection]?.nextDeadline else { return }
    let time = max(due, now + .milliseconds(1))
    if let armed = linksArmed[connection], armed <= time, armed > now { return }
    linksArmed[connection] = time
    queue.add(.linkDue(connection: connection), at: time)
  }
}
