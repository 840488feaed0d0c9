internal import BloomBase
internal import BloomLedger
internal import BloomSchedule
internal import BloomStore
internal import BloomWire

/// What a gateway says of a part's receipt, beside what was settled.
struct Acknowledgement: Equatable, Sendable {
  /// The answer.
  var answer: AnswerID
  /// The part, as its receipt names it.
  var part: Int
  /// The last receipt the gateway verified.
  var receipt: Digest
  /// Whether receipt and settlement are what the gateway counted itself.
  var isRight: Bool

  /// Reads `{"answer", "part", "receipt", "verdict": "ok" | "mismatch"}`; `nil` for anything else.
  init?(_ bytes: [UInt8]) {
    guard let value = try? JSONValue(decoding: bytes),
      let answer = value["answer"]?.string.flatMap({ Hex.decode($0) }).flatMap({ AnswerID($0) }),
      let part = value["part"]?.integer, (0...15).contains(part),
      let receipt = value["receipt"]?.string.flatMap({ Hex.decode($0) }).flatMap({ Digest($0) })
    else { return nil }
    switch value["verdict"]?.string {
    case "ok": isRight = true
    case "mismatch": isRight = false
    default: return nil
    }
    self.answer = answer
    self.part = Int(part)
    self.receipt = receipt
  }
}

extension Hub {
  /// Compares what a gateway acknowledges with the books; a difference holds the owner's share.
  ///
  /// Whoever has the part that brought an answer to its end needs no other: the answer is closed.
  ///
  /// - Returns: `agreed` when it is what was booked, `noted` when there is nothing to compare yet,
  ///   `held` when the owner's share waits for a decision, `unknown` when the account paid no such
  ///   part.
  /// - Throws: `StoreError` when the books cannot be read or written.
  func acknowledge(
    _ ack: Acknowledgement, by payer: AccountID
  ) async throws -> CoordinatorMetrics.AckOutcome {
    let outcome = try await compare(ack, payer)
    metrics.ack(outcome)
    return outcome
  }

  private func compare(
    _ ack: Acknowledgement, _ payer: AccountID
  ) async throws -> CoordinatorMetrics.AckOutcome {
    if let open = store.read({ $0.answers[ack.answer] }) {
      guard open.payer == payer, open.parts.indices.contains(ack.part) else { return .unknown }
      let served = open.parts[ack.part].served
      if ack.isRight {
        guard served?.receipt == ack.receipt else { return .noted }
        if books.takeEnd(of: ack.answer, ack.receipt) { closeBooks(ack.answer) }
        return .agreed
      }
      try await store.apply(.reportMismatch(ack.answer, part: ack.part))
      if let served { question(served.node, payer) }
      return .held
    }
    guard let sequence = closing(of: ack.answer), let entry = try await store.entry(sequence),
      let record = entry.settlement, record.payer == payer,
      let line = record.lines.first(where: { $0.part == ack.part })
    else { return .unknown }
    if ack.isRight, line.receipt == ack.receipt { return .agreed }
    // An earlier receipt of the same part: the gateway left before the last one came.
    if ack.isRight { return .noted }
    guard !line.isHeld else { return .held }
    do {
      try await store.openDispute(sequence: sequence, part: ack.part, payer: payer)
    } catch LedgerError.notDisputable {
      return .noted  // free of charge, or too long ago
    }
    question(line.node, payer)
    return .held
  }

  /// The entry that closed an answer; `nil` when it is not known any more.
  private func closing(of answer: AnswerID) -> Int64? {
    store.read { $0.closing(of: answer) }
  }

  private func question(_ node: NodeID, _ payer: AccountID) {
    guard questioned.insert(payer, node, at: time.unixTime()) else { return }
    handle(.nodeDisputed(node))
  }
}
