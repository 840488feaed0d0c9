package import BloomBase
package import BloomLedger

/// Reads a stored ledger as of one moment, on the caller's thread.
package protocol StoreReading {
  /// Everything needed to go on; `now` decides what is recent.
  func snapshot(now: UnixTime) throws -> StoreSnapshot
  /// Entries numbered above `sequence`, in order.
  func entries(after sequence: Int64, limit: Int) throws -> [Entry]
  /// The receipts kept of the lines settled by entries of a range.
  func proofs(_ entries: ClosedRange<Int64>) throws -> [DisputeID: [UInt8]]
  /// An account's payouts, newest first; of every account when `nil`.
  func payouts(of account: AccountID?, limit: Int) throws -> [Payout]
  /// The days on which there was any usage, in order.
  func usageDays() throws -> [Int32]
  /// Everybody's usage of one day.
  func usage(on day: Int32) throws -> [UsageKey: Usage]
  /// Rows of a table in order of their ids, beginning after one; cached or not.
  func records(_ kind: RecordKind, after id: String, limit: Int) throws -> [Record]
}

extension StoreReading {
  /// Hands over the whole store as changes that make an empty one the same, in pieces that fit
  /// into memory.
  ///
  /// - Throws: What reading or `give` throws; then what was given is no whole store.
  package func pieces(_ give: (StoreChanges) throws -> Void) throws {
    var last: Int64 = 0
    while true {
      var piece = StoreChanges()
      piece.ledger.entries = try entries(after: last, limit: 5_000)
      guard let first = piece.ledger.entries.first?.sequence,
        let end = piece.ledger.entries.last?.sequence
      else { break }
      last = end
      piece.ledger.proofs = try proofs(first...end)
      try give(piece)
    }
    for day in try usageDays() {
      var piece = StoreChanges()
      piece.ledger.usage = try usage(on: day)
      try give(piece)
    }
    for kind in RecordKind.allCases {
      var id = ""
      while true {
        let page = try records(kind, after: id, limit: 5_000)
        guard let end = page.last?.key.id else { break }
        id = end
        var piece = StoreChanges()
        for record in page { piece.records[record.key] = record }
        try give(piece)
      }
    }
    try give(state())
  }

  private func state() throws -> StoreChanges {
    // In the far future no entry is recent, so that none is read a second time.
    let snapshot = try snapshot(now: UnixTime(Int64.max / 2)).ledger
    var piece = StoreChanges()
    piece.ledger.balances = snapshot.balances
    for answer in snapshot.answers { piece.ledger.answers[answer.id] = answer }
    for dispute in snapshot.disputes { piece.ledger.disputes[dispute.id] = dispute }
    for payout in try payouts(of: nil, limit: .max) { piece.ledger.payouts[payout.id] = payout }
    piece.ledger.policies = snapshot.policies
    piece.ledger.prices = snapshot.prices
    return piece
  }
}
