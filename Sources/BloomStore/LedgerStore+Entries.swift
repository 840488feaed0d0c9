internal import BloomBase
package import BloomLedger

extension LedgerStore {
  /// One entry by its number; `nil` when it is not there, or not durable yet.
  ///
  /// - Throws: ``StoreError`` when the backend cannot be read.
  package func entry(_ sequence: Int64) async throws -> Entry? {
    let entry = try await backend.entries(after: sequence - 1, limit: 1).first
    return entry?.sequence == sequence ? entry : nil
  }

  /// What all owners together served on some days, by day and model; without naming any.
  ///
  /// - Throws: ``StoreError`` when the backend cannot be read.
  package func demand(days: ClosedRange<Int32>) async throws -> [DemandKey: Usage] {
    try await backend.demand(days: days)
  }
}
