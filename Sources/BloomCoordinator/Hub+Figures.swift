internal import BloomBase
internal import BloomLedger
internal import BloomSchedule
internal import BloomStore
internal import BloomWire

extension Hub {
  /// Counts what takes work now; linear in nodes.
  func fleet() -> FleetCount {
    var fleet = FleetCount()
    for session in sessions.values where session.node != nil && !session.isSuspect {
      guard let capacity = session.capacity, capacity.closed == nil,
        capacity.models.contains(where: { $0.slots > 0 })
      else { continue }
      fleet.machines += 1
      for model in capacity.models where model.slots > 0 {
        fleet.models[model.model, default: .init()].machines += 1
        fleet.models[model.model, default: .init()].slots += model.slots
        fleet.models[model.model, default: .init()].decodeRate +=
          Double(model.decodeMilliTokensPerSecond) / 1000
      }
    }
    // A model that nobody serves just now still has its name and price.
    for model in directory.models.keys where fleet.models[model] == nil {
      fleet.models[model] = .init()
    }
    let now = time.now()
    for model in fleet.models.keys {
      fleet.models[model]?.firstToken = figures.firstToken(model, now: now)
      fleet.models[model]?.rate = figures.rate(model, now: now)
    }
    return fleet
  }

  /// Sets the gauges that follow the live state; called before they are read.
  func measure() {
    let fleet = fleet()
    metrics.nodesConnected.set(nodeCount)
    metrics.nodesRoutable.set(fleet.machines)
    metrics.slotsOffered.set(fleet.models.values.reduce(0) { $0 + $1.slots })
    metrics.slotsBusy.set(scheduler.runningCount)
    metrics.running.set(relays.count)
    metrics.waiting.set(scheduler.waitingCount)
    metrics.openAnswers.set(store.read { $0.answers.count })
    metrics.logSize.set(Int(clamping: directory.newest?.number ?? 0))
    metrics.draining.set(isDraining ? 1 : 0)
  }
}
