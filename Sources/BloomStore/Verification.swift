package import BloomBase
package import BloomLedger

/// What is wrong with the receipt kept of a settled line; `nil` when it bears the line out.
package typealias ReceiptObjection =
  @Sendable (_ line: SettlementLine, _ answer: AnswerID, _ proof: [UInt8]) -> String?

extension StoreBackend {
  /// Recomputes every balance and every settlement from the entries, and compares.
  ///
  /// For a store nobody writes to meanwhile: a stopped one, or a backup.
  ///
  /// - Parameter objection: Verifies a receipt that was kept and compares it with its line;
  ///   `nil` leaves receipts out.
  /// - Returns: The audit; its findings are empty when all is right.
  /// - Throws: ``StoreError`` or ``PackedError`` when the store cannot be read.
  package func verify(receipts objection: ReceiptObjection? = nil) async throws -> LedgerAudit {
    let snapshot = try await load(now: UnixTime(.max / 2))
    var audit = LedgerAudit(prices: snapshot.ledger.prices, policies: snapshot.ledger.policies)
    var last: Int64 = 0
    while true {
      let page = try await entries(after: last, limit: 10_000)
      guard let first = page.first, let end = page.last, end.sequence > last else { break }
      for entry in page { audit.check(entry) }
      if let objection {
        let proofs = try await proofs(first.sequence...end.sequence)
        for entry in page where entry.kind == .settle {
          let lines = entry.settlement?.lines ?? []
          let own = lines.compactMap { line in
            proofs[DisputeID(sequence: entry.sequence, part: line.part)].map { (line.part, $0) }
          }
          audit.check(Dictionary(own) { $1 }, of: entry, objection)
        }
      }
      last = end.sequence
    }
    audit.finish(snapshot.ledger)
    return audit
  }
}
