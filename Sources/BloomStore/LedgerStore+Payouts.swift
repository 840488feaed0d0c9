package import BloomBase
package import BloomLedger

extension LedgerStore {
  /// Payouts whatever became of them, newest first.
  ///
  /// - Parameters:
  ///   - account: Whose; `nil` for everybody's.
  ///   - limit: How many at most.
  /// - Returns: The payouts.
  /// - Throws: ``StoreError`` when the backend cannot be read.
  package func payouts(of account: AccountID?, limit: Int = 1_000) async throws -> [Payout] {
    await catchUp()
    return try await backend.payouts(of: account, limit: limit)
  }
}
