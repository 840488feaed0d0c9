package import BloomBase
package import BloomLedger

extension LedgerStore {
  /// One entry by its number, waited for when it is not durable yet; `nil` when it is not there.
  ///
  /// - Throws: ``StoreError`` when the backend cannot be read.
  package func entry(_ sequence: Int64) async throws -> Entry? {
    if let entry = try await durableEntry(sequence) { return entry }
    await catchUp()
    return try await durableEntry(sequence)
  }

  private func durableEntry(_ sequence: Int64) async throws -> Entry? {
    let entry = try await backend.entries(after: sequence - 1, limit: 1).first
    return entry?.sequence == sequence ? entry : nil
  }

  /// The entry that closed an answer of a payer, looked for around the time it ended.
  ///
  /// Looks into memory first, where closings of the last hours are, then reads the payer's entries
  /// of two days in pages.
  ///
  /// - Parameters:
  ///   - answer: The answer.
  ///   - payer: Who paid; entries of others are not found.
  ///   - ended: When its receipt says that it ended.
  /// - Returns: The settlement; `nil` when there is none.
  /// - Throws: ``StoreError`` when the backend cannot be read.
  package func settlement(
    of answer: AnswerID, payer: AccountID, ended: UnixTime
  ) async throws -> Entry? {
    if let known = read({ $0.closing(of: answer) }), let entry = try await entry(known) {
      return entry.settlement?.payer == payer ? entry : nil
    }
    // Clocks of machines differ a little, and an answer is closed hours after its end at most.
    let period = (ended + -3_600)..<(ended + 2 * 86_400)
    var last: Int64 = 0
    while true {
      let page = try await backend.entries(of: payer, in: period, after: last, limit: 5_000)
      if let found = page.first(where: {
        $0.answer == answer && $0.settlement?.payer == payer
      }) {
        return found
      }
      guard let newest = page.last?.sequence, newest > last else { return nil }
      last = newest
    }
  }

  /// What all owners together served on some days, by day and model; without naming any.
  ///
  /// - Throws: ``StoreError`` when the backend cannot be read.
  package func demand(days: ClosedRange<Int32>) async throws -> [DemandKey: Usage] {
    try await backend.demand(days: days)
  }
}
