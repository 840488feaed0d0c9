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
      number = addNode(profile)
      nodeNumbers[profile.node] = number
    }
    nodes[number].link = .active
    judgeAbsence(number, now)
    take(profile, number)
    take(capacity, number)
    rescore(number)
  }

  mutating func changeRecord(_ profile: NodeProfile, _ now: Instant) {
    guard let number = nodeNumbers[profile.node], nodes[number].link != .gone else { return }
    take(profile, number)
    rescore(number)
    fill(node: number, now)
  }

  mutating func report(_ node: NodeID, _ capacity: [ReportedCapacity], _ now: Instant) {
    guard let number = nodeNumbers[node], nodes[number].link != .gone else { return }
    if nodes[number].link == .draining { nodes[number].link = .active }
    take(capacity, number)
    refresh(number)
    fill(node: number, now)
  }

  mutating func suspect(_ node: NodeID, _ now: Instant) {
    guard let number = nodeNumbers[node], nodes[number].link != .gone else { return }
    nodes[number].link = .suspect
    refresh(number)
    for attempt in running(number) {
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
    refresh(number)
    for attempt in running(number) {
      let request = attempts[attempt].request
      guard request >= 0 else { continue }
      let answer = requests[request].answer
      let isLast = answers[answer].lastPart == requests[request].id.part
      if isLast, answers[answer].lastState == .suspect { answers[answer].lastState = .living }
    }
    fill(node: number, now)
  }

  mutating func drain(_ node: NodeID, _ now: Instant) {
    guard let number = nodeNumbers[node], nodes[number].link != .gone else { return }
    nodes[number].link = .draining
    refresh(number)
    emptyLane(number, .draining, now)
  }

  mutating func leave(_ node: NodeID, _ now: Instant) {
    guard let number = nodeNumbers[node], nodes[number].link != .gone else { return }
    let hadPromised =
      nodes[number].link != .draining && served[number].contains { offers[$0].slots > 0 }
    nodes[number].vanishedAt = hadPromised ? now : nil
    nodes[number].link = .gone
    refresh(number)
    linkGone(number)
    for attempt in running(number) {
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

  /// A node is back: what it was away without a word was promised.
  ///
  /// A node that offers slots promises to be there until it drains or offers none. Vanishing breaks
  /// that for as long as it lasts.
  private mutating func judgeAbsence(_ number: Int, _ now: Instant) {
    if let vanishedAt = nodes[number].vanishedAt {
      let there = max(vanishedAt.seconds(since: nodes[number].joinedAt), 0)
      let away = max(now.seconds(since: vanishedAt), 0)
      let kept = there + away > 0 ? there / (there + away) : 1
      nodes[number].availability += 0.1 * (kept - nodes[number].availability)
    }
    nodes[number].vanishedAt = nil
    nodes[number].joinedAt = now
  }

  mutating func dispute(_ node: NodeID, _ now: Instant) {
    guard let number = nodeNumbers[node] else { return }
    nodes[number].reliability.add(weight: 50, isKept: false, now: now)
    note(number, .disputed, now)
    rescore(number)
  }

  /// Recomputes the cached score after one of its parts has changed.
  mutating func rescore(_ number: Int) {
    nodes[number].score = score(number).total
    refresh(number)
  }

  func score(_ number: Int) -> TrustScore {
    let node = nodes[number]
    var bandwidth = 0.0
    var loaded = 0.0
    for offer in served[number] where histories[offer].rates.evidence > 0 {
      let weights = Double(histories[offer].activeBytes)
      let rate = histories[offer].rates.decodeRate(streams: 1)
      bandwidth = max(bandwidth, rate * weights)
      if offers[offer].keyCount > 0 { loaded += weights }
    }
    // It answered with all of these beside each other: so much memory it has, whatever it says.
    let shown = Int(min(max(loaded, 0), 1e18))
    return TrustScore(
      tier: profiles[number].tier, isAttested: profiles[number].isAttested,
      reliability: node.reliability.lowerBound, bandwidth: bandwidth,
      memoryBytes: max(profiles[number].memoryBytes, shown), availability: node.availability,
      roundTrip: node.roundTrip, loss: node.loss)
  }

  mutating func note(_ number: Int, _ reason: ReasonCode, _ now: Instant) {
    tally(number, reason, now)
  }

  private mutating func addNode(_ profile: NodeProfile) -> Int {
    let number = nodes.insert(NodeState(reliability: Reliability(tier: profile.tier)))
    if number == profiles.count {
      profiles.append(profile)
      served.append([])
      reasons.append(ReasonCounts())
    } else {
      profiles[number] = profile
      served[number] = []
      reasons[number] = ReasonCounts()
    }
    return number
  }

  private mutating func take(_ profile: NodeProfile, _ number: Int) {
    profiles[number] = profile
    var keys: [Int: [KeyID]] = [:]
    for offered in profile.keys.prefix(64) {
      let offer = offer(of: number, model: offered.model) ?? addOffer(number, offered.model)
      keys[offer, default: []].append(offered.key)
      histories[offer].activeBytes = offered.activeBytes
      offers[offer].contextLimit = Int32(clamping: offered.contextLimit)
    }
    for offer in served[number] { setKeys(offer, keys[offer] ?? []) }
    // What was learned of models no longer served is kept for a few of them.
    var spare = served[number].count - 8
    for offer in served[number].reversed() where spare > 0 {
      let isIdle = offers[offer].running == 0 && queue.waiting(lane: offer) == 0
      guard isIdle, offers[offer].keyCount == 0 else { continue }
      removeOffer(offer, of: number)
      spare -= 1
    }
  }

  private mutating func take(_ capacity: [ReportedCapacity], _ number: Int) {
    for offer in served[number] {
      let model = histories[offer].model
      guard let report = capacity.first(where: { $0.model == model }) else {
        offers[offer].slots = 0
        continue
      }
      offers[offer].slots = UInt16(min(max(report.slots, 0), 4096))
      offers[offer].contextTokens = Int32(clamping: max(report.contextTokens, 0))
      histories[offer].rates.seed(
        prefill: report.prefillRate * limits.seedDiscount,
        decode: report.decodeRate * limits.seedDiscount)
    }
  }

  private mutating func emptyLane(_ number: Int, _ reason: ReasonCode, _ now: Instant) {
    for offer in served[number] {
      while let next = queue.next(lane: offer) {
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
    nodeNumbers[profiles[number].node] = nil
    for offer in served[number] { removeOffer(offer, of: number) }
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
