internal import BloomBase

extension Ledger {
  mutating func reserve(
    _ terms: Reservation, _ now: UnixTime
  ) throws(LedgerError) -> LedgerOutcome {
    let range = 0...LedgerLimits.tokens
    guard range.contains(terms.maxPromptTokens), range.contains(terms.maxCompletionTokens) else {
      throw .amountOutOfRange
    }
    guard !SystemAccount.isReserved(terms.payer) else { throw .reservedAccount }
    if let known = answers[terms.answer] {
      guard known.payer == terms.payer, known.model == terms.model, known.kind == terms.kind,
        known.maxPromptTokens == terms.maxPromptTokens,
        known.maxCompletionTokens == terms.maxCompletionTokens
      else { throw .answerExists }
      return .reserved(known.reserved)
    }
    guard closed[terms.answer] == nil else { throw .answerClosed }

    let key = PriceKey(terms.model, terms.kind)
    let list = prices.listPrice(key, version: prices.version)
    let highest = list.scaled(perMille: policy.policy.overrideMaxPerMille)
    let ceiling = terms.ceiling?.capped(by: highest) ?? highest
    let worst = ceiling.worstCase(
      promptTokens: terms.maxPromptTokens, completionTokens: terms.maxCompletionTokens)
    let balance = balance(of: terms.payer)
    guard balance.available >= worst else { throw .insufficientCredit }

    // Credit first: what was earned stays available for a payout as long as possible.
    let fromCredit = min(balance.credit, worst)
    let answer = Answer(
      id: terms.answer, payer: terms.payer, model: terms.model, kind: terms.kind,
      maxPromptTokens: terms.maxPromptTokens, maxCompletionTokens: terms.maxCompletionTokens,
      ceiling: ceiling, priceVersion: prices.version, fromCredit: fromCredit,
      fromEarned: worst - fromCredit, openedAt: now, deadline: terms.deadline,
      parts: [AnswerPart()])
    if worst > .zero {
      var draft = Draft()
      draft.add(terms.payer, .credit, -fromCredit)
      draft.add(terms.payer, .earned, -(worst - fromCredit))
      draft.add(terms.payer, .reserved, worst)
      _ = try append(.reserve, draft, now, answer: terms.answer)
    }
    keep(answer)
    return .reserved(worst)
  }

  mutating func admit(_ terms: PartAdmission) throws(LedgerError) -> LedgerOutcome {
    guard var answer = answers[terms.answer] else {
      throw closed[terms.answer] == nil ? .unknownAnswer : .answerClosed
    }
    guard answer.payer == terms.payer, answer.model == terms.model,
      answer.maxCompletionTokens == terms.maxCompletionTokens
    else { throw .termsDiffer }
    // Repeated after a lost reply: the part is there and nothing has come of it yet.
    if terms.part == answer.parts.count - 1, terms.part > 0, answer.parts[terms.part].served == nil
    {
      return .partAdmitted
    }
    guard terms.part >= answer.parts.count else { throw .partExists }
    guard terms.part == answer.parts.count, terms.part < LedgerLimits.parts else {
      throw .partOutOfOrder
    }
    guard terms.previousFailed else { throw .previousPartHealthy }
    answer.parts.append(AnswerPart())
    keep(answer)
    return .partAdmitted
  }

  mutating func note(_ facts: ReceiptFacts, _ now: UnixTime) throws(LedgerError) -> LedgerOutcome {
    guard let answer = answers[facts.answer] else {
      guard let done = closed[facts.answer] else { throw .unknownAnswer }
      return .alreadySettled(sequence: done.sequence, paid: done.paid)
    }
    guard let updated = try answer.noting(facts, now) else { return .unchanged }
    keep(updated)
    return .noted(micros: lines(of: updated, now).reduce(.zero) { $0 + $1.gross })
  }

  mutating func close(_ id: AnswerID, _ now: UnixTime) throws(LedgerError) -> LedgerOutcome {
    guard let answer = answers[id] else {
      guard let done = closed[id] else { throw .unknownAnswer }
      return .alreadySettled(sequence: done.sequence, paid: done.paid)
    }
    return try close(answer, now)
  }

  mutating func reportMismatch(
    _ id: AnswerID, _ part: Int
  ) throws(LedgerError) -> LedgerOutcome {
    guard var answer = answers[id] else { throw .unknownAnswer }
    guard answer.parts.indices.contains(part) else { throw .unknownPart }
    guard !answer.parts[part].isMismatched else { return .unchanged }
    answer.parts[part].isMismatched = true
    keep(answer)
    return .unchanged
  }

  private mutating func keep(_ answer: Answer) {
    answers[answer.id] = answer
    changes.answers[answer.id] = .some(answer)
  }

  /// Pays every part by its last receipt and releases the rest, in one entry.
  private mutating func close(_ answer: Answer, _ now: UnixTime) throws(LedgerError)
    -> LedgerOutcome
  {
    let record = SettlementRecord(
      payer: answer.payer, model: answer.model, kind: answer.kind,
      priceVersion: answer.priceVersion, policyVersion: policy.policy.version,
      reserved: answer.reserved, lines: lines(of: answer, now))
    invariant(record.released >= .zero, "an answer would cost more than was reserved")

    let fromCredit = min(answer.fromCredit, record.gross)
    var draft = Draft()
    draft.add(answer.payer, .reserved, -answer.reserved)
    draft.add(answer.payer, .credit, answer.fromCredit - fromCredit)
    draft.add(answer.payer, .earned, answer.fromEarned - (record.gross - fromCredit))
    var fees = Micros.zero
    var pool = Micros.zero
    for line in record.lines {
      draft.add(line.owner, line.isHeld ? .held : .earned, line.earned)
      fees += line.fee - line.poolShare
      pool += line.poolShare - line.replayPaid
    }
    draft.add(Names.fees, .credit, fees)
    draft.add(Names.replay, .credit, pool)
    let entry = try append(.settle, draft, now, answer: answer.id, settlement: record)

    answers[answer.id] = nil
    changes.answers[answer.id] = .some(nil)
    closed.insert(answer.id, entry: entry, paid: record.gross)
    replaySpent.add(record.lines.reduce(.zero) { $0 + $1.replayPaid }, at: now)
    for line in record.lines where line.isHeld {
      let dispute = Dispute(
        sequence: entry.sequence, payer: answer.payer, line: line, held: line.earned,
        openedAt: now)
      disputes[dispute.id] = dispute
      changes.disputes[dispute.id] = .some(dispute)
    }
    for (number, part) in answer.parts.enumerated() {
      guard let proof = part.served?.proof, !proof.isEmpty else { continue }
      changes.proofs[DisputeID(sequence: entry.sequence, part: number)] = proof
    }
    count(record, now)
    return .settled(sequence: entry.sequence, paid: record.gross, released: record.released)
  }

  private func lines(of answer: Answer, _ now: UnixTime) -> [SettlementLine] {
    let left = policy.policy.replayPerDay - replaySpent.value(at: now)
    let budget = max(.zero, min(left, balance(of: Names.replay).credit))
    return answer.lines(prices: prices, policy: policy.policy, replayBudget: budget)
  }

  private mutating func count(_ record: SettlementRecord, _ now: UnixTime) {
    let day = Int32(now.seconds / 86400)
    var asked = Usage()
    asked.answers = 1
    for line in record.lines {
      var served = Usage()
      served.answers = 1
      served.promptTokens = Int64(line.promptTokens)
      served.completionTokens = Int64(line.completionTokens)
      served.replayedTokens = Int64(line.replayedTokens + line.duplicateTokens)
      served.gross = line.gross
      served.fee = line.fee
      served.replayPaid = line.replayPaid
      let key = UsageKey(
        day: day, account: line.owner, role: .owner, node: line.node, model: record.model)
      changes.usage[key, default: Usage()].add(served)
      asked.promptTokens += served.promptTokens
      asked.completionTokens += served.completionTokens
      asked.gross += served.gross
      asked.fee += served.fee
    }
    let key = UsageKey(day: day, account: record.payer, role: .user, node: nil, model: record.model)
    changes.usage[key, default: Usage()].add(asked)
  }
}
