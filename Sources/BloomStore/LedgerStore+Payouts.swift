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
    try await backend.payouts(of: account, limit: limit)
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
}
