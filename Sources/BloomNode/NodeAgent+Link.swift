internal import BloomBase
internal import BloomCrypto
internal import BloomLink
internal import BloomModels
internal import BloomRecords
internal import BloomWire

extension NodeAgent {
  /// Waits until there is a record to show; `false` once the agent stops.
  func untilRecord() async -> Bool {
    while !isStopping, record == nil { await suspend() }
    return !isStopping
  }

  /// A connection is there.
  func connected(outbox: TwoLaneQueue, pings: TwoLaneQueue, exporter: [UInt8]?) {
    self.outbox = outbox
    self.pings = pings
    self.exporter = bindsToTLS ? exporter : nil
    ending = LinkEnding(wasOpen: false, retryAfter: nil)
    perform(machine.connected(now: time.now()))
  }

  /// The connection is gone; says how it went.
  func disconnected() -> LinkEnding {
    outbox = nil
    pings = nil
    isProving = false
    perform(machine.disconnected())
    return ending
  }

  /// No connection came about.
  func linkFailed(_ text: String) { linkProblem = text }

  /// The driver waits before it connects again.
  func linkWaits(_ delay: Duration) {
    log.info("connecting again later", ["after": .microseconds(delay)])
  }

  /// One binary message of the coordinator.
  func received(_ bytes: [UInt8]) { perform(machine.received(bytes, now: time.now())) }

  /// A pong came.
  func heard() {
    machine.heard(now: time.now())
    reschedule()
  }

  /// Ends the connection once what waits is written.
  func closeLink() { outbox?.finish() }

  func prove(_ nonce: Digest) {
    isProving = true
    refreshRecord()
    guard let record else { return closeLink() }
    let message = LinkProof.message(nonce: nonce, exporter: exporter, record: record.digest)
    do {
      let signature = try identity.signer.sign(message)
      let binding: ChannelBinding = exporter == nil ? .nonceOnly : .exporter
      perform(
        machine.prove(record: record.encoded, binding: binding, signature: signature))
    } catch {
      log.error("identity key cannot sign", ["reason": .error(error)])
      closeLink()
    }
  }

  func welcomed() {
    isProving = false
    linkProblem = nil
    ending.wasOpen = true
    log.info("link open", ["node": .id(nodeID), "bound": .flag(exporter != nil)])
    report()
    perform(machine.say(.models(presence())))
    // An operator lists a model by what its machines say of it.
    for worker in workers.values.sorted(by: { $0.model.id < $1.model.id }) {
      let manifest = worker.model.manifest.encoded
      if manifest.count <= BloomWire.Limits.manifest { perform(machine.say(.manifest(manifest))) }
    }
  }

  func told(_ message: CoordinatorMessage) {
    switch message {
    case .standing(let standing): self.standing = standing
    case .settlement(_, let amount): noteEarned(amount)
    case .challenge, .welcome, .requestBegin, .requestChunk, .cancel, .credit, .desiredModels,
      .receiptAck, .goodbye:
      break
    }
  }

  /// Says what the node can take.
  func report() {
    let models = workers.values.compactMap { worker -> ModelCapacity? in
      guard let offer = worker.offer else { return nil }
      let model = offer.ready.model
      var capacity =
        worker.capacity
        ?? ModelCapacity(
          model: model, slots: offer.ready.slots, active: 0, queued: 0,
          prefillMilliTokensPerSecond: 0, decodeMilliTokensPerSecond: 0)
      capacity.slots = min(max(1, capacity.slots), jobs.limit ?? .max)
      capacity.active = max(capacity.active, jobs.count(of: model))
      return capacity
    }
    let capacity = Capacity(
      models: models.sorted { $0.model < $1.model },
      freeMemoryMebibytes: MachineMemory.availableMebibytes(), closed: jobs.closed)
    perform(machine.say(.capacity(capacity)))
  }

  func presence() -> [ModelPresence] {
    workers.values.sorted { $0.model.id < $1.model.id }.map {
      ModelPresence(model: $0.model.id, state: $0.state, permille: 1_000)
    }
  }
}

extension NodeAgent.Worker {
  /// How far the model is, for the coordinator and the owner.
  var state: ModelPresence.State {
    if offer != nil { return .loaded }
    if outbox != nil { return .loading }
    return failure == nil ? .stored : .failed
  }
}
