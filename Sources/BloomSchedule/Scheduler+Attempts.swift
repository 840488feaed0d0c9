internal import BloomBase

extension Scheduler {
  /// Gives a request to one of its candidates.
  ///
  /// The caller has checked that it may.
  mutating func dispatch(_ number: Int, _ candidate: Int, isHedge: Bool, _ now: Instant) {
    let chosen = requests[number].candidates[candidate].candidate
    guard let offer = offer(requests[number].candidates[candidate]) else { return }
    let node = Int(offers[offer].node)
    let answer = requests[number].answer
    answers[answer].dispatches += 1
    let verdict = requests[number].decision.candidates[candidate]
    let predicted = verdict.isOpen ? verdict.firstToken : 1
    let reserved = requests[number].inputTokens + requests[number].expectedTokens
    let attempt = attempts.insert(
      AttemptState(
        id: requests[number].id, request: number, answer: answer, node: node,
        candidate: candidate, offer: offer, sentAt: now, acceptedAt: now, firstTokenAt: now,
        predictedFirstToken: predicted, output: requests[number].output,
        model: requests[number].model, reservedTokens: reserved))
    growTimers()
    if requests[number].attempts.0 < 0 {
      requests[number].attempts.0 = attempt
    } else {
      requests[number].attempts.1 = attempt
    }
    link(attempt)
    offers[offer].reservedTokens += Float(reserved)
    countRunning(offer, 1)
    setTimer(attempt: attempt, Instant(nanoseconds: now.nanoseconds &+ acceptNanoseconds))
    var wakeUp = requests[number].deadline
    if requests[number].mayHedge, !isHedge {
      let late = Duration.milliseconds(Int64(min(predicted * 3, 3600) * 1000))
      wakeUp = min(wakeUp, now + max(late, limits.hedgeFloor))
    }
    timers.update(2 * number, key: wakeUp.nanoseconds, &timerPositions)
    effects.append(
      .dispatch(
        Dispatch(
          request: requests[number].id, node: chosen.node, key: chosen.key,
          attempt: Int(answers[answer].dispatches), isHedge: isHedge)))
  }

  mutating func accept(_ id: RequestID, _ node: NodeID, _ now: Instant) {
    guard let attempt = attempt(id, node), attempts[attempt].stage == .sent else { return }
    attempts[attempt].stage = .accepted
    attempts[attempt].acceptedAt = now
    let patience = Duration.milliseconds(
      Int64(min(4 * attempts[attempt].predictedFirstToken, 3600) * 1000))
    setTimer(attempt: attempt, now + max(patience, limits.firstTokenFloor))
  }

  mutating func refuse(_ id: RequestID, _ node: NodeID, _ isBusy: Bool, _ now: Instant) {
    guard let attempt = attempt(id, node) else { return }
    let offer = attempts[attempt].offer
    if isBusy, offers[offer].running > 0 {
      // It has less room than it said: believe that until its next report.
      offers[offer].slots = min(offers[offer].slots, offers[offer].running - 1)
    }
    fail(attempt, .nodeRefused, fault: isBusy ? 0.1 : 0.5, now)
  }

  mutating func start(_ id: RequestID, _ node: NodeID, _ now: Instant) {
    guard let attempt = attempt(id, node) else { return }
    switch attempts[attempt].stage {
    case .sent, .accepted: break
    case .streaming, .stopping: return
    }
    attempts[attempt].stage = .streaming
    attempts[attempt].firstTokenAt = now
    attempts[attempt].streamsAtStart = Int(offers[attempts[attempt].offer].nodeRunning)
    setTimer(attempt: attempt, attempts[attempt].sentAt + limits.longestRun)
    let request = attempts[attempt].request
    guard request >= 0 else { return }
    timers.remove(2 * request, &timerPositions)
    requests[request].hasStarted = true
    effects.append(.started(id, node))
    let pair = requests[request].attempts
    for other in [pair.0, pair.1] where other >= 0 && other != attempt {
      stop(other, .hedgeLost, now)
    }
    requests[request].attempts = (attempt, -1)
  }

  mutating func finish(
    _ id: RequestID, _ node: NodeID, _ summary: WorkSummary?, _ now: Instant
  ) {
    guard let attempt = attempt(id, node) else { return }
    if attempts[attempt].stage == .stopping { return release(attempt, now) }
    guard let summary else { return fail(attempt, .nodeTimeout, fault: 1, now) }
    learn(attempt, summary, now)
    count(attempt, weight: 1, isKept: true, now)
    rescore(attempts[attempt].node)
    let request = attempts[attempt].request
    if request >= 0 {
      let pair = requests[request].attempts
      for other in [pair.0, pair.1] where other >= 0 && other != attempt {
        stop(other, .hedgeLost, now)
      }
      requests[request].attempts = (-1, -1)
      attempts[attempt].request = -1
      end(request, .done(node), now)
    }
    release(attempt, now)
  }

  mutating func handBack(_ id: RequestID, _ node: NodeID, _ now: Instant) {
    guard let attempt = attempt(id, node) else { return }
    fail(attempt, .handedBack, fault: 0, now)
  }

  /// One attempt is over without success.
  ///
  /// Another candidate is tried if nothing was delivered yet.
  mutating func fail(
    _ attempt: Int, _ reason: ReasonCode, fault: Double, keepsSlot: Bool = false, _ now: Instant
  ) {
    let node = attempts[attempt].node
    let name = offers[attempts[attempt].offer].name
    if fault > 0 {
      count(attempt, weight: fault, isKept: false, now)
      rescore(node)
    }
    note(node, reason, now)
    let request = attempts[attempt].request
    let hadStarted = attempts[attempt].stage == .streaming
    let candidate = attempts[attempt].candidate
    attempts[attempt].request = -1
    if request >= 0 {
      detach(attempt, from: request)
      requests[request].candidates[candidate].excluded = reason
      let answer = requests[request].answer
      let failed = requests[request].candidates[candidate].candidate
      if failures[answer]?.contains(failed) != true {
        failures[answer, default: []].append(failed)
        answers[answer].hasFailures = true
      }
    }
    if keepsSlot { stop(attempt, reason, now) } else { release(attempt, now) }
    guard request >= 0 else { return }
    let id = requests[request].id
    if requests[request].hasAttempt {
      effects.append(.attemptFailed(id, name, reason, willRetry: true))
    } else if hadStarted {
      effects.append(.attemptFailed(id, name, reason, willRetry: false))
      end(request, .failed(reason, retryAfter: nil), now)
    } else {
      effects.append(.attemptFailed(id, name, reason, willRetry: true))
      place(request, isArrival: false, now)
    }
  }

  /// Tells the nodes of a request to stop; their slots stay taken until they confirm.
  mutating func stopAttempts(of request: Int, _ reason: ReasonCode, _ now: Instant) {
    let pair = requests[request].attempts
    for attempt in [pair.0, pair.1] where attempt >= 0 { stop(attempt, reason, now) }
    requests[request].attempts = (-1, -1)
  }

  /// Ends what is due: waits past their deadline, late accepts, late first tokens, ignored cancels.
  mutating func expire(_ now: Instant) {
    while let due = timers.minimum, due.key <= now.nanoseconds {
      timers.remove(due.id, &timerPositions)
      if due.id.isMultiple(of: 2) {
        expire(request: due.id / 2, now)
      } else {
        expire(attempt: due.id / 2, now)
      }
    }
  }

  private mutating func expire(request: Int, _ now: Instant) {
    if requests[request].deadline <= now {
      stopAttempts(of: request, .deadlinePassed, now)
      end(request, .failed(.deadlinePassed, retryAfter: nil), now)
    } else {
      timers.update(2 * request, key: requests[request].deadline.nanoseconds, &timerPositions)
      hedge(request, now)
    }
  }

  private mutating func expire(attempt: Int, _ now: Instant) {
    switch attempts[attempt].stage {
    case .sent, .accepted, .streaming:
      // The node may still work on it: its slot is free when it confirms or the grace is over.
      fail(attempt, .nodeTimeout, fault: 1, keepsSlot: true, now)
    case .stopping:
      count(attempt, weight: 2, isKept: false, now)
      note(attempts[attempt].node, .cancelIgnored, now)
      rescore(attempts[attempt].node)
      release(attempt, now)
    }
  }

  private mutating func stop(_ attempt: Int, _ reason: ReasonCode, _ now: Instant) {
    attempts[attempt].request = -1
    attempts[attempt].stage = .stopping
    setTimer(attempt: attempt, now + limits.cancelGrace)
    effects.append(
      .cancel(attempts[attempt].id, offers[attempts[attempt].offer].name, reason))
  }

  private mutating func release(_ attempt: Int, _ now: Instant) {
    let offer = attempts[attempt].offer
    unlink(attempt)
    countRunning(offer, -1)
    offers[offer].reservedTokens -= Float(attempts[attempt].reservedTokens)
    if offers[offer].running == 0 { offers[offer].reservedTokens = 0 }
    timers.remove(2 * attempt + 1, &timerPositions)
    attempts.remove(attempt)
    fill(offer, now)
  }

  private mutating func detach(_ attempt: Int, from request: Int) {
    if requests[request].attempts.0 == attempt {
      requests[request].attempts.0 = requests[request].attempts.1
      requests[request].attempts.1 = -1
    } else if requests[request].attempts.1 == attempt {
      requests[request].attempts.1 = -1
    }
  }

  /// The attempt of a part at a node; a handful of running ones are compared.
  private mutating func attempt(_ id: RequestID, _ node: NodeID) -> Int? {
    guard let number = nodeNumbers[node] else { return nil }
    for offer in served[number] {
      var place = Int(offers[offer].firstAttempt)
      while place >= 0 {
        if attempts[place].id == id { return place }
        place = Int(attempts[place].next)
      }
    }
    return nil
  }

  /// Adds a result to the node's reliability, unless its own owner pays for the answer.
  ///
  /// Free requests of one's own would buy a good name. Their faults do not count either: of a
  /// network that works for its owner alone nothing but faults would be known.
  private mutating func count(_ attempt: Int, weight: Double, isKept: Bool, _ now: Instant) {
    let node = attempts[attempt].node
    let answer = attempts[attempt].answer
    let isKnown = answers[answer].id == attempts[attempt].id.answer
    if isKnown, payers[answer] == profiles[node].owner { return }
    nodes[node].reliability.add(weight: weight, isKept: isKept, now: now)
  }

  private mutating func learn(_ attempt: Int, _ summary: WorkSummary, _ now: Instant) {
    let state = attempts[attempt]
    let occupied = Float(now.seconds(since: state.sentAt))
    if state.model >= 0 {
      let tokens = Double(summary.completionTokens)
      models[state.model].expected[Int(state.output.rawValue)].add(tokens)
    }
    let usual = offers[state.offer].serviceSeconds
    offers[state.offer].serviceSeconds = usual > 0 ? usual + 0.2 * (occupied - usual) : occupied
    guard state.stage == .streaming else { return }
    let streams = (state.streamsAtStart + Int(offers[state.offer].nodeRunning) + 1) / 2
    histories[state.offer].rates.addFirstToken(
      promptTokens: summary.promptTokens,
      seconds: state.firstTokenAt.seconds(since: state.acceptedAt))
    histories[state.offer].rates.addDecode(
      tokens: summary.completionTokens - 1, seconds: now.seconds(since: state.firstTokenAt),
      streams: streams)
  }

  private mutating func setTimer(attempt: Int, _ time: Instant) {
    growTimers()
    timers.update(2 * attempt + 1, key: time.nanoseconds, &timerPositions)
  }

  private mutating func growTimers() {
    let wanted = 2 * max(requests.bound, attempts.bound)
    while timerPositions.count < wanted { timerPositions.append(KeyedHeap.absent) }
  }
}
