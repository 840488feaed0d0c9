internal import BloomBase

extension Scheduler {
  mutating func arrive(_ request: WorkRequest, _ now: Instant) {
    if let reason = objection(request, now) {
      return effects.append(.refuse(request.id, reason, retryAfter: advice(reason, nil)))
    }
    let model = modelNumbers[request.model] ?? -1
    if model >= 0 { models[model].arrivals.add(hour: now.hour) }
    let account = accountNumber(request.account)
    let answer = answerNumber(request)
    var candidates: UpToFour<RequestState.CandidateState> = []
    for candidate in request.candidates {
      let isExcluded =
        request.excluded.contains(candidate.node)
        || answers[answer].failed.contains(candidate)
      let offer = find(candidate)
      candidates.append(
        .init(
          candidate: candidate, offer: Int32(offer ?? -1),
          excluded: isExcluded ? .excluded : nil))
      if let node = offer.map({ Int(offers[$0].node) }) ?? nodeNumbers[candidate.node] {
        tally(node, nil, now)
      }
    }
    let learned =
      model >= 0 ? models[model].expected[Int(request.output.rawValue)] : RollingMedian()
    let state = RequestState(
      id: request.id, account: account, answer: answer, model: model, candidates: candidates,
      inputTokens: max(1, Double(request.inputBytes) / limits.bytesPerToken),
      expectedTokens: learned.count >= 4
        ? Double(learned.value) : request.output.expectedTokensSeed,
      output: request.output, deadline: request.deadline, constraints: request.constraints,
      mayHedge: request.mayHedge,
      decision: Decision(at: now, expectedTokens: 0, candidates: []))
    let number = requests.insert(state)
    while timerPositions.count < 2 * requests.bound { timerPositions.append(KeyedHeap.absent) }
    accounts[account].living += 1
    if answers[answer].living.0 < 0 {
      answers[answer].living.0 = number
    } else {
      answers[answer].living.1 = number
    }
    place(number, isArrival: true, now)
  }

  mutating func cancel(_ id: RequestID, _ now: Instant) {
    guard let request = living(id) else { return }
    stopAttempts(of: request, .clientCancelled, now)
    end(request, .cancelled, now)
  }

  mutating func restore(
    _ id: RequestID, _ account: AccountID, _ model: ModelID, _ output: OutputClass,
    _ dispatches: Int, _ now: Instant
  ) {
    guard number(of: id.answer) == nil else { return }
    let number = answers.insert(
      AnswerState(
        id: id.answer, account: account, model: model, output: output, lastPart: id.part,
        lastState: .failed, dispatches: max(dispatches, 0)))
    answerIndex.insert(Self.hash(id.answer), number)
    retire(number, now)
  }

  private func number(of answer: AnswerID) -> Int? {
    answerIndex.find(Self.hash(answer)) { answers[$0].id == answer }
  }

  private static func hash(_ answer: AnswerID) -> UInt64 {
    UInt64(truncatingIfNeeded: answer.hashValue)
  }

  /// The number of a living request.
  func living(_ id: RequestID) -> Int? {
    guard let answer = number(of: id.answer) else { return nil }
    for number in [answers[answer].living.0, answers[answer].living.1] where number >= 0 {
      if requests[number].id == id { return number }
    }
    return nil
  }

  /// Ends an admitted request: the only place that does.
  mutating func end(_ number: Int, _ ending: RequestEnding, _ now: Instant) {
    invariant(!requests[number].hasAttempt, "a request ends while a node works on it")
    leaveQueue(number)
    timers.remove(2 * number, &timerPositions)
    effects.append(.end(requests[number].id, ending))
    let answer = requests[number].answer
    if answers[answer].living.0 == number { answers[answer].living.0 = -1 }
    if answers[answer].living.1 == number { answers[answer].living.1 = -1 }
    if answers[answer].lastPart == requests[number].id.part {
      switch ending {
      case .done, .cancelled: answers[answer].lastState = .done
      case .failed: answers[answer].lastState = .failed
      }
    }
    if answers[answer].livingCount == 0 { retire(answer, now) }
    let account = requests[number].account
    accounts[account].living -= 1
    if accounts[account].living == 0 {
      accountNumbers[accounts[account].id] = nil
      accounts.remove(account)
    }
    requests.remove(number)
  }

  /// When to try again, for reasons that time may heal; spread so that clients do not come at once.
  mutating func advice(_ reason: ReasonCode, _ wait: Double?) -> Duration? {
    guard reason.isRetriable else { return nil }
    let seconds = min(max(wait ?? 1, 1), 60)
    let spread = Double(generator.next() >> 11) / Double(1 << 53)
    return .milliseconds(Int64(seconds * (1 + spread / 2) * 1000))
  }

  mutating func leaveQueue(_ number: Int) {
    guard queue.holds(request: number) else { return }
    queue.remove(request: number)
    accounts[requests[number].account].waiting -= 1
  }

  private func objection(_ request: WorkRequest, _ now: Instant) -> ReasonCode? {
    let candidates = request.candidates
    guard !candidates.isEmpty else { return .badCandidates }
    for index in candidates.indices {
      for other in 0..<index where candidates[other].node == candidates[index].node {
        return .badCandidates
      }
    }
    if let number = number(of: request.id.answer) {
      let answer = answers[number]
      if request.id.part <= answer.lastPart { return .duplicateRequest }
      let mayFollow =
        request.id.part == answer.lastPart + 1 && request.account == answer.account
        && request.model == answer.model && request.output == answer.output
        && answer.livingCount < 2
      guard mayFollow, answer.lastState == .failed || answer.lastState == .suspect else {
        return .partNotAdmitted
      }
      if answer.dispatches >= limits.dispatchesPerAnswer { return .retryBudgetSpent }
    } else if request.id.part > 0 {
      return .partNotAdmitted
    }
    if request.deadline <= now { return .deadlinePassed }
    if requests.count >= limits.requests { return .networkQueueFull }
    return nil
  }

  /// The number of a model that a node serves; −1 for more than may be learned of.
  mutating func modelNumber(_ id: ModelID) -> Int {
    if let known = modelNumbers[id] { return known }
    guard models.count < limits.models else { return -1 }
    let number = models.insert(ModelState())
    modelNumbers[id] = number
    return number
  }

  private mutating func accountNumber(_ id: AccountID) -> Int {
    if let known = accountNumbers[id] { return known }
    accountSerial &+= 1
    let number = accounts.insert(AccountState(id: id, serial: accountSerial))
    accountNumbers[id] = number
    return number
  }

  private mutating func answerNumber(_ request: WorkRequest) -> Int {
    if let known = number(of: request.id.answer) {
      revive(known)
      answers[known].lastPart = request.id.part
      answers[known].lastState = .living
      return known
    }
    let number = answers.insert(
      AnswerState(
        id: request.id.answer, account: request.account, model: request.model,
        output: request.output, lastPart: request.id.part))
    answerIndex.insert(Self.hash(request.id.answer), number)
    return number
  }

  /// Undoes what an arrival that was refused did to its answer: the same part may come again.
  mutating func withdraw(_ number: Int, part: UInt16) {
    if part == 0 {
      revive(number)
      answerIndex.remove(Self.hash(answers[number].id), number)
      answers.remove(number)
    } else {
      answers[number].lastPart = part - 1
      answers[number].lastState = answers[number].livingCount > 0 ? .suspect : .failed
    }
  }

  private mutating func retire(_ number: Int, _ now: Instant) {
    answers[number].retiredAt = now
    answers[number].isRetired = true
    answers[number].previous = retired.tail
    answers[number].next = -1
    if retired.tail >= 0 { answers[retired.tail].next = number } else { retired.head = number }
    retired.tail = number
    retired.count += 1
    // At most two for each new one: the work of one event stays bounded.
    for _ in 0..<2 {
      guard retired.head >= 0, retired.head != number else { return }
      let oldest = retired.head
      let isOld = now - answers[oldest].retiredAt > limits.answerMemory
      guard isOld || retired.count > limits.answersRemembered else { return }
      revive(oldest)
      answerIndex.remove(Self.hash(answers[oldest].id), oldest)
      answers.remove(oldest)
    }
  }

  private mutating func revive(_ number: Int) {
    guard answers[number].isRetired else { return }
    let next = answers[number].next
    let previous = answers[number].previous
    if previous >= 0 { answers[previous].next = next } else { retired.head = next }
    if next >= 0 { answers[next].previous = previous } else { retired.tail = previous }
    answers[number].isRetired = false
    retired.count -= 1
  }
}
