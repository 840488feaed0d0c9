internal import BloomBase
internal import BloomLink
internal import BloomModels
internal import BloomWire

extension NodeAgent {
  /// Sets how much of the machine the network may have.
  ///
  /// Below `polite` nothing new is taken and what runs goes back when the grace is over; at `away`
  /// the workers end then, which frees the weights.
  ///
  /// - Parameters:
  ///   - order: The level and why.
  ///   - servesOwner: Whether the owner's own requests may load the model all the same.
  package func set(_ order: ServiceOrder, servesOwner: Bool = false) {
    guard order != self.order || servesOwner != self.servesOwner else { return }
    if isStopping { return hurry(order) }
    let isSame = order == self.order
    self.order = order
    self.servesOwner = servesOwner
    if isSame, order.level != .away { return }
    log.info(
      "level changed",
      [
        "level": ShortName("\(order.level)").map { .name($0) } ?? "unknown",
        "reason": order.reason.flatMap { ShortName($0.name) }.map { .name($0) } ?? "none",
      ])
    let now = time.now()
    stopEnd = nil
    switch order.level {
    case .serve, .polite:
      jobs.closed = nil
      jobs.limit = order.level == .polite ? 1 : nil
      graceEnd = nil
    case .drain, .away:
      jobs.closed = order.reason ?? .paused
      graceEnd = now + order.grace
      perform(machine.say(.draining(jobs.closed ?? .paused)))
      endGrace(now)
    }
    report()
    wakeAll()
    reschedule()
  }

  /// An agent that ends drained, for an update, does not keep its owner waiting.
  private func hurry(_ order: ServiceOrder) {
    guard order.level >= .drain else { return }
    perform(jobs.handBackAll(order.reason ?? .draining))
    stopBy = stopBy.map { min($0, time.now() + order.grace + .milliseconds(500)) }
  }

  /// Gives back what still runs when its time is over, and ends workers that do not let go.
  func endGrace(_ now: Instant) {
    let keepsOwn = order.level == .drain || isOwnWanted(now)
    let count = keepsOwn ? jobs.strangerCount : jobs.count
    if let end = graceEnd, now >= end || count == 0 {
      graceEnd = nil
      perform(jobs.handBackAll(order.reason ?? .paused, keepsOwn: keepsOwn))
      stopEnd = now + (order.level == .away ? .milliseconds(500) : Limits.stopping)
    }
    guard let end = stopEnd, now >= end || count == 0 else { return }
    stopEnd = nil
    for (model, worker) in workers where worker.outbox != nil {
      guard keepsOwn ? jobs.isWorkingForStrangers(model) : true else { continue }
      workers[model]?.isDismissed = true
      worker.outbox?.finish(dropping: true)
    }
  }

  /// Whether the owner's own requests keep the models loaded though nobody else is served.
  func isOwnWanted(_ now: Instant) -> Bool {
    servesOwner && ownUntil.map { now < $0 } ?? false
  }

  /// The owner asks, or is about to: the models are loaded for that, unless the machine needs rest.
  func expectOwnRequests() {
    ownUntil = time.now() + Limits.own
    wakeAll()
    reschedule()
  }

  /// Frees what was loaded for the owner's own requests once none came for long.
  func endOwnUse(_ now: Instant) {
    guard let end = ownUntil, now >= end else { return }
    ownUntil = jobs.count > jobs.strangerCount ? now + Limits.own : nil
    if order.level == .away, ownUntil == nil { stopEnd = now }
  }

  /// Every day's figures.
  func book() -> UsageBook {
    accountWork()
    return usage
  }

  /// What the agent does now.
  package func status() -> NodeStatus {
    accountWork()
    let link: NodeStatus.Link =
      if isStopping {
        .stopping
      } else if machine.isOpen {
        .open
      } else if record == nil {
        .waitingForWorker
      } else {
        isProving ? .proving : .connecting
      }
    let list = workers.values.map { worker in
      NodeStatus.Worker(
        model: worker.model.id, name: worker.model.manifest.name, state: worker.state,
        permille: worker.permille, isCrashLooping: worker.isCrashLooping,
        failure: worker.failure, slots: worker.offer?.ready.slots ?? 0,
        active: jobs.count(of: worker.model.id),
        decodeMilliTokensPerSecond: worker.capacity?.decodeMilliTokensPerSecond ?? 0,
        prefillMilliTokensPerSecond: worker.capacity?.prefillMilliTokensPerSecond ?? 0,
        protections: worker.offer?.ready.facts ?? [], selfTest: worker.selfTest)
    }
    return NodeStatus(
      node: nodeID, order: order, link: link, isBound: machine.isOpen && exporter != nil,
      workers: list.sorted { $0.name < $1.name }, counts: jobs.counts, earned: earned,
      unconfirmedReceipts: machine.unconfirmedCount, standing: standing,
      today: usage.day(today), recent: recent, linkProblem: machine.isOpen ? nil : linkProblem)
  }
}
