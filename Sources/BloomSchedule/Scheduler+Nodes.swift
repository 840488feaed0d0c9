internal import BloomBase

extension Scheduler {
  mutating func join(_ profile: NodeProfile, _ capacity: [ReportedCapacity], _ now: Instant) {
    let number: Int
    if let known = nodeNumbers[profile.node] {
      number = known
      // A link that was replaced before its end was noticed: what it carried is lost.
      if nodes[number].link != .gone { leave(profile.node, now) }
      unlinkGone(number)
    } else {
      if nodes.count >= limits.nodes {
        guard gone.head >= 0 else { return effects.append(.turnAway(profile.node)) }
        forget(gone.head)
      }
      number = nodes.insert(
        NodeState(profile: profile, reliability: Reliability(tier: profile.tier)))
      nodeNumbers[profile.node] = number
    }
    nodes[number].link = .active
    take(profile, number)
    take(capacity, number)
    rescore(number)
  }

  mutating func changeRecord(_ profile: NodeProfile, _ now: Instant) {
    guard let number = nodeNumbers[profile.node], nodes[number].link != .gone else { return }
    take(profile, number)
    rescore(number)
    fill(number, now)
  }

  mutating func report(_ node: NodeID, _ capacity: [ReportedCapacity], _ now: Instant) {
    guard let number = nodeNumbers[node], nodes[number].link != .gone else { return }
    if nodes[number].link == .draining { nodes[number].link = .active }
    take(capacity, number)
    fill(number, now)
  }

  mutating func suspect(_ node: NodeID, _ now: Instant) {
    guard let number = nodeNumbers[node], nodes[number].link != .gone else { return }
    nodes[number].link = .suspect
    for attempt in nodes[number].running {
      let request = attempts[attempt].request
      guard request >= 0 else { continue }
      effects.append(.suspect(attempts[attempt].id, node))
      let answer = requests[request].answer
      if answers[answer].lastPart == requests[request].id.part {
        answers[answer].lastState = .suspect
      }
      if !requests[request].hasStarted { hedge(request, now) }
    }
  }

  mutating func recover(_ node: NodeID, _ now: Instant) {
    guard let number = nodeNumbers[node], nodes[number].link == .suspect else { return }
    nodes[number].link = .active
    for attempt in nodes[number].running {
      let request = attempts[attempt].request
      guard request >= 0 else { continue }
      let answer = requests[request].answer
      let isLast = answers[answer].lastPart == requests[request].id.part
      if isLast, answers[answer].lastState == .suspect { answers[answer].lastState = .living }
    }
    fill(number, now)
  }

  mutating func drain(_ node: NodeID, _ now: Instant) {
    guard let number = nodeNumbers[node], nodes[number].link != .gone else { return }
    nodes[number].link = .draining
    emptyLane(number, .draining, now)
  }

  mutating func leave(_ node: NodeID, _ now: Instant) {
    guard let number = nodeNumbers[node], nodes[number].link != .gone else { return }
    nodes[number].link = .gone
    linkGone(number)
    while let attempt = nodes[number].running.last {
      fail(attempt, .nodeLost, fault: attempts[attempt].stage == .stopping ? 0 : 1, now)
    }
    emptyLane(number, .notConnected, now)
    rescore(number)
  }

  mutating func measure(_ node: NodeID, _ roundTrip: Duration, _ loss: Double) {
    guard let number = nodeNumbers[node] else { return }
    nodes[number].roundTrip = min(max(roundTrip, .zero), .seconds(60))
    nodes[number].loss = loss
    rescore(number)
  }

  mutating func measure(_ node: NodeID, kept: Double) {
    guard let number = nodeNumbers[node], kept.isFinite else { return }
    let share = min(max(kept, 0), 1)
    nodes[number].availability += 0.1 * (share - nodes[number].availability)
    rescore(number)
  }

  mutating func dispute(_ node: NodeID, _ now: Instant) {
    guard let number = nodeNumbers[node] else { return }
    nodes[number].reliability.add(weight: 50, isKept: false, now: now)
    note(number, .disputed, now)
    rescore(number)
  }

  /// Recomputes the cached score after one of its parts has changed.
  mutating func rescore(_ number: Int) { nodes[number].score = score(number).total }

  func score(_ number: Int) -> TrustScore {
    let node = nodes[number]
    var bandwidth = 0.0
    for offer in node.offers where offer.rates.evidence > 0 {
      bandwidth = max(bandwidth, offer.rates.decodeRate(streams: 1) * Double(offer.activeBytes))
    }
    return TrustScore(
      tier: node.profile.tier, isAttested: node.profile.isAttested,
      reliability: node.reliability.lowerBound, bandwidth: bandwidth,
      memoryBytes: node.profile.memoryBytes, availability: node.availability,
      roundTrip: node.roundTrip, loss: node.loss)
  }

  mutating func note(_ number: Int, _ reason: ReasonCode, _ now: Instant) {
    tally(number, reason, now)
  }

  private mutating func take(_ profile: NodeProfile, _ number: Int) {
    nodes[number].profile = profile
    for index in nodes[number].offers.indices { nodes[number].offers[index].keys = [] }
    for offered in profile.keys.prefix(64) {
      let index: Int
      if let known = nodes[number].offers.firstIndex(where: { $0.model == offered.model }) {
        index = known
      } else {
        index = nodes[number].offers.count
        nodes[number].offers.append(
          OfferState(
            model: offered.model, keys: [], activeBytes: 0, contextLimit: 0, price: .zero,
            lane: lanes.insert(true)))
      }
      nodes[number].offers[index].keys.append(offered.key)
      nodes[number].offers[index].activeBytes = offered.activeBytes
      nodes[number].offers[index].contextLimit = offered.contextLimit
      nodes[number].offers[index].price = offered.price
    }
    // What was learned of models no longer served is kept for a few of them.
    var spare = nodes[number].offers.count - 8
    for index in nodes[number].offers.indices.reversed() where spare > 0 {
      let offer = nodes[number].offers[index]
      let isIdle = offer.running == 0 && queue.waiting(lane: offer.lane) == 0
      guard isIdle, offer.keys.isEmpty else { continue }
      lanes.remove(offer.lane)
      nodes[number].offers.remove(at: index)
      spare -= 1
    }
  }

  private mutating func take(_ capacity: [ReportedCapacity], _ number: Int) {
    for index in nodes[number].offers.indices {
      let model = nodes[number].offers[index].model
      guard let report = capacity.first(where: { $0.model == model }) else {
        nodes[number].offers[index].slots = 0
        continue
      }
      nodes[number].offers[index].slots = min(max(report.slots, 0), 4096)
      nodes[number].offers[index].contextTokens = max(report.contextTokens, 0)
      nodes[number].offers[index].rates.seed(
        prefill: report.prefillRate * limits.seedDiscount,
        decode: report.decodeRate * limits.seedDiscount)
    }
  }

  private mutating func emptyLane(_ number: Int, _ reason: ReasonCode, _ now: Instant) {
    for offer in nodes[number].offers {
      while let next = queue.next(lane: offer.lane) {
        drop(next.request, next.candidate, reason, now)
      }
    }
  }

  private mutating func linkGone(_ number: Int) {
    nodes[number].gonePrevious = gone.tail
    nodes[number].goneNext = -1
    if gone.tail >= 0 { nodes[gone.tail].goneNext = number } else { gone.head = number }
    gone.tail = number
  }

  private mutating func unlinkGone(_ number: Int) {
    let next = nodes[number].goneNext
    let previous = nodes[number].gonePrevious
    if previous >= 0 { nodes[previous].goneNext = next } else { gone.head = next }
    if next >= 0 { nodes[next].gonePrevious = previous } else { gone.tail = previous }
  }

  private mutating func forget(_ number: Int) {
    settleTally(atMost: TallyLog.bound + 16)
    unlinkGone(number)
    nodeNumbers[nodes[number].profile.node] = nil
    for offer in nodes[number].offers { lanes.remove(offer.lane) }
    nodes.remove(number)
  }
}

extension Instant {
  /// Hours since the clock's start.
  var hour: UInt64 { nanoseconds / 3_600_000_000_000 }
  /// Seconds from another point; negative when this one is earlier.
  func seconds(since other: Instant) -> Double {
    Double((self - other).wholeNanoseconds) / 1e9
  }
}
