internal import BloomBase
internal import BloomLink
internal import BloomRecords
internal import BloomWire

extension NodeAgent {
  /// Waits until a model's worker should run; `false` once the agent stops.
  func untilWanted(_ model: ModelID) async -> Bool {
    while !isStopping, !isWanted(model) { await suspend() }
    return !isStopping
  }

  /// Whether a model's worker should run now.
  func isWanted(_ model: ModelID) -> Bool {
    !isStopping && (order.level != .away || isOwnWanted(time.now()))
  }

  /// Whether a worker that just ended did so unasked.
  func isCrash(_ model: ModelID) -> Bool {
    defer { workers[model]?.isDismissed = false }
    return isWanted(model) && workers[model]?.isDismissed != true
  }

  /// A worker's process runs; it loads now.
  func workerStarted(_ model: ModelID, _ outbox: TwoLaneQueue) {
    guard isWanted(model) else { return outbox.finish(dropping: true) }
    workers[model]?.outbox = outbox
    workers[model]?.permille = 0
    workers[model]?.failure = nil
    workers[model]?.heardAt = time.now()
    perform(machine.say(.models(presence())))
    reschedule()
  }

  /// A worker could not be started.
  func workerFailed(_ model: ModelID, _ text: String) { workers[model]?.failure = text }

  /// A worker that is wanted ended.
  func workerCrashed(_ model: ModelID, isLooping: Bool) {
    if workers[model]?.failure == nil { workers[model]?.failure = "the worker ended unasked" }
    workers[model]?.isCrashLooping = isLooping
    log.error(
      isLooping ? "worker crashes again and again" : "worker ended unasked",
      ["model": .id(model)])
  }

  /// A worker is gone; gives how long it served.
  func workerEnded(_ model: ModelID) -> Duration {
    let served = workers[model]?.readyAt.map { time.now() - $0 } ?? .zero
    workers[model]?.outbox = nil
    workers[model]?.offer = nil
    workers[model]?.readyAt = nil
    workers[model]?.capacity = nil
    workers[model]?.isIdle = true
    workers[model]?.isRotating = false
    machine.workerEnded(model)
    perform(jobs.workerEnded(model, order.reason ?? .engineFailed))
    if !isStopping {
      refreshRecord(says: true)
      report()
      perform(machine.say(.models(presence())))
    }
    return served
  }

  /// A worker said something.
  func received(_ event: WorkerEvent, from model: ModelID) {
    let now = time.now()
    workers[model]?.heardAt = now
    switch event {
    case .progress(let permille): workers[model]?.permille = permille
    case .ready(let ready): self.ready(ready, model, now)
    case .keys(let keys):
      workers[model]?.offer?.ready.keys = keys
      workers[model]?.isRotating = false
      refreshRecord(says: true)
    case .beat(let age, let active, let queued):
      let isIdle = active == 0 && queued == 0
      workers[model]?.isIdle = isIdle
      guard jobs.isWorking(model) else { break }
      machine.beat(model, now: isIdle ? now : now.earlier(byMilliseconds: age))
      sayAliveLocally(model, ageMilliseconds: age, now)
    case .capacity(let capacity): workers[model]?.capacity = capacity
    case .failed(let text):
      workers[model]?.failure = text
      if workers[model]?.readyAt == nil {
        // It had no keys and saw no request: its words are the program's own, and say what to do.
        log.error(
          "worker failed",
          ["model": .id(model), "reason": .error(NodeError(.worker, text))])
      } else {
        log.error("worker failed", ["model": .id(model)])
      }
    case .accept, .refuse, .chunk, .receipt, .done, .handback:
      perform(jobs.received(event))
      accountWork()
      // A worker without requests owes no beats: an old one must not make the node suspect.
      if !jobs.isWorking(model) { machine.workerEnded(model) }
      if jobs.strangerCount == 0 { endGrace(now) }
    }
  }

  private func ready(_ ready: WorkerReady, _ model: ModelID, _ now: Instant) {
    guard ready.model == model, !ready.keys.isEmpty else {
      workers[model]?.failure = "the worker loaded another model"
      workers[model]?.outbox?.finish(dropping: true)
      return
    }
    workers[model]?.offer = WorkerOffer(ready)
    workers[model]?.permille = 1_000
    workers[model]?.readyAt = now
    workers[model]?.isCrashLooping = false
    jobs.workerReady(model)
    log.info(
      "worker ready",
      ["model": .id(model), "slots": .count(ready.slots), "bytes": .count(ready.memoryBytes)])
    refreshRecord(says: true)
    report()
    perform(machine.say(.models(presence())))
  }

  /// A request began: its worker is well as of now, its next beat comes within its own time.
  func noteBegin(_ model: ModelID, _ now: Instant) {
    guard let worker = workers[model], worker.isIdle else { return }
    if now - worker.heardAt < Limits.idleBeat { machine.beat(model, now: now) }
  }

  // MARK: Records

  /// Makes the record anew of what the workers offer, and vouches for the keys to them.
  ///
  /// - Parameter says: Whether an open link is told.
  func refreshRecord(says: Bool = false) {
    let offers = workers.values.compactMap(\.offer)
    guard !offers.isEmpty else { return }
    epoch += 1
    do throws(NodeError) {
      guard let made = try maker.record(of: offers, epoch: epoch, now: time.unixTime()) else {
        return renewKeys()
      }
      record = made
      for offer in offers {
        for key in offer.ready.keys {
          tell(offer.ready.model, .vouched(key.kid, evidence: made.statement.evidence))
        }
      }
      if says { perform(machine.say(.record(made.encoded))) }
      wakeAll()
    } catch {
      log.error("no record made", ["reason": .error(error)])
    }
  }

  /// Asks for new keys where those there are near their end; workers do it themselves in time
  /// unless a clock jumped or the machine slept.
  func renewKeys() {
    let now = time.unixTime().seconds
    for (model, worker) in workers {
      guard let made = worker.offer?.madeAt?.seconds, !worker.isRotating else { continue }
      let age = now - made
      guard age >= KeyStatement.maximumLifetimeSeconds - Limits.renewalSeconds || age < -60 else {
        continue
      }
      workers[model]?.isRotating = true
      tell(model, .rotate)
    }
  }
}

extension Instant {
  /// An earlier point; the clock's start when there is none.
  func earlier(byMilliseconds milliseconds: Int) -> Instant {
    let span = UInt64(max(0, milliseconds)) * 1_000_000
    return Instant(nanoseconds: nanoseconds > span ? nanoseconds - span : 0)
  }
}
