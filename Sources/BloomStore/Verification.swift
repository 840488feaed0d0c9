internal import BloomBase
package import BloomLedger

extension StoreBackend {
  /// Recomputes every balance and every settlement from the entries and compares.
  ///
  /// For a store nobody writes to meanwhile: a stopped one, or a backup.
  ///
  /// - Returns: The audit; its findings are empty when all is right.
  /// - Throws: ``StoreError`` or ``PackedError`` when the store cannot be read.
  package func verify() async throws -> LedgerAudit {
    let snapshot = try await load(now: UnixTime(.max / 2))
    var audit = LedgerAudit(prices: snapshot.ledger.prices, policies: snapshot.ledger.policies)
    while true {
      let page = try await entries(after: audit.entryCount, limit: 10_000)
      let before = audit.entryCount
      for entry in page { audit.check(entry) }
      if page.isEmpty || audit.entryCount == before { break }
    }
    audit.finish(snapshot.ledger)
    return audit
  }
}
