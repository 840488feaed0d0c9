package import BloomBase
package import BloomLedger

/// What the relay needs of the ledger: every call is durable when it returns.
package protocol Books: Sendable {
  /// Sets the worst case of a new answer aside.
  ///
  /// - Throws: ``LedgerError`` when the account cannot cover it.
  func reserve(_ reservation: Reservation, now: UnixTime) async throws
  /// Lets an answer go on with another part.
  func admit(_ part: PartAdmission, now: UnixTime) async throws
  /// Notes a running receipt; returns what the user would pay were the answer closed now.
  func note(_ receipt: ReceiptFacts, now: UnixTime) async throws -> Micros
  /// Notes a last receipt and closes the answer when `closes`; returns what the user pays.
  func settle(_ receipt: ReceiptFacts, closes: Bool, now: UnixTime) async throws -> Micros
  /// Closes an answer that will not go on.
  func close(_ answer: AnswerID, now: UnixTime) async throws
}
