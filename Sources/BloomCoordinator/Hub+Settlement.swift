internal import BloomBase
internal import BloomCrypto
internal import BloomLedger
internal import BloomLink
internal import BloomNet
internal import BloomRecords
internal import BloomSchedule
internal import BloomStore
internal import BloomWire

extension Hub {
  private func admission(of request: SealedRequest) -> PartAdmission {
    let id = request.work.id
    let previous = RequestID(answer: id.answer, part: id.part - 1)
    return PartAdmission(
      answer: id.answer, part: Int(id.part), payer: request.reservation.payer,
      model: request.reservation.model,
      maxCompletionTokens: request.reservation.maxCompletionTokens,
      previousFailed: followable.contains(previous))
  }

  /// Takes a part into the books: of the first, the worst case is reserved.
  func admit(_ request: SealedRequest) throws -> LedgerStore.Ticket {
    guard request.work.id.part == 0 else {
      return try store.submit(.admitPart(admission(of: request)))
    }
    do {
      return try store.submit(.reserve(request.reservation))
    } catch let error as LedgerError where error == .insufficientCredit {
      guard closeEnds(of: request.reservation.payer) else { throw error }
      return try store.submit(.reserve(request.reservation))
    }
  }

  /// Closes what an account's gateways have not yet said to have: its money is needed.
  ///
  /// - Returns: Whether there was anything.
  func closeEnds(of payer: AccountID) -> Bool {
    let ends = store.read { ledger in books.takeEnds { ledger.answers[$0]?.payer == payer } }
    for answer in ends { closeBooks(answer) }
    return !ends.isEmpty
  }

  /// A running receipt: the ledger keeps the last valid one of each part.
  ///
  /// At most one a second is checked, the last that came by then: a machine that sends one for each
  /// chunk costs no more than others, and each takes back nothing that an earlier one said.
  func note(_ receipt: [UInt8], _ stream: StreamID, _ session: NodeSession) {
    guard let (_, attempt) = find(stream, session) else { return }
    attempt.unchecked = receipt
    if attempt.checkAt <= time.now() { checkRunning(stream, session) }
  }

  /// Checks the running receipts that have waited long enough.
  func checkRunning(of session: NodeSession, now: Instant) {
    for stream in Array(session.streams.keys) {
      guard let (_, attempt) = find(stream, session), attempt.unchecked != nil,
        attempt.checkAt <= now
      else { continue }
      checkRunning(stream, session)
    }
  }

  /// Checks a stream's last running receipt, if it was not yet: before the stream ends without a
  /// last one, above all.
  func checkRunning(_ stream: StreamID, _ session: NodeSession) {
    guard let (relay, attempt) = find(stream, session), let receipt = attempt.unchecked else {
      return
    }
    attempt.unchecked = nil
    attempt.checkAt = time.now() + .seconds(1)
    guard
      let (facts, _) = appraise(receipt, of: stream, session), isPayable(facts, relay)
    else { return }
    metrics.receipt(.noted)
    // A stale one changes nothing.
    if let ticket = try? store.submit(.receipt(facts)) { flushLater(ticket) }
  }

  /// A part's last receipt: booked once, acknowledged when it is durable.
  ///
  /// It closes nothing: who knows that the end has arrived is the gateway.
  func settle(_ receipt: [UInt8], _ stream: StreamID, _ session: NodeSession) {
    let digest = SHA256.digest(receipt)
    let appraised = appraise(receipt, of: stream, session)
    // What the machine said before a bad last receipt counts.
    if appraised == nil { checkRunning(stream, session) }
    let relay = session.streams.removeValue(forKey: stream)
    guard let (facts, isComplete) = appraised else {
      if let relay, let node = session.node { handle(.finished(relay.id, node, nil)) }
      // It will not get better: the agent may forget it.
      return perform(session.machine.stored(receipt: digest), of: session)
    }
    guard isPayable(facts, relay) else {
      metrics.receipt(.unbooked)
      if let relay { handle(.finished(relay.id, facts.node, nil)) }
      return perform(session.machine.stored(receipt: digest), of: session)
    }
    measure(facts, relay)
    relay?.settling += 1
    if let relay {
      // Until its gateway says that it has the end, the next part may begin: that end may be lost.
      followable.insert(relay.id)
      handle(
        .finished(
          relay.id, facts.node,
          WorkSummary(
            promptTokens: facts.basePromptTokens, completionTokens: facts.completionTokens)))
    }
    Task { await self.book(facts, bringsEnd: isComplete, relay, session.id) }
  }

  private func book(
    _ facts: ReceiptFacts, bringsEnd: Bool, _ relay: Relay?, _ sessionID: SessionID
  ) async {
    var cost: Micros?
    var isDurable = true
    let start = time.now()
    do {
      switch try await apply(.receipt(facts), relay) {
      case .noted(let paid), .alreadySettled(_, let paid):
        cost = paid
        metrics.receipt(.settled)
      case .reserved, .partAdmitted, .settled, .unchanged, .posted, .version: break
      }
      if bringsEnd { books.brought(toEnd: facts.answer, by: facts.digest) }
    } catch let error as LedgerError {
      metrics.receipt(.unbooked)
      log.warning("receipt not booked", ["reason": .error(error)])
    } catch {
      // The store failed, not the receipt: without an acknowledgement the agent sends it again.
      isDurable = false
      log.error("ledger store failed", ["reason": .error(error)])
    }
    metrics.settleTime.record(time.now() - start)
    if isDurable, let session = sessions[sessionID] {
      perform(session.machine.stored(receipt: facts.digest), of: session)
    }
    guard let relay else { return }
    if let cost {
      relay.sink.push(
        .settled(receipt: facts.digest, cost: cost), attempt: relay.attempts.last?.number ?? 0)
    }
    relay.settling -= 1
    finishWhenSettled(relay)
  }

  /// Applies a receipt's command, again when the database was lost meanwhile and is back within a
  /// minute: repeating it is safe.
  ///
  /// The reservation may have been of the group that was lost, so it is asked for again first.
  private func apply(_ command: LedgerCommand, _ relay: Relay?) async throws -> LedgerOutcome {
    let start = time.now()
    while true {
      do {
        return try await store.apply(command)
      } catch let error as StoreError where error.code == .unavailable {
        repeat {
          guard !isDraining, time.now() - start < .seconds(60) else { throw error }
          try await loop.sleep(for: .milliseconds(100))
        } while store.trouble != nil
        // An answer that is known, or was closed after all, is refused without any change.
        if let relay, relay.id.part == 0 {
          _ = try? store.submit(.reserve(relay.request.reservation))
        }
      }
    }
  }

  /// How fast the machine delivered, for public figures, and how many tokens.
  private func measure(_ facts: ReceiptFacts, _ relay: Relay?) {
    metrics.promptTokens.add(facts.basePromptTokens)
    metrics.completionTokens.add(facts.completionTokens)
    let attempt = relay?.attempts.last { $0.node == facts.node }
    guard let firstTokenAt = attempt?.firstTokenAt else { return }
    let now = time.now()
    figures.answered(
      facts.model, facts.node, tokens: facts.completionTokens, within: now - firstTokenAt, now: now)
  }

  /// What the ledger keeps of a receipt; who vouched for its key is kept once, beside it.
  private func proof(of receipt: Receipt, _ record: AppraisedRecord) -> [UInt8] {
    keepStatement(of: record)
    return ReceiptProof.bytes(receipt, statement: record.statementDigest)
  }

  private func keepStatement(of record: AppraisedRecord) {
    guard keptStatements.insert(record.statementDigest),
      let bytes = record.place.bytes,
      let row = ReceiptProof.statementRow(of: bytes, now: time.unixTime())
    else { return }
    do {
      try store.submit([.put(row)])
    } catch {
      // The settlement stands without it; verify tells which receipts cannot be proven.
      log.warning("statement not kept", ["reason": .error(error)])
    }
  }

  /// Tells the machines of a closed answer what each of their receipts brought.
  private func tellOwners(
    of sequence: Int64, _ paid: Micros, _ only: AnswerPart.Served?
  ) async {
    if let only {
      let fee = store.read { $0.policy.policy.fee(of: paid) }
      return tell(only.node, only.receipt, paid - fee)
    }
    // What cannot be read now stands in the owner's statement all the same.
    guard let lines = try? await store.entry(sequence)?.settlement?.lines else { return }
    for line in lines where line.earned > .zero { tell(line.node, line.receipt, line.earned) }
  }

  private func tell(_ node: NodeID, _ receipt: Digest, _ earned: Micros) {
    guard let session = sessionOfNode[node].flatMap({ sessions[$0] }) else { return }
    perform(session.machine.say(.settlement(receipt: receipt, earned: earned)), of: session)
  }

  /// Closes an answer: pays its parts by their receipts and releases the rest.
  func closeBooks(_ answer: AnswerID) {
    // The only receipt of an answer of one part: the books need not be read for it.
    let parts = store.read { $0.answers[answer]?.parts }
    let only = parts?.count == 1 ? parts?.first?.served : nil
    var ticket: LedgerStore.Ticket?
    do {
      ticket = try store.submit(.close(answer))
    } catch let error as StoreError where error.isCurable {
      // What it cost is not known before it is closed: neither the key's bound nor the pool's audit
      // may go on without.
      return books.postponed(answer, now: time.now())
    } catch {
      // It was closed long ago, or the books are closed for good: there is nothing to tell.
      ticket = nil
    }
    let pooled = poolAnswers.removeValue(forKey: answer)
    switch ticket?.outcome {
    case .settled(_, let paid, _), .alreadySettled(_, let paid): settleHold(answer, paid)
    default: settleHold(answer, .zero)
    }
    guard let ticket else {
      if pooled != nil { log.error("a pool's audit has a gap: an answer was not closed") }
      return
    }
    Task { await tellClosed(answer, ticket, only, pooled) }
  }

  /// Tells whose work a closed answer was.
  private func tellClosed(
    _ answer: AnswerID, _ ticket: LedgerStore.Ticket, _ only: AnswerPart.Served?,
    _ pooled: PoolAnswer?
  ) async {
    guard let outcome = try? await store.durable(ticket) else {
      // What is not durable was not closed: once more when the store is back, or by who starts next.
      poolAnswers[answer] = pooled
      return books.postponed(answer, now: time.now())
    }
    switch outcome {
    case .settled(let sequence, let paid, _):
      metrics.settledMicros.add(Int(paid.rawValue))
      if paid > .zero { await tellOwners(of: sequence, paid, only) }
      if let pooled { await noteAnswered(pooled, in: sequence) }
    case .alreadySettled(let sequence, _):
      if let pooled { await noteAnswered(pooled, in: sequence) }
    case .reserved, .partAdmitted, .noted, .unchanged, .posted, .version: break
    }
  }

  /// Checks a receipt against what was forwarded; one of an earlier link by its signature alone.
  private func appraise(
    _ bytes: [UInt8], of stream: StreamID, _ session: NodeSession
  ) -> (facts: ReceiptFacts, isComplete: Bool)? {
    guard let record = session.record, let owner = record.profile.owner else { return nil }
    do {
      let receipt: Receipt
      if let (_, attempt) = find(stream, session) {
        receipt = try attempt.chain.receive(bytes)
      } else {
        let claims = try Receipt(unverified: bytes).claims
        guard claims.node == session.node, let statement = session.statement,
          let keys = statement.workers.first(where: { $0.keyID == claims.key })
        else { return nil }
        receipt = try Receipt(verifying: bytes, key: keys.receiptKey)
      }
      var facts = facts(of: receipt, owner)
      facts.proof = proof(of: receipt, record)
      return (facts, Self.isComplete(receipt.claims.finish))
    } catch {
      metrics.receipt(.refused)
      log.warning("receipt refused", ["reason": .error(error)])
      if let node = session.node { handle(.nodeDisputed(node)) }
      return nil
    }
  }

  /// Whether a receipt is of the machine whose tokens were the answer.
  ///
  /// A part is paid once. The loser of a race, or a machine that knows an answer because it refused
  /// it, must not take the place of the one that served. Of a part that ran before this process
  /// started only the ledger knows.
  private func isPayable(_ facts: ReceiptFacts, _ relay: Relay?) -> Bool {
    let part = RequestID(answer: facts.answer, part: UInt16(clamping: facts.part))
    switch servedParts[part] {
    case .node(let server): return server == facts.node
    // Who computed until the client left is paid for the prompt, on the stream where it was asked.
    case .nobody: return relay?.attempts.last?.node == facts.node
    case nil: return relays[part] == nil
    }
  }

  /// Whether a part brought its answer to the end: nobody needs another.
  private static func isComplete(_ finish: FinishReason?) -> Bool {
    switch finish {
    case .stop, .length, .toolCalls: true
    case .cancelled, .handback, .failed, nil: false
    }
  }

  private func facts(of receipt: Receipt, _ owner: AccountID) -> ReceiptFacts {
    let claims = receipt.claims
    let isFinal: Bool
    switch claims.finish {
    case .stop, .length, .toolCalls, .cancelled: isFinal = true
    case .handback, .failed, nil: isFinal = false
    }
    return ReceiptFacts(
      digest: receipt.digest, node: claims.node, owner: owner, model: claims.model,
      answer: claims.answer, part: claims.part, basePromptTokens: claims.promptTokens,
      replayedTokens: claims.replayedTokens, completionTokens: claims.completionTokens,
      isFinal: isFinal, signedAt: claims.end)
  }
}
