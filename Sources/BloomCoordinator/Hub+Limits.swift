internal import BloomBase
internal import BloomLink
internal import BloomRecords
internal import BloomSchedule
internal import BloomLedger
internal import BloomStore
internal import BloomWire

/// What is set aside of a key's bound on money while an answer runs.
struct KeyHold: Sendable {
  let key: Digest
  let amount: Micros
}

extension Hub {
  /// Throws when a key begins answers faster than it may; continued ones are not counted.
  func checkPace(of request: SealedRequest) throws(RelayRefusal) {
    guard request.work.id.part == 0, let key = request.key,
      let bound = key.limits.requestsPerMinute,
      let wait = keyRates.wait(key.hash, perMinute: bound, now: time.now())
    else { return }
    throw RelayRefusal(reason: .rateLimited, retryAfter: wait)
  }

  /// Counts an answer that was taken up: what was refused costs nothing.
  func countPace(of request: SealedRequest) {
    guard request.work.id.part == 0, let key = request.key,
      let bound = key.limits.requestsPerMinute
    else { return }
    keyRates.take(key.hash, perMinute: bound, now: time.now())
  }

  /// Throws when a machine of the envelope serves only pools and the request names none.
  func checkPrivacy(of request: SealedRequest) throws(RelayRefusal) {
    guard request.work.constraints.pool == nil else { return }
    for candidate in request.prefix.candidates {
      guard let session = sessionOfNode[candidate.node].flatMap({ sessions[$0] }),
        session.record?.membership.isPrivate == true
      else { continue }
      throw RelayRefusal(reason: .notAllowed, retryAfter: nil)
    }
  }

  /// Sets an answer's worst case aside from its key's bound on money.
  ///
  /// - Throws: `spendLimit` when it does not fit; the reservation is given back.
  func hold(_ request: SealedRequest, _ outcome: LedgerOutcome) throws {
    let answer = request.work.id.answer
    guard let key = request.key, key.limits.limitsSpend, keyHolds[answer] == nil,
      case .reserved(let worst) = outcome
    else { return }
    var row = currentSpend(of: key.hash)
    if !KeySpend.covers(key.limits, row, worst: worst), closeEnds(of: request.reservation.payer) {
      row = currentSpend(of: key.hash)
    }
    guard KeySpend.covers(key.limits, row, worst: worst) else {
      _ = try? store.submit(.close(answer))  // its deadline closes it otherwise
      throw RelayRefusal(reason: .spendLimit, retryAfter: nil)
    }
    row.pending = row.pending + worst
    do {
      try store.submit([.put(row)])
    } catch {
      _ = try? store.submit(.close(answer))  // as above
      throw error
    }
    keyHolds[answer] = KeyHold(key: key.hash, amount: worst)
  }

  /// An answer is closed: what it cost counts, the rest is free again.
  func settleHold(_ answer: AnswerID, _ paid: Micros) {
    guard let hold = keyHolds.removeValue(forKey: answer) else { return }
    var row = currentSpend(of: hold.key)
    row.pending = max(.zero, row.pending - hold.amount)
    row.daySpent = row.daySpent + paid
    row.monthSpent = row.monthSpent + paid
    do {
      try store.submit([.put(row)])
    } catch {
      // The hold stays in the row: it counts as spent, which errs on the owner's side.
      log.error("a key's spending was not kept", ["reason": .error(error)])
    }
  }

  /// What was set aside when the last process ended counts as spent: nobody knows better.
  package func recoverSpending() throws {
    let rows = store.list(KeySpendRecord.self).filter { $0.pending > .zero }
    guard !rows.isEmpty else { return }
    try store.submit(rows.map { .put(KeySpend.recovered($0)) })
  }

  /// A refusal that says more where the reason is an empty pool.
  func explained(_ refusal: RelayRefusal, _ request: SealedRequest) -> RelayRefusal {
    guard let pool = request.work.constraints.pool, refusal.reason == .staleKey,
      !sessions.values.contains(where: { $0.record?.profile.pools.contains(pool) == true })
    else { return refusal }
    return RelayRefusal(reason: .poolEmpty, retryAfter: .seconds(5))
  }

  private func currentSpend(of key: Digest) -> KeySpendRecord {
    KeySpend.current(store.get(KeySpendRecord.self, key.hex), key, time.unixTime())
  }
}
