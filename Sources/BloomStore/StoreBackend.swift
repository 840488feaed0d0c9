package import BloomBase
package import BloomLedger

/// What is written in one transaction.
package struct StoreChanges: Hashable, Sendable {
  /// The ledger's.
  package var ledger = ChangeSet()
  /// Rows written; `nil` for deleted ones.
  package var records: [Record.Key: Record?] = [:]

  /// No changes.
  package init() {}

  /// Whether there is nothing to write.
  package var isEmpty: Bool { ledger.isEmpty && records.isEmpty }
}

/// What a store needs to go on.
package struct StoreSnapshot: Hashable, Sendable {
  /// The ledger's.
  package var ledger = LedgerSnapshot()
  /// All rows of cached kinds.
  package var records: [Record] = []

  /// A new store.
  package init() {}
}

/// Names a day's answers of one model, whoever served them.
package struct DemandKey: Hashable, Sendable {
  /// Days since 1970-01-01, UTC.
  package let day: Int32
  /// The model.
  package let model: ModelID

  /// Creates a key.
  package init(day: Int32, model: ModelID) {
    self.day = day
    self.model = model
  }
}

/// Where a ``LedgerStore`` keeps its changes: memory, SQLite or PostgreSQL.
///
/// The rules are the ``Ledger``'s; a backend only writes and reads. One store writes to a backend
/// at a time, and the backend enforces it: a second process is refused or deposes the first.
package protocol StoreBackend: Sendable {
  /// Becomes the one writer; whoever was before is refused from now on.
  func takeOver() async throws
  /// Everything needed to go on; `now` decides what is recent. Changes nothing.
  func load(now: UnixTime) async throws -> StoreSnapshot
  /// Writes all or nothing, and returns when it survives a power loss.
  func commit(_ changes: StoreChanges) async throws
  /// Entries numbered above `sequence`, in order.
  func entries(after sequence: Int64, limit: Int) async throws -> [Entry]
  /// An account's entries in a half-open range of time and numbered above `sequence`, in order.
  ///
  /// Reservations are left out: they change nothing of what the account has.
  func entries(
    of account: AccountID, in period: Range<UnixTime>, after sequence: Int64, limit: Int
  ) async throws -> [Entry]
  /// Those of an account's entries that are neither reservations nor settlements.
  func movements(
    of account: AccountID, in period: Range<UnixTime>, after sequence: Int64, limit: Int
  ) async throws -> [Entry]
  /// The receipts kept of the lines settled by entries of a range, ``ReceiptFacts/proof``.
  func proofs(_ entries: ClosedRange<Int64>) async throws -> [DisputeID: [UInt8]]
  /// An account's usage of some days.
  func usage(of account: AccountID, days: ClosedRange<Int32>) async throws -> [UsageKey: Usage]
  /// What all owners together served on some days, by day and model.
  func demand(days: ClosedRange<Int32>) async throws -> [DemandKey: Usage]
  /// An account's payouts, newest first; of every account when `nil`.
  func payouts(of account: AccountID?, limit: Int) async throws -> [Payout]
  /// One row of a kind that is not cached.
  func record(_ key: Record.Key) async throws -> Record?
  /// Rows of a group of a kind that is not cached.
  func records(_ kind: RecordKind, group: String) async throws -> [Record]
  /// Deletes rows of kinds that are not cached and expired before a time, and the receipts of
  /// entries ``LedgerLimits/proofSeconds`` older than it.
  func deleteExpired(before time: UnixTime) async throws
  /// Lets go of files and connections; nothing may be called after it.
  func close() async
}
