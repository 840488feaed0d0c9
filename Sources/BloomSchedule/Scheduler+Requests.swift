internal import BloomBase

extension Scheduler {
  mutating func arrive(_ request: WorkRequest, _ now: Instant) {
    let hash = Self.hash(request.id.answer, seed)
    let hashes = readAhead(hash, request.candidates)
    let known = number(of: request.id.answer, hash)
    if let reason = objection(request, known, now) {
      return effects.append(.refuse(request.id, reason, retryAfter: advice(reason, nil)))
    }
    let model = modelNumbers[request.model] ?? -1
    if model >= 0 { models[model].arrivals.add(hour: now.hour) }
    let account = accountNumber(request.account)
    let answer: Int
    if let known {
      answer = resume(known, request)
    } else {
      answer = addAnswer(request, model, hash)
    }
    var candidates: UpToFour<RequestState.CandidateState> = []
    let failed = answers[answer].hasFailures ? failures[answer] ?? [] : []
    for index in 0..<request.candidates.count {
      let candidate = request.candidates[index]
      let isExcluded = !failed.isEmpty && failed.contains(candidate)
      let offer = find(candidate, hashes[index])
      candidates.append(
        .init(
          candidate: candidate, offer: Int32(offer ?? -1),
          cost: index < request.costs.count ? request.costs[index].rawValue : 0,
          excluded: isExcluded ? .excluded : nil))
      if let offer {
        tally(Int(offers[offer].node), nil, now)
      } else if let node = nodeNumbers[candidate.node] {
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
      output: request.output, deadline: request.deadline,
      tier: request.constraints.tier, priceCap: request.constraints.priceCap?.rawValue ?? .max,
      hasDemands: request.constraints.region != nil || request.constraints.pool != nil,
      mayHedge: request.mayHedge,
      decision: Decision(at: now, expectedTokens: 0, candidates: []))
    let number = requests.insert(state)
    if state.hasDemands { demands[number] = request.constraints }
    while timerPositions.count < 2 * requests.bound { timerPositions.append(KeyedHeap.absent) }
    accounts[account].living += 1
    if answers[answer].living.0 < 0 {
      answers[answer].living.0 = Int32(number)
    } else {
      answers[answer].living.1 = Int32(number)
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
    let hash = Self.hash(id.answer, seed)
    guard number(of: id.answer, hash) == nil else { return }
    let number = add(
      AnswerState(
        id: id.answer, model: Int32(modelNumber(model)), lastPart: id.part, output: output,
        lastState: .failed, dispatches: Int32(clamping: max(dispatches, 0))), account, hash)
    retire(number, now)
  }

  private mutating func number(of answer: AnswerID, _ hash: UInt64) -> Int? {
    var probe = answerIndex.probe(hash)
    while let number = answerIndex.next(&probe) {
      if answers[number].id == answer { return number }
    }
    return nil
  }

  /// A folded product of both halves with the secret seed: gateways draw the names, so they must not
  /// be able to choose names that meet in one place.
  private static func hash(_ answer: AnswerID, _ seed: UInt64) -> UInt64 {
    let (first, second) = unsafe withUnsafeBytes(of: answer) {
      unsafe (
        $0.loadUnaligned(as: UInt64.self), $0.loadUnaligned(fromByteOffset: 8, as: UInt64.self)
      )
    }
    let product = (first ^ seed).multipliedFullWidth(
      by: second ^ seed.byteSwapped ^ 0x9e37_79b9_7f4a_7c15)
    return product.high ^ product.low
  }

  /// The number of a living request.
  mutating func living(_ id: RequestID) -> Int? {
    guard let answer = number(of: id.answer, Self.hash(id.answer, seed)) else { return nil }
    let (first, second) = answers[answer].living
    if first >= 0, requests[Int(first)].id == id { return Int(first) }
    if second >= 0, requests[Int(second)].id == id { return Int(second) }
    return nil
  }

  /// Ends an admitted request: the only place that does.
  mutating func end(_ number: Int, _ ending: RequestEnding, _ now: Instant) {
    invariant(!requests[number].hasAttempt, "a request ends while a node works on it")
    leaveQueue(number)
    timers.remove(2 * number, &timerPositions)
    effects.append(.end(requests[number].id, ending))
    let answer = requests[number].answer
    if answers[answer].living.0 == Int32(number) { answers[answer].living.0 = -1 }
    if answers[answer].living.1 == Int32(number) { answers[answer].living.1 = -1 }
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
    if requests[number].hasDemands { demands[number] = nil }
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

  private mutating func objection(
    _ request: WorkRequest, _ known: Int?, _ now: Instant
  ) -> ReasonCode? {
    let candidates = request.candidates
    guard !candidates.isEmpty else { return .badCandidates }
    for index in 1..<max(candidates.count, 1) {
      for other in 0..<index where candidates[other].node == candidates[index].node {
        return .badCandidates
      }
    }
    if let number = known {
      let answer = answers[number]
      if request.id.part <= answer.lastPart { return .duplicateRequest }
      let mayFollow =
        request.id.part == answer.lastPart + 1 && request.account == payers[number]
        && Int32(modelNumbers[request.model] ?? -1) == answer.model
        && request.output == answer.output
        && answer.livingCount < 2
      // Of a part that is over the gateway may lack the end.
      guard mayFollow, answer.lastState != .living else { return .partNotAdmitted }
      if Int(answer.dispatches) >= limits.dispatchesPerAnswer { return .retryBudgetSpent }
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
    let number = models.insert(ModelState(id: id))
    modelNumbers[id] = number
    return number
  }

  /// Counts an offer or an answer of a model.
  mutating func use(model number: Int) {
    if number >= 0 { models[number].users += 1 }
  }

  /// An offer or an answer of a model is forgotten, and with the last one what was learned of it.
  ///
  /// Otherwise names that nodes invent would fill the table for ever.
  mutating func release(model number: Int) {
    guard number >= 0 else { return }
    models[number].users -= 1
    guard models[number].users == 0 else { return }
    modelNumbers[models[number].id] = nil
    models.remove(number)
  }

  private mutating func accountNumber(_ id: AccountID) -> Int {
    if let known = accountNumbers[id] { return known }
    accountSerial &+= 1
    let number = accounts.insert(AccountState(id: id, serial: accountSerial))
    accountNumbers[id] = number
    return number
  }

  private mutating func resume(_ number: Int, _ request: WorkRequest) -> Int {
    revive(number)
    answers[number].lastPart = request.id.part
    answers[number].lastState = .living
    return number
  }

  private mutating func addAnswer(_ request: WorkRequest, _ model: Int, _ hash: UInt64) -> Int {
    add(
      AnswerState(
        id: request.id.answer, model: Int32(model), lastPart: request.id.part,
        output: request.output), request.account, hash)
  }

  private mutating func add(_ answer: AnswerState, _ payer: AccountID, _ hash: UInt64) -> Int {
    let number = answers.insert(answer)
    if number < payers.count { payers[number] = payer } else { payers.append(payer) }
    answerIndex.insert(hash, number)
    use(model: Int(answer.model))
    return number
  }

  /// Undoes what an arrival that was refused did to its answer: the same part may come again.
  mutating func withdraw(_ number: Int, part: UInt16) {
    if part == 0 {
      revive(number)
      forget(answer: number)
    } else {
      answers[number].lastPart = part - 1
      answers[number].lastState = answers[number].livingCount > 0 ? .suspect : .failed
    }
  }

  private mutating func retire(_ number: Int, _ now: Instant) {
    answers[number].retiredAt = now
    answers[number].isRetired = true
    answers[number].previous = Int32(retired.tail)
    answers[number].next = -1
    if retired.tail >= 0 {
      answers[retired.tail].next = Int32(number)
    } else {
      retired.head = number
    }
    retired.tail = number
    retired.count += 1
    // At most two for each new one: the work of one event stays bounded.
    for _ in 0..<2 {
      guard retired.head >= 0, retired.head != number else { return }
      let oldest = retired.head
      let isOld = now - answers[oldest].retiredAt > limits.answerMemory
      guard isOld || retired.count > limits.answersRemembered else { return }
      revive(oldest)
      forget(answer: oldest)
    }
  }

  private mutating func forget(answer number: Int) {
    if answers[number].hasFailures { failures[number] = nil }
    answerIndex.remove(Self.hash(answers[number].id, seed), number)
    release(model: Int(answers[number].model))
    answers.remove(number)
  }

  private mutating func revive(_ number: Int) {
    guard answers[number].isRetired else { return }
    let next = Int(answers[number].next)
    let previous = Int(answers[number].previous)
    if previous >= 0 { answers[previous].next = Int32(next) } else { retired.head = next }
    if next >= 0 { answers[next].previous = Int32(previous) } else { retired.tail = previous }
    answers[number].isRetired = false
    retired.count -= 1
  }
}
