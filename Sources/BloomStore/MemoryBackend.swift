package import BloomBase
package import BloomLedger

/// A backend that keeps everything in memory: for tests, which can have it fail.
package final class MemoryBackend: StoreBackend {
  private struct State: Sendable {
    var snapshot = StoreSnapshot()
    var entries: [Entry] = []
    var index: [AccountID: [Int]] = [:]
    var answers: [AnswerID: Answer] = [:]
    var disputes: [DisputeID: Dispute] = [:]
    var payouts: [Int64: Payout] = [:]
    var proofs: [DisputeID: [UInt8]] = [:]
    var usage: [UsageKey: Usage] = [:]
    var records: [Record.Key: Record] = [:]
    var failure: (@Sendable (StoreChanges) -> StoreError?)?
    var loadFailure: (@Sendable () -> StoreError?)?
  }
  private let state = Locked(State())

  /// An empty backend.
  package init() {}

  /// Makes commits fail for which `decide` returns an error; `nil` makes them succeed again.
  package func failCommits(_ decide: (@Sendable (StoreChanges) -> StoreError?)?) {
    state.withLock { $0.failure = decide }
  }

  /// Makes loads fail for which `decide` returns an error, as of a server that is gone.
  package func failLoads(_ decide: (@Sendable () -> StoreError?)?) {
    state.withLock { $0.loadFailure = decide }
  }

  package func takeOver() async throws {}

  package func load(now: UnixTime) async throws -> StoreSnapshot {
    if let failure = state.withLock({ $0.loadFailure?() }) { throw failure }
    return state.withLock { state in
      var snapshot = state.snapshot
      snapshot.ledger.answers = Array(state.answers.values)
      snapshot.ledger.disputes = Array(state.disputes.values)
      snapshot.ledger.payouts = state.payouts.values.filter { $0.state == .requested }
      let keys = now + -LedgerLimits.keySeconds
      let closed = now + -LedgerLimits.closedAnswerSeconds
      snapshot.ledger.recent = state.entries.filter {
        $0.time >= closed || $0.time >= keys && $0.kind != .reserve && $0.kind != .settle
      }
      snapshot.records = state.records.values.filter { $0.key.kind.isCached }
      return snapshot
    }
  }

  package func commit(_ changes: StoreChanges) async throws {
    let failure = state.withLock { state in
      if let failure = state.failure?(changes) { return failure as StoreError? }
      Self.write(changes, &state)
      return nil
    }
    if let failure { throw failure }
  }

  private static func write(_ changes: StoreChanges, _ state: inout State) {
    for entry in changes.ledger.entries {
      for account in entry.accounts {
        state.index[account, default: []].append(state.entries.count)
      }
      state.entries.append(entry)
      state.snapshot.ledger.sequence = entry.sequence
      state.snapshot.ledger.time = entry.time
    }
    state.snapshot.ledger.balances.merge(changes.ledger.balances) { $1 }
    state.snapshot.ledger.policies += changes.ledger.policies
    state.snapshot.ledger.prices += changes.ledger.prices
    for (id, answer) in changes.ledger.answers { state.answers[id] = answer }
    for (id, dispute) in changes.ledger.disputes { state.disputes[id] = dispute }
    for (id, payout) in changes.ledger.payouts { state.payouts[id] = payout }
    state.proofs.merge(changes.ledger.proofs) { $1 }
    for (key, usage) in changes.ledger.usage { state.usage[key, default: Usage()].add(usage) }
    for (key, record) in changes.records { state.records[key] = record }
  }

  package func entries(after sequence: Int64, limit: Int) async throws -> [Entry] {
    state.withLock { Array($0.entries.dropFirst(Int(max(0, sequence))).prefix(limit)) }
  }

  package func entries(
    of account: AccountID, in period: Range<UnixTime>, after sequence: Int64, limit: Int
  ) async throws -> [Entry] {
    Array(entries(of: account, in: period, after: sequence).prefix(limit))
  }

  package func movements(
    of account: AccountID, in period: Range<UnixTime>, after sequence: Int64, limit: Int
  ) async throws -> [Entry] {
    let entries = entries(of: account, in: period, after: sequence)
    return Array(entries.filter { $0.kind != .settle }.prefix(limit))
  }

  private func entries(
    of account: AccountID, in period: Range<UnixTime>, after sequence: Int64
  ) -> [Entry] {
    state.withLock { state in
      (state.index[account] ?? []).map { state.entries[$0] }.filter {
        $0.kind != .reserve && $0.sequence > sequence && period.contains($0.time)
      }
    }
  }

  package func proofs(_ entries: ClosedRange<Int64>) async throws -> [DisputeID: [UInt8]] {
    state.withLock { $0.proofs.filter { entries.contains($0.key.sequence) } }
  }

  package func usage(
    of account: AccountID, days: ClosedRange<Int32>
  ) async throws -> [UsageKey: Usage] {
    state.withLock { $0.usage.filter { $0.key.account == account && days.contains($0.key.day) } }
  }

  package func demand(days: ClosedRange<Int32>) async throws -> [DemandKey: Usage] {
    state.withLock { state in
      state.usage.reduce(into: [:]) { sums, row in
        guard row.key.role == .owner, days.contains(row.key.day) else { return }
        sums[DemandKey(day: row.key.day, model: row.key.model), default: Usage()].add(row.value)
      }
    }
  }

  package func payouts(of account: AccountID?, limit: Int) async throws -> [Payout] {
    state.withLock { state in
      let matching = state.payouts.values.filter { account == nil || $0.account == account }
      return Array(matching.sorted { $0.id > $1.id }.prefix(limit))
    }
  }

  package func record(_ key: Record.Key) async throws -> Record? {
    state.withLock { $0.records[key] }
  }

  package func records(_ kind: RecordKind, group: String) async throws -> [Record] {
    state.withLock { state in
      state.records.values.filter { $0.key.kind == kind && $0.group == group }
        .sorted { $0.key.id < $1.key.id }
    }
  }

  package func deleteExpired(before time: UnixTime) async throws {
    state.withLock { state in
      state.records = state.records.filter { !($0.value.expires.map { $0 < time } ?? false) }
      let old = time + -LedgerLimits.proofSeconds
      let first = state.entries.first { $0.time >= old }?.sequence ?? .max
      state.proofs = state.proofs.filter { $0.key.sequence >= first }
    }
  }

  package func close() async {}
}
