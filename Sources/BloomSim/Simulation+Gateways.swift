internal import BloomBase
internal import BloomSchedule
internal import BloomWire

extension Simulation {
  /// A user asks.
  func ask(_ client: Int) {
    let id = AnswerID(using: &users)
    let seed = users.next()
    var answer = SimAnswer(
      id: id, client: client, seed: seed,
      promptTokens: 20 + Int.random(in: 0...600, using: &users), deadline: now + .seconds(90))
    if clients[client] == .leavesEarly {
      answer.leavesAt = Int.random(in: 0...40, using: &users)
    }
    answers[id] = answer
    answerOrder.append(id)
    queue.add(.giveUp(id), at: answer.deadline)
    sendPart(id)
    if clients[client] == .replays {
      // The same part again, and one that nothing asked for.
      post(id, part: 0)
      post(id, part: 7)
    }
  }

  /// Seals what is missing to a fresh draw of nodes.
  func sendPart(_ id: AnswerID) {
    guard let answer = answers[id], answer.ending == nil else { return }
    answers[id]?.isRetrying = false
    answers[id]?.tries += 1
    guard answer.tries < 40 else { return finish(id, .failed) }
    let session = post(id, part: answer.part)
    answers[id]?.sessions.append(session)
  }

  func gatewayReceives(_ session: Int, _ bytes: [UInt8]) {
    guard sessions[session].isOpen else { return }
    sessions[session].decoder.append(bytes)
    while true {
      let item: OuterRecordDecoder.Item?
      do throws(WireError) {
        item = try sessions[session].decoder.next()
      } catch {
        return checker.fault(self, "a record that cannot be read")
      }
      guard let item else { return }
      take(item.record, session)
    }
  }

  func gatewayLoses(_ session: Int) {
    guard sessions[session].isOpen else { return }
    sessions[session].isOpen = false
    let id = sessions[session].answer
    guard let answer = answers[id], answer.ending == nil,
      answer.sessions.contains(session)
    else { return }
    answers[id]?.sessions.removeAll { $0 == session }
    guard answers[id]?.sessions.isEmpty == true else { return }
    if sessions[session].part == answer.part {
      switch sessions[session].reason {
      case .partNotAllowed:
        // A coordinator that died may have forgotten the part before: step back.
        answers[id]?.part = max(answer.part - 1, 0)
      case .replay, .nodeLost: answers[id]?.part += 1
      case nil where sessions[session].wasAccepted: answers[id]?.part += 1
      default: break
      }
    }
    if sessions[session].wasAccepted { count { $0.continued += 1 } }
    retry(id, after: max(sessions[session].retryAfter, 100))
  }

  /// The user's patience is over.
  func giveUp(_ id: AnswerID) {
    guard answers[id]?.ending == nil else { return }
    finish(id, .failed)
  }

  func finish(_ id: AnswerID, _ ending: SimAnswer.Ending) {
    if answers[id]?.ending != nil { return checker.fault(self, "an answer ended twice") }
    answers[id]?.ending = ending
    trace(UInt64(answers[id]?.delivered ?? 0))
    for session in answers[id]?.sessions ?? [] { hangUp(session) }
    answers[id]?.sessions = []
  }

  private func take(_ record: OuterRecord, _ session: Int) {
    let id = sessions[session].answer
    switch record {
    case .sealed(let bytes): read(bytes, session, id)
    case .suspected: break
    case .attemptFailed(let reason, _, let retryAfter):
      if reason == .nodeSilent { return replace(session, id) }
      sessions[session].reason = reason
      sessions[session].retryAfter = retryAfter
    case .accepted: sessions[session].wasAccepted = true
    case .alive, .settled, .queued: break
    }
  }

  private func read(_ bytes: [UInt8], _ session: Int, _ id: AnswerID) {
    guard let answer = answers[id], answer.ending == nil else { return }
    sessions[session].sealed += bytes
    var delivered = answer.delivered
    while sessions[session].sealed.count >= 16 {
      let index = Int(SimBytes.word(sessions[session].sealed, 0))
      let token = SimBytes.word(sessions[session].sealed, 1)
      sessions[session].sealed.removeFirst(16)
      if token != SimBytes.token(answer.seed, index) {
        checker.fault(self, "a token that is not the answer's")
      }
      // An older part may still repeat what is known; a gap may never be.
      if index == delivered { delivered += 1 }
      if index > delivered { checker.fault(self, "a token was lost") }
    }
    answers[id]?.delivered = delivered
    if delivered >= answer.answerTokens {
      finish(id, .complete)
    } else if let leavesAt = answer.leavesAt, delivered >= leavesAt {
      finish(id, .left)
    }
  }

  /// The node is silent: another part begins beside it, and the first new token wins.
  private func replace(_ session: Int, _ id: AnswerID) {
    guard let answer = answers[id], answer.ending == nil, !answer.isRetrying,
      sessions[session].part == answer.part, answer.sessions.count < 2
    else { return }
    answers[id]?.part += 1
    count { $0.continued += 1 }
    sendPart(id)
  }

  private func retry(_ id: AnswerID, after milliseconds: Int) {
    guard answers[id]?.isRetrying == false else { return }
    answers[id]?.isRetrying = true
    queue.add(.retry(id), at: now + .milliseconds(milliseconds))
  }

  @discardableResult
  private func post(_ id: AnswerID, part: Int) -> Int {
    let session = sessions.count
    sessions.append(SimSession(answer: id, part: part))
    recordTimes.append(now)
    guard let answer = answers[id] else { return session }
    var candidates: UpToFour<Candidate> = []
    let wanted = clients[answer.client] == .redraws ? 1 : 2 + Int(users.next() % 2)
    while candidates.count < min(wanted, nodes.count) {
      let number =
        clients[answer.client] == .redraws ? 0 : Int.random(in: 0..<nodes.count, using: &users)
      let candidate = Candidate(node: nodes[number].name, key: nodes[number].key)
      if !candidates.contains(candidate) { candidates.append(candidate) }
    }
    let request = WorkRequest(
      id: RequestID(answer: id, part: UInt16(part)), account: account(answer.client),
      model: model, candidates: candidates,
      inputBytes: 4 * (answer.promptTokens + answer.delivered),
      output: .tokens256, deadline: min(answer.deadline, now + .seconds(30)),
      mayHedge: users.next() % 4 == 0)
    let body = SimBytes.Request(
      seed: answer.seed, promptTokens: answer.promptTokens, delivered: answer.delivered,
      answer: id, part: part)
    queue.add(
      .envelope(session: session, SimEnvelope(request: request, body: body.bytes)),
      at: arrival(after: now))
    return session
  }

  private func hangUp(_ session: Int) {
    guard sessions[session].isOpen else { return }
    sessions[session].isOpen = false
    queue.add(.hangUp(session: session), at: arrival(after: now))
  }
}
