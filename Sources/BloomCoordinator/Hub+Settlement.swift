internal import BloomBase
internal import BloomCrypto
internal import BloomLedger
internal import BloomSchedule
internal import BloomWire

extension Hub {
  func admission(of request: SealedRequest) -> PartAdmission {
    let id = request.work.id
    let previous = RequestID(answer: id.answer, part: id.part - 1)
    return PartAdmission(
      answer: id.answer, part: Int(id.part), payer: request.reservation.payer,
      model: request.reservation.model,
      maxCompletionTokens: request.reservation.maxCompletionTokens,
      previousFailed: failedParts.contains(previous))
  }

  /// A running receipt: the books keep the last valid one of each part.
  func note(_ receipt: [UInt8], _ stream: StreamID, _ session: NodeSession) {
    guard let id = session.streams[stream],
      let facts = appraise(receipt, session), facts.answer == id.answer,
      facts.part == Int(id.part)
    else { return }
    handle(.progressed(id, facts.node, tokens: facts.completionTokens))
    Task { [books, time] in
      _ = try? await books.note(facts, now: time.unixTime())  // a stale one changes nothing
    }
  }

  /// A last receipt: paid once, acknowledged when it is durable.
  func settle(_ receipt: [UInt8], _ stream: StreamID, _ session: NodeSession) {
    let id = session.streams.removeValue(forKey: stream)
    let digest = SHA256.digest(receipt)
    guard let facts = appraise(receipt, session) else {
      if let id, let node = session.node { handle(.finished(id, node, nil)) }
      perform(session.machine.stored(receipt: digest), of: session)
      return
    }
    let relay = id.flatMap { relays[$0] }
    relay?.settling += 1
    if let id {
      handle(
        .finished(
          id, facts.node,
          WorkSummary(
            promptTokens: facts.basePromptTokens, completionTokens: facts.completionTokens)))
    }
    Task { await self.book(facts, digest, relay?.id, session.id) }
  }

  private func book(
    _ facts: ReceiptFacts, _ digest: Digest, _ id: RequestID?, _ sessionID: SessionID
  ) async {
    var cost: Micros?
    var isDurable = true
    do {
      cost = try await books.settle(facts, closes: facts.isFinal, now: time.unixTime())
    } catch let error as LedgerError {
      log.warning("receipt not booked", ["reason": .code(error.publicDescription)])
    } catch {
      // The store failed, not the receipt: without an acknowledgement the agent sends it again.
      isDurable = false
      log.error("ledger store failed", ["reason": .code(error.safeDescription)])
    }
    if isDurable, let session = sessions[sessionID] {
      perform(session.machine.stored(receipt: digest), of: session)
    }
    guard let id, let relay = relays[id] else { return }
    if let cost {
      relay.sink.push(
        .settled(receipt: digest, cost: cost), attempt: relay.attempts.last?.number ?? 0)
    }
    relay.settling -= 1
    finishWhenSettled(relay)
  }

  func closeBooks(_ answer: AnswerID) {
    Task { [books, time] in
      try? await books.close(answer, now: time.unixTime())  // closed again by its deadline
    }
  }

  private func appraise(_ receipt: [UInt8], _ session: NodeSession) -> ReceiptFacts? {
    guard let record = session.record else { return nil }
    do {
      return try appraiser.appraise(receipt: receipt, of: record, now: time.unixTime())
    } catch {
      log.warning("receipt refused", ["reason": .code(error.safeDescription)])
      if let node = session.node { handle(.nodeDisputed(node)) }
      return nil
    }
  }
}
