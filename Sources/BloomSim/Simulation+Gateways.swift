internal import BloomBase
internal import BloomClient
internal import BloomCrypto
internal import BloomRecords
internal import BloomWire

/// The gateways: guard set and answer machine are the real ones, their driver is this.
extension Simulation {
  /// A user asks.
  func ask(_ client: Int) {
    let count = clients[client] == .floods ? 12 : 1
    for _ in 0..<count { begin(client) }
  }

  private func begin(_ client: Int) {
    let id = AnswerID(using: &users)
    let answer = SimAnswer(
      id: id, client: client, seed: users.next(),
      promptTokens: 20 + Int.random(in: 0...600, using: &users), now: now)
    if clients[client] == .leavesEarly {
      answer.leavesAt = Int.random(in: 0...40, using: &users)
    }
    answers[id] = answer
    answerOrder.append(id)
    perform(answer, answer.machine.begin(now: now))
    if clients[client] == .replays {
      // The same part again, and one that nothing asked for.
      post(answer, part: -1, wirePart: 0)
      post(answer, part: -1, wirePart: 7)
    }
  }

  func answerDue(_ id: AnswerID) {
    guard let answer = answers[id], answer.armedAt == now else { return }
    answer.armedAt = nil
    if answer.ending == nil { perform(answer, answer.machine.tick(now: now)) }
  }

  /// The coordinator took the part up: the next has the next number.
  func gatewayBegins(_ session: Int) {
    guard sessions[session].part >= 0, !sessions[session].isCut, !sessions[session].isRefused,
      let answer = answers[sessions[session].answer]
    else { return }
    if answer.takenParts > 0 { count { $0.continued += 1 } }
    answer.takenParts += 1
    answer.numbering.taken(sessions[session].wirePart)
  }

  /// The coordinator did not take the part up.
  func gatewayIsRefused(_ session: Int, _ reason: Reason) {
    guard sessions[session].part >= 0, !sessions[session].isCut,
      let answer = answers[sessions[session].answer]
    else { return }
    sessions[session].failure = answer.numbering.refused(reason)
    if isRecovering(answer.client) { sessions[session].failure.isReturning = true }
    gatewayLoses(session, isBroken: false)
  }

  func gatewayReceives(_ session: Int, _ bytes: [UInt8]) {
    guard sessions[session].isOpen, !sessions[session].isCut else { return }
    sessions[session].decoder.append(bytes)
    while sessions[session].isOpen {
      let item: OuterRecordDecoder.Item?
      do throws(WireError) {
        item = try sessions[session].decoder.next()
      } catch {
        return checker.fault(self, "a record that cannot be read")
      }
      guard let item else { return }
      take(item, session)
    }
  }

  /// The response body is over, whatever was missing; broken with its connection or in order.
  func gatewayLoses(_ session: Int, isBroken: Bool) {
    guard sessions[session].isOpen, isBroken || !sessions[session].isCut else { return }
    sessions[session].isOpen = false
    if !isBroken, let receipt = sessions[session].settled, network.next() % 8 > 0 {
      queue.add(.acknowledged(sessions[session].answer, receipt), at: arrival(after: now))
    }
    let part = sessions[session].part
    guard let answer = answers[sessions[session].answer], answer.sessions[part] == session else {
      return
    }
    answer.sessions[part] = nil
    if isBroken {
      unreachableAt[answer.client] = now
      sessions[session].failure = answer.numbering.lost()
    }
    guard answer.ending == nil else { return }
    let failure = sessions[session].failure
    perform(
      answer,
      failure.isWithoutCandidates
        ? answer.machine.noCandidates(
          part, isReturning: failure.isReturning, isUnderWay: failure.isUnderWay, now: now)
        : answer.machine.partFailed(
          part, isRetriable: failure.isRetriable, isReturning: failure.isReturning,
          code: failure.code, now: now))
  }

  /// As `NetworkView`: the coordinator was out of reach a moment ago.
  private func isRecovering(_ client: Int) -> Bool {
    unreachableAt[client].map { now - $0 < .seconds(15) } ?? false
  }

  /// The user, or the whole gateway, is gone.
  func leave(_ answer: SimAnswer) {
    guard answer.ending == nil else { return }
    perform(answer, answer.machine.clientLeft())
    finish(answer, .left)
  }

  private func perform(_ answer: SimAnswer, _ effects: [AnswerStateMachine.Effect]) {
    for effect in effects {
      switch effect {
      case .startPart(let part, let resume, let avoiding):
        if resume[0].tokens.count != answer.delivered {
          checker.fault(self, "a part that does not go on where the answer stands")
        }
        post(answer, part: part, wirePart: answer.numbering.next, avoiding: avoiding)
      case .cancelPart(let part):
        if let session = answer.sessions.removeValue(forKey: part) { hangUp(session) }
      case .deliver: break
      case .finish: finish(answer, .complete)
      case .fail: finish(answer, .failed)
      }
    }
    arm(answer)
  }

  private func arm(_ answer: SimAnswer) {
    guard answer.ending == nil, let deadline = answer.machine.nextDeadline else { return }
    let due = max(deadline, now + milliseconds(10))
    if let armed = answer.armedAt, armed <= due, armed > now { return }
    answer.armedAt = due
    queue.add(.answerDue(answer.id), at: due)
  }

  private func finish(_ answer: SimAnswer, _ ending: SimAnswer.Ending) {
    if answer.ending != nil { return checker.fault(self, "an answer ended twice") }
    answer.ending = ending
    trace(UInt64(answer.delivered))
    if ending == .complete, answer.delivered != answer.answerTokens {
      checker.fault(self, "an answer that is not whole")
    }
    // A finished answer's parts go on to their receipts; others are told to stop.
    if ending != .complete {
      for part in answer.sessions.keys.sorted() {
        if let session = answer.sessions[part] { hangUp(session) }
      }
    }
    answer.sessions = [:]
  }

  private func take(_ item: OuterRecordDecoder.Item, _ session: Int) {
    guard let answer = answers[sessions[session].answer] else { return }
    let part = sessions[session].part
    guard part >= 0 else { return }
    switch item.record {
    case .sealed(let bytes):
      if sessions[session].attempt != item.attempt {
        // Another machine's answer starts anew, which is only right before anything was shown.
        if sessions[session].hasDelivered {
          return checker.fault(self, "tokens of two machines in one part")
        }
        sessions[session].attempt = item.attempt
        sessions[session].sealed = []
      }
      sessions[session].hasDelivered = true
      sessions[session].sealed += bytes
      read(session, answer)
    case .attemptFailed(let reason, let isRetriable, _):
      sessions[session].failure = .attemptFailed(
        reason, isRetriable: isRetriable, wasAccepted: sessions[session].isAccepted)
    case .accepted(let node):
      sessions[session].isAccepted = true
      perform(answer, answer.machine.partAccepted(part, by: node, now: now))
    case .alive, .queued: perform(answer, answer.machine.partAlive(part, now: now))
    case .suspected: perform(answer, answer.machine.partSuspected(part, now: now))
    case .settled(let receipt, _): sessions[session].settled = receipt
    }
  }

  private func read(_ session: Int, _ answer: SimAnswer) {
    let sealed = sessions[session].sealed
    let whole = sealed.count / 16
    sessions[session].sealed.removeFirst(16 * whole)
    var tokens: [Int32] = []
    var indexes: [Int] = []
    var isLast = false
    for place in 0..<whole {
      let mark = SimBytes.word(sealed, 2 * place)
      let token = SimBytes.word(sealed, 2 * place + 1)
      let index = Int(mark & 0xffff_ffff)
      isLast = mark >> 63 == 1
      if token != SimBytes.token(answer.seed, index) {
        checker.fault(self, "a token that is not the answer's")
      }
      indexes.append(index)
      tokens.append(Int32(truncatingIfNeeded: token))
    }
    let effects = answer.machine.frameArrived(
      sessions[session].part, choice: 0, tokens: tokens, endsChoice: isLast, now: now)
    if effects.first == .deliver || plan.sabotage == .showsTwice {
      for index in indexes {
        if index < answer.delivered { checker.fault(self, "a token was shown twice") }
        if index > answer.delivered { checker.fault(self, "a token was lost") }
        answer.delivered = index + 1
      }
    }
    perform(answer, effects)
    if answer.ending == nil, let leavesAt = answer.leavesAt, answer.delivered >= leavesAt {
      leave(answer)
    }
  }

  /// Seals a part to a fresh draw of the client's own machines.
  private func post(
    _ answer: SimAnswer, part: Int, wirePart: Int, avoiding: Set<NodeID> = []
  ) {
    let present = nodes.filter { $0.connection != nil }
      .map { GuardSet.Candidate(node: $0.name, weight: $0.decodeRate) }
    guards[answer.client].refresh(from: present, now: unixTime, using: &users)
    let count = 2 + Int(users.next() % 2)
    var names = guards[answer.client].envelope(
      count, preferring: nil, avoiding: avoiding, using: &users)
    if clients[answer.client] == .redraws { names = [nodes[0].name] }
    let session = sessions.count
    sessions.append(SimSession(answer: answer.id, part: part, wirePart: wirePart))
    recordTimes.append(now)
    if part >= 0 { answer.sessions[part] = session }
    guard !names.isEmpty else {
      sessions[session].failure = PartFailure(
        isRetriable: true, code: "no_machine", isWithoutCandidates: true,
        isReturning: isRecovering(answer.client))
      return queue.add(.bodyEnd(session: session, isBroken: false), at: now + .milliseconds(1))
    }
    queue.add(
      .envelope(
        session: session, client: answer.client, envelope(answer, session, wirePart, names)),
      at: arrival(after: now))
  }

  private func envelope(
    _ answer: SimAnswer, _ session: Int, _ wirePart: Int, _ names: [NodeID]
  ) -> [UInt8] {
    let body = SimBytes.Request(
      seed: answer.seed, promptTokens: answer.promptTokens, delivered: answer.delivered,
      answer: answer.id, part: wirePart)
    let padded =
      PaddedSize.holding(4 * (answer.promptTokens + answer.delivered)) ?? PaddedSize.minimum
    let routing = Routing(
      model: model, kind: .chat, paddedByteCount: padded, tokenClass: .upTo256,
      deadlineMilliseconds: 30_000, padding: .padded, answer: answer.id, part: wirePart)
    let nonce = SimBytes.digest(SimBytes.words([UInt64(session), plan.seed]))
    var bytes = EnvelopeHead(suite: .x25519, requestNonce: nonce, routing: routing).encoded
    bytes.append(UInt8(names.count))
    for name in names {
      let key = nodes.first { $0.name == name }?.key ?? KeyID(0)
      Candidate(
        node: name, key: key, encapsulatedKey: Self.wrap, wrappedKey: Self.wrap + Self.wrap[..<16]
      ).append(to: &bytes)
    }
    bytes += body.bytes
    bytes += [UInt8](repeating: 0, count: ChunkFraming.bodyByteCount(padded) - body.bytes.count)
    return bytes
  }

  /// Stands for HPKE's output, of its size.
  private static let wrap = [UInt8](repeating: 7, count: 32)

  /// Cancels a part: what had come before its task hears of it is still handed over.
  private func hangUp(_ session: Int) {
    guard sessions[session].isOpen, !sessions[session].isCancelled else { return }
    sessions[session].isCancelled = true
    queue.add(.stopReading(session: session), at: now + milliseconds(Double(network.next() % 20)))
    queue.add(.hangUp(session: session), at: arrival(after: now))
  }
}
