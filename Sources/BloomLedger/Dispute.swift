package import BloomBase

/// A question about one settled line that is not answered yet.
package struct Dispute: Hashable, Sendable {
  /// The settlement's entry.
  package var sequence: Int64
  /// Who paid.
  package var payer: AccountID
  /// What is questioned.
  package var line: SettlementLine
  /// How much of ``SettlementLine/earned`` could be held: the owner may have spent some.
  package var held: Micros
  /// Since when.
  package var openedAt: UnixTime

  /// Creates a dispute.
  package init(
    sequence: Int64, payer: AccountID, line: SettlementLine, held: Micros, openedAt: UnixTime
  ) {
    self.sequence = sequence
    self.payer = payer
    self.line = line
    self.held = held
    self.openedAt = openedAt
  }

  /// Its name.
  package var id: DisputeID { DisputeID(sequence: sequence, part: line.part) }
}

/// Names a settled line, and a dispute about it: the settlement's entry and the part.
package struct DisputeID: Hashable, Sendable {
  /// The settlement's entry.
  package let sequence: Int64
  /// The part.
  package let part: Int

  /// Creates a name.
  package init(sequence: Int64, part: Int) {
    self.sequence = sequence
    self.part = part
  }

  /// One number for both, in the order of entries; stores keep receipts by it.
  package var number: Int64 { sequence * Int64(LedgerLimits.parts) + Int64(part) }

  /// The numbers of all lines of a range of entries.
  package static func numbers(_ entries: ClosedRange<Int64>) -> Range<Int64> {
    let parts = Int64(LedgerLimits.parts)
    return entries.lowerBound * parts..<(entries.upperBound + 1) * parts
  }

  /// Reads ``number``.
  package init(number: Int64) {
    let parts = Int64(LedgerLimits.parts)
    self.init(sequence: number / parts, part: Int(number % parts))
  }
}

/// Money an owner asked for.
package struct Payout: Hashable, Sendable {
  /// How far it is.
  package enum State: Hashable, Sendable {
    /// Waits for the rail.
    case requested
    /// Sent; the text is the rail's own reference.
    case confirmed(String)
    /// Not sent; the text says why.
    case rejected(String)
  }

  /// The entry that requested it; names it from then on.
  package var id: Int64
  /// Whose.
  package var account: AccountID
  /// How much.
  package var amount: Micros
  /// Where to, in the rail's words.
  package var destination: String
  /// Since when.
  package var requestedAt: UnixTime
  /// How far it is.
  package var state: State

  /// Creates a payout.
  package init(
    id: Int64, account: AccountID, amount: Micros, destination: String, requestedAt: UnixTime,
    state: State = .requested
  ) {
    self.id = id
    self.account = account
    self.amount = amount
    self.destination = destination
    self.requestedAt = requestedAt
    self.state = state
  }
}
