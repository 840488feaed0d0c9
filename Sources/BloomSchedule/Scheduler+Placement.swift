internal import BloomBase

extension Scheduler {
  /// Sends a request to the best of its candidates, or makes it wait, or ends it.
  mutating func place(_ number: Int, isArrival: Bool, _ now: Instant) {
    let answer = requests[number].answer
    guard Int(answers[answer].dispatches) < limits.dispatchesPerAnswer else {
      return giveUp(number, .retryBudgetSpent, nil, isArrival: isArrival, now)
    }
    let outlook = judge(number, now)
    if let best = outlook.best, !isWorthWaiting(outlook) {
      for index in requests[number].decision.candidates.indices
      where index != best && requests[number].decision.candidates[index].reason == .chosen {
        requests[number].decision.candidates[index].reason = .costlier
      }
      noteDecision(number, now)
      return dispatch(number, best, isHedge: false, now)
    }
    noteDecision(number, now)
    guard outlook.hasWait else {
      return giveUp(number, mainReason(number), nil, isArrival: isArrival, now)
    }
    wait(number, outlook.wait, isArrival: isArrival, now)
  }

  /// Starts a second candidate beside a late or silent one, if one is free now.
  mutating func hedge(_ number: Int, _ now: Instant) {
    guard !requests[number].hasStarted, requests[number].attempts.0 >= 0,
      requests[number].attempts.1 < 0,
      answers[requests[number].answer].dispatches < limits.dispatchesPerAnswer
    else { return }
    let busyWith = attempts[requests[number].attempts.0].candidate
    var outlook = Outlook()
    for index in requests[number].candidates.indices where index != busyWith {
      outlook.add(judge(number, index, ignoresQueue: false), index, tieShare: limits.tieShare)
    }
    guard let best = outlook.best else { return }
    requests[number].decision.candidates[best] = judge(number, best, ignoresQueue: false)
    dispatch(number, best, isHedge: true, now)
  }

  /// Takes a candidate from a waiting request for good.
  mutating func drop(_ number: Int, _ candidate: Int, _ reason: ReasonCode, _ now: Instant) {
    queue.remove(request: number, candidate: candidate)
    requests[number].candidates[candidate].excluded = reason
    guard !queue.holds(request: number) else { return }
    accounts[requests[number].account].waiting -= 1
    // Another candidate may have become free or come back meanwhile.
    if !requests[number].hasAttempt { place(number, isArrival: false, now) }
  }

  /// Gives free slots of a node to the requests that wait for it.
  mutating func fill(node: Int, _ now: Instant) {
    for offer in served[node] { fill(offer, now) }
  }

  /// Gives free slots of an offer to the requests that wait for it.
  mutating func fill(_ offer: Int, _ now: Instant) {
    while offers[offer].mayHaveQueue, offers[offer].link == .active,
      offers[offer].freeSlots > 0
    {
      guard let next = queue.next(lane: offer) else {
        offers[offer].mayHaveQueue = false
        return
      }
      let request = next.request
      let verdict = judge(request, next.candidate, ignoresQueue: true)
      switch verdict.reason {
      case .chosen:
        let work = requests[request].inputTokens / 8 + requests[request].expectedTokens
        accounts[requests[request].account].waiting -= 1
        queue.take(lane: offer, work: UInt64(work))
        requests[request].decision.candidates[next.candidate] = verdict
        note(Int(offers[offer].node), .chosen, now)
        dispatch(request, next.candidate, isHedge: false, now)
      case .memoryShort:
        // It keeps its place; passing it over would starve long prompts.
        return
      default:
        drop(request, next.candidate, verdict.reason, now)
      }
    }
  }

  /// Counts the verdicts of ``judge(_:_:)`` at the nodes.
  private mutating func noteDecision(_ number: Int, _ now: Instant) {
    for index in requests[number].decision.candidates.indices {
      let candidate = requests[number].candidates[index]
      // The verdict has looked the offer up.
      let node =
        candidate.offer >= 0
        ? Int(offers[Int(candidate.offer)].node) : nodeNumbers[candidate.candidate.node]
      if let node { note(node, requests[number].decision.candidates[index].reason, now) }
    }
  }

  private mutating func wait(
    _ number: Int, _ shortest: Double, isArrival: Bool, _ now: Instant
  ) {
    let account = requests[number].account
    let left = requests[number].deadline.seconds(since: now)
    let reason: ReasonCode? =
      if queue.waitingRequests >= limits.waiting {
        .networkQueueFull
      } else if accounts[account].waiting >= limits.waitingPerAccount {
        .accountQueueFull
      } else if shortest > left {
        .deadlineUnreachable
      } else {
        nil
      }
    if let reason { return giveUp(number, reason, shortest, isArrival: isArrival, now) }
    var position = Int.max
    for index in requests[number].decision.candidates.indices
    where requests[number].decision.candidates[index].reason == .busy {
      guard let offer = offer(requests[number].candidates[index]) else { continue }
      queue.add(
        request: number, candidate: index, lane: offer, account: accounts[account].serial)
      offers[offer].mayHaveQueue = true
      position = min(position, queue.waiting(lane: offer))
    }
    accounts[account].waiting += 1
    timers.update(2 * number, key: requests[number].deadline.nanoseconds, &timerPositions)
    effects.append(
      .queued(
        requests[number].id, position: position,
        estimate: .milliseconds(Int64(min(shortest, 86400) * 1000))))
  }

  private mutating func giveUp(
    _ number: Int, _ reason: ReasonCode, _ wait: Double?, isArrival: Bool, _ now: Instant
  ) {
    let retryAfter = advice(reason, wait)
    let answer = requests[number].answer
    let part = requests[number].id.part
    end(number, .failed(reason, retryAfter: retryAfter), now)
    guard isArrival else { return }
    // It was never taken up: the driver hears a refusal instead of an ending.
    if case .end(let id, _)? = effects.popLast() {
      effects.append(.refuse(id, reason, retryAfter: retryAfter))
    }
    withdraw(answer, part: part)
  }

  /// Writes the verdict on every candidate, and says what they come to.
  private mutating func judge(_ number: Int, _ now: Instant) -> Outlook {
    var outlook = Outlook()
    requests[number].decision.at = now
    requests[number].decision.expectedTokens = requests[number].expectedTokens
    let isFirst = requests[number].decision.candidates.isEmpty
    for index in requests[number].candidates.indices {
      let verdict = judge(number, index, ignoresQueue: false)
      outlook.add(verdict, index, tieShare: limits.tieShare)
      if isFirst {
        requests[number].decision.candidates.append(verdict)
      } else {
        requests[number].decision.candidates[index] = verdict
      }
    }
    return outlook
  }

  /// The verdict on one candidate: every gate in order, then the cost.
  private mutating func judge(
    _ number: Int, _ index: Int, ignoresQueue: Bool
  ) -> CandidateVerdict {
    let candidate = requests[number].candidates[index]
    var verdict = CandidateVerdict(node: candidate.candidate.node, reason: .chosen)
    let found = offer(candidate)
    if candidate.offer != Int32(found ?? -1) {
      requests[number].candidates[index].offer = Int32(found ?? -1)
    }
    if let excluded = candidate.excluded {
      verdict.reason = excluded
      return verdict
    }
    guard let place = found else {
      verdict.reason = stranger(candidate.candidate.node)
      return verdict
    }
    let offer = offers[place]
    if let reason = obstacle(offer.link) ?? mismatch(number, candidate, offer) {
      verdict.reason = reason
      return verdict
    }
    let wanted = requests[number].inputTokens + requests[number].expectedTokens
    let room = Double(offer.contextTokens)
    if offer.slots == 0 || (room > 0 && wanted > room) {
      verdict.reason = offer.slots == 0 ? .paused : .contextTooLong
      return verdict
    }
    let isFull = room > 0 && Double(offer.reservedTokens) + wanted > room
    let waiting = offer.mayHaveQueue ? queue.waiting(lane: place) : 0
    let isBusy = offer.freeSlots <= 0 || isFull || (!ignoresQueue && waiting > 0)
    if isBusy, !ignoresQueue {
      if waiting >= limits.waitingPerNode {
        verdict.reason = .nodeQueueFull
        return verdict
      }
      verdict.reason = .busy
    } else if isFull {
      verdict.reason = .memoryShort
    }
    estimate(&verdict, number, place, waiting: isBusy ? waiting + 1 : 0)
    return verdict
  }

  private mutating func estimate(
    _ verdict: inout CandidateVerdict, _ number: Int, _ place: Int, waiting: Int
  ) {
    if offers[place].decodeRate == 0 { offers[place].decodeRate = nextDecodeRate(place) }
    let offer = offers[place]
    verdict.firstToken =
      Double(offer.delay) + requests[number].inputTokens / Double(offer.prefillRate)
    verdict.decode = requests[number].expectedTokens / Double(offer.decodeRate)
    if waiting > 0 {
      let usual = Double(offer.serviceSeconds)
      let service = usual > 0 ? usual : verdict.firstToken + verdict.decode
      verdict.wait = service * Double(waiting) / Double(max(offer.slots, 1))
    }
    verdict.completion = max(Double(offer.reliability), 0.05)
    verdict.cost = (verdict.wait + verdict.firstToken + verdict.decode) / verdict.completion
    verdict.score = Double(offer.score)
  }

  /// Why a key that is not known at a node keeps it out.
  private mutating func stranger(_ node: NodeID) -> ReasonCode {
    guard let number = nodeNumbers[node] else { return .notConnected }
    return obstacle(nodes[number].link) ?? .keyUnknown
  }

  private mutating func obstacle(_ link: NodeState.Link) -> ReasonCode? {
    switch link {
    case .active: nil
    case .suspect: .suspect
    case .draining: .draining
    case .gone: .notConnected
    }
  }

  private mutating func mismatch(
    _ number: Int, _ candidate: RequestState.CandidateState, _ offer: OfferState
  ) -> ReasonCode? {
    if Int(offer.model) != requests[number].model { return .modelNotServed }
    if !offer.isAttested { return .attestationStale }
    if offer.tier < requests[number].tier { return .tierTooLow }
    if requests[number].hasDemands, let reason = strangeness(number, Int(offer.node)) {
      return reason
    }
    let isPublic = !requests[number].hasDemands || demands[number]?.pool == nil
    if isPublic, Double(offer.reliability) < limits.reliabilityGate { return .standingTooLow }
    if candidate.cost > requests[number].priceCap { return .priceAboveCap }
    let context = Int(offer.contextLimit)
    if context > 0, requests[number].inputTokens > Double(context) { return .contextTooLong }
    return nil
  }

  /// Why a node is not where or whose the request wants it to be.
  private mutating func strangeness(_ number: Int, _ node: Int) -> ReasonCode? {
    guard let demand = demands[number] else { return nil }
    if let region = demand.region, region != profiles[node].region { return .regionMismatch }
    if let pool = demand.pool, !profiles[node].pools.contains(pool) { return .poolMismatch }
    return nil
  }

  private mutating func isWorthWaiting(_ outlook: Outlook) -> Bool {
    outlook.hasWait && outlook.waitCost * limits.patience < outlook.bestCost
  }

  /// The reason that says most about what to change, when no candidate can serve.
  private mutating func mainReason(_ number: Int) -> ReasonCode {
    for verdict in requests[number].decision.candidates {
      switch verdict.reason {
      case .notConnected, .excluded, .suspect, .nodeLost, .nodeTimeout, .nodeRefused, .handedBack:
        continue
      default: return verdict.reason
      }
    }
    return .noCandidate
  }
}

/// What the verdicts on the candidates of a request come to.
private struct Outlook {
  /// The cheapest candidate that is free now; among equals the one with the higher score.
  private(set) var best: Int?
  private(set) var bestCost = Double.infinity
  private var bestScore = 0.0
  /// Whether a candidate is only busy.
  private(set) var hasWait = false
  /// The shortest of their expected waits in seconds, and what that candidate costs with it.
  private(set) var wait = Double.infinity
  private(set) var waitCost = Double.infinity

  /// Takes the verdicts one by one; costs closer than `tieShare` are a tie.
  mutating func add(_ verdict: CandidateVerdict, _ index: Int, tieShare: Double) {
    if verdict.reason == .busy, verdict.wait < wait {
      hasWait = true
      wait = verdict.wait
      waitCost = verdict.cost
    }
    guard verdict.reason == .chosen, verdict.isOpen else { return }
    let isTie = abs(verdict.cost - bestCost) <= tieShare * bestCost
    guard best == nil || (isTie ? verdict.score > bestScore : verdict.cost < bestCost) else {
      return
    }
    best = index
    bestCost = verdict.cost
    bestScore = verdict.score
  }
}
