internal import BloomBase

extension Ledger {
  mutating func bring(
    _ kind: EntryKind, from source: SystemAccount, to account: AccountID, _ amount: Micros,
    _ key: String, _ now: UnixTime
  ) throws(LedgerError) -> LedgerOutcome {
    try checkText(key)
    try checkAmount(amount)
    guard !SystemAccount.isReserved(account) else { throw .reservedAccount }
    if let known = try repeated(CommandKey(kind, key), account: account, amount: amount) {
      return known
    }
    var draft = Draft()
    draft.add(account, .credit, amount)
    draft.add(source.id, .credit, -amount)
    return .posted(sequence: try append(kind, draft, now, reference: key).sequence)
  }

  mutating func fundReplay(
    _ amount: Micros, _ key: String, _ now: UnixTime
  ) throws(LedgerError) -> LedgerOutcome {
    try checkText(key)
    try checkAmount(amount)
    let known = try repeated(CommandKey(.replayFunded, key), account: Names.replay, amount: amount)
    if let known { return known }
    var draft = Draft()
    draft.add(Names.replay, .credit, amount)
    draft.add(Names.fees, .credit, -amount)
    return .posted(sequence: try append(.replayFunded, draft, now, reference: key).sequence)
  }

  mutating func openDispute(
    _ request: DisputeRequest, _ now: UnixTime
  ) throws(LedgerError) -> LedgerOutcome {
    let id = DisputeID(sequence: request.sequence, part: request.line.part)
    let reference = "\(request.line.part)"
    if let known = entry(CommandKey(.hold, "\(request.sequence)/\(reference)")) { return known }
    guard request.sequence <= sequence, disputes[id] == nil, !request.line.isHeld,
      request.line.earned > .zero,
      request.settledAt.seconds + LedgerLimits.disputeSeconds >= now.seconds
    else { throw .notDisputable }
    let held = min(request.line.earned, balance(of: request.line.owner).earned)
    var draft = Draft()
    draft.add(request.line.owner, .earned, -held)
    draft.add(request.line.owner, .held, held)
    let made = try append(
      .hold, draft, now, reference: reference, relatesTo: request.sequence)
    let dispute = Dispute(
      sequence: request.sequence, payer: request.payer, line: request.line, held: held,
      openedAt: now)
    disputes[id] = dispute
    changes.disputes[id] = .some(dispute)
    return .posted(sequence: made.sequence)
  }

  mutating func resolve(
    _ id: DisputeID, refund: Bool, _ now: UnixTime
  ) throws(LedgerError) -> LedgerOutcome {
    let kind = refund ? EntryKind.refund : .holdReleased
    guard let dispute = disputes[id] else {
      guard let known = entry(CommandKey(kind, "\(id.sequence)/\(id.part)")) else {
        throw .unknownDispute
      }
      return known
    }
    let line = dispute.line
    var draft = Draft()
    draft.add(line.owner, .held, -dispute.held)
    if refund {
      // What the owner spent before the hold is the platform's loss, never the user's.
      draft.add(dispute.payer, .credit, line.gross)
      draft.add(Names.replay, .credit, line.replayPaid)
      draft.add(Names.fees, .credit, -line.fee)
      draft.add(Names.losses, .credit, -(line.earned - dispute.held))
    } else {
      draft.add(line.owner, .earned, dispute.held)
    }
    let made = try append(
      kind, draft, now, reference: "\(id.part)", relatesTo: id.sequence)
    disputes[id] = nil
    changes.disputes[id] = .some(nil)
    return .posted(sequence: made.sequence)
  }

  mutating func requestPayout(
    _ account: AccountID, _ amount: Micros, _ destination: String, _ key: String, _ now: UnixTime
  ) throws(LedgerError) -> LedgerOutcome {
    try checkText(key)
    try checkText(destination)
    try checkAmount(amount)
    guard !SystemAccount.isReserved(account) else { throw .reservedAccount }
    if let known = try repeated(CommandKey(.payoutRequested, key), account: account, amount: amount)
    {
      return known
    }
    guard amount >= policy.policy.minimumPayout else { throw .belowMinimumPayout }
    guard balance(of: account).earned >= amount else { throw .insufficientEarnings }
    var draft = Draft()
    draft.add(account, .earned, -amount)
    draft.add(account, .payout, amount)
    let made = try append(.payoutRequested, draft, now, reference: key)
    let payout = Payout(
      id: made.sequence, account: account, amount: amount, destination: destination,
      requestedAt: now)
    payouts[payout.id] = payout
    changes.payouts[payout.id] = payout
    return .posted(sequence: made.sequence)
  }

  mutating func finishPayout(
    _ id: Int64, _ state: Payout.State, _ now: UnixTime
  ) throws(LedgerError) -> LedgerOutcome {
    let kind: EntryKind
    let text: String
    switch state {
    case .requested: throw .unknownPayout
    case .confirmed(let reference): (kind, text) = (.payoutConfirmed, reference)
    case .rejected(let reason): (kind, text) = (.payoutRejected, reason)
    }
    try checkText(text)
    guard var payout = payouts[id] else {
      guard let known = entry(CommandKey(kind, "\(id)")) else { throw .unknownPayout }
      return known
    }
    var draft = Draft()
    draft.add(payout.account, .payout, -payout.amount)
    if kind == .payoutConfirmed {
      draft.add(Names.cash, .credit, payout.amount)
    } else {
      draft.add(payout.account, .earned, payout.amount)
    }
    let made = try append(kind, draft, now, reference: text, relatesTo: id)
    payout.state = state
    payouts[id] = nil
    changes.payouts[id] = payout
    return .posted(sequence: made.sequence)
  }

  mutating func adopt(
    _ signed: SignedPolicy, _ now: UnixTime
  ) throws(LedgerError) -> LedgerOutcome {
    if signed == policy { return .version(policy.policy.version) }
    guard signed.policy.isValid, signed.policy.version == policy.policy.version + 1 else {
      throw .badPolicy
    }
    policy = signed
    policies.append(AdoptedPolicy(signed, now))
    changes.policies.append(AdoptedPolicy(signed, now))
    return .version(signed.policy.version)
  }

  mutating func changePrice(
    _ change: PriceChange, _ now: UnixTime
  ) throws(LedgerError) -> LedgerOutcome {
    let version = PriceVersion(version: prices.version + 1, time: now, change: change)
    invariant(prices.append(version), "the next price version is always accepted")
    changes.prices.append(version)
    return .version(prices.version)
  }

  private func checkText(_ text: String) throws(LedgerError) {
    // A zero byte ends a text in PostgreSQL: the whole group would be refused for it.
    guard (1...LedgerLimits.text).contains(text.utf8.count), !text.utf8.contains(0) else {
      throw .badText
    }
  }

  private func checkAmount(_ amount: Micros) throws(LedgerError) {
    guard (1...LedgerLimits.amount).contains(amount.rawValue) else { throw .amountOutOfRange }
  }
}
