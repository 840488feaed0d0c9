package import BloomBase
package import BloomLedger

/// The durable ledger and the coordinator's tables: rules in memory, changes on disk by groups.
///
/// Commands are applied in memory at once and in order; whoever waits for durability first writes
/// everything that came by then in one transaction, and the next waiter the next. So there is one
/// fsync for a crowd and no row lock to convoy behind. Reads of balances and records come from
/// memory. Safe from any thread.
package final class LedgerStore: Sendable {
  /// Proof that a command was applied in memory; ``LedgerStore/durable(_:)`` waits for the disk.
  package struct Ticket: Sendable, Hashable {
    let number: UInt64
    /// What the command did.
    package let outcome: LedgerOutcome
  }

  let backend: any StoreBackend
  let clock: any TimeSource
  let core: Locked<StoreCore>
  let observer = Locked<(@Sendable (StoreError?) -> Void)?>(nil)

  /// Opens a store and takes the ledger over.
  ///
  /// - Parameters:
  ///   - backend: Where it is kept.
  ///   - clock: Dates entries.
  ///   - pendingLimit: Changes that may wait for the disk; more are refused as overloaded.
  /// - Returns: The open store.
  /// - Throws: ``StoreError`` when the backend cannot be read.
  package static func open(
    _ backend: any StoreBackend, clock: any TimeSource, pendingLimit: Int = 65536
  ) async throws -> LedgerStore {
    try await backend.takeOver()
    let snapshot = try await backend.load(now: clock.unixTime())
    return LedgerStore(backend, clock, StoreCore(snapshot, limit: pendingLimit))
  }

  private init(_ backend: any StoreBackend, _ clock: any TimeSource, _ core: StoreCore) {
    self.backend = backend
    self.clock = clock
    self.core = Locked(core)
  }

  // MARK: Money

  /// Applies a command and returns when it survives a power loss.
  ///
  /// - Parameter command: Safe to repeat after any error.
  /// - Returns: What it did.
  /// - Throws: ``LedgerError`` when the rules refuse it, ``StoreError`` when it was not kept.
  @discardableResult
  package func apply(_ command: LedgerCommand) async throws -> LedgerOutcome {
    try await durable(try submit(command))
  }

  /// Applies a command in memory only: microseconds, so that an answer need not wait for a disk.
  ///
  /// The caller must pass the ticket to ``durable(_:)`` before it tells anybody that money moved;
  /// a reservation may go on to its machine meanwhile.
  ///
  /// - Parameter command: Safe to repeat after any error.
  /// - Returns: The ticket to wait with.
  /// - Throws: ``LedgerError`` when the rules refuse it, ``StoreError`` when too much waits.
  package func submit(_ command: LedgerCommand) throws -> Ticket {
    let now = clock.unixTime()
    return try core.withLock { try $0.submit(command, now) }
  }

  /// Returns when a ticket's change survives a power loss.
  ///
  /// - Parameter ticket: From ``submit(_:)``.
  /// - Returns: What the command did; differs from the ticket's only after a failed group.
  /// - Throws: ``StoreError`` or ``LedgerError`` when the change was not kept.
  @discardableResult
  package func durable(_ ticket: Ticket) async throws -> LedgerOutcome {
    let outcome = try await wait(for: ticket.number)
    return outcome ?? ticket.outcome
  }

  /// Returns when everything that was applied before this call is durable or given up.
  ///
  /// A read of the backend has then whatever a read of memory told before. Asks nobody to wait for
  /// more than the group that is being written and the next one.
  package func catchUp() async {
    await reach(core.withLock { $0.newest })
  }

  /// What an account has now, changes that are not durable yet included.
  ///
  /// Never waits.
  package func balance(of account: AccountID) -> Balance {
    core.withLock { $0.ledger.balance(of: account) }
  }

  /// Reads the ledger's state under its lock; `body` must be short.
  package func read<Result: Sendable>(_ body: (borrowing Ledger) -> Result) -> Result {
    core.withLock { body($0.ledger) }
  }

  /// Closes open answers whose deadline has passed, by the receipts they have.
  ///
  /// - Throws: ``StoreError`` when the closings were not kept.
  /// - Returns: How many were closed.
  @discardableResult
  package func closeOverdue() async throws -> Int {
    let now = clock.unixTime()
    let overdue = read { $0.overdue(at: now) }
    var last: Ticket?
    for answer in overdue { last = try submit(.close(answer)) }
    if let last { try await durable(last) }
    return overdue.count
  }

  // MARK: Records

  /// Writes rows together or not at all, and returns when they survive a power loss.
  ///
  /// - Parameter changes: Conditions of cached kinds are checked; of receipts only `always` may be
  ///   asked.
  /// - Throws: ``StoreError`` with `conflict` when a condition does not hold.
  package func write(_ changes: [RecordChange]) async throws {
    let number = try core.withLock { try $0.submit(changes) }
    _ = try await wait(for: number)
  }

  /// Writes rows decided from the rows as they are; returns when they survive a power loss.
  ///
  /// Nobody else writes between the decision and the write: what counts rows before it adds one
  /// belongs here, where a condition on single rows cannot say it.
  ///
  /// - Parameter decide: Runs once under the store's lock: must be short and call nothing of the
  ///   store.
  /// - Throws: What `decide` throws, and as ``write(_:)``.
  package func write(deciding decide: (StoredRows) throws -> [RecordChange]) async throws {
    let number = try core.withLock { try $0.submit(deciding: decide) }
    _ = try await wait(for: number)
  }

  /// Queues rows without waiting: they are written with the next group that anybody waits for.
  ///
  /// - Parameter changes: As of ``write(_:)``.
  /// - Throws: ``StoreError`` with `conflict` when a condition does not hold, or when too much waits.
  package func submit(_ changes: [RecordChange]) throws {
    _ = try core.withLock { try $0.submit(changes) }
  }

  /// A row of a cached kind.
  ///
  /// Never waits.
  package func get<Value: StoredRecord>(_ type: Value.Type, _ id: String) -> Value? {
    invariant(Value.kind.isCached, "records of this kind are read with fetch")
    let record = core.withLock { $0.records[Record.Key(Value.kind, id)] }
    return record.flatMap { $0.value(of: type) }
  }

  /// All rows of a cached kind in order of their ids, or those of one group.
  ///
  /// Never waits.
  package func list<Value: StoredRecord>(_ type: Value.Type, group: String? = nil) -> [Value] {
    invariant(Value.kind.isCached, "records of this kind are read with fetch")
    return core.withLock { $0.records.list(Value.kind, group: group) }
      .compactMap { $0.value(of: type) }
  }

  /// A row of a kind that is not cached.
  ///
  /// - Throws: ``StoreError`` when the backend cannot be read.
  package func fetch<Value: StoredRecord>(_ type: Value.Type, _ id: String) async throws -> Value? {
    try await backend.record(Record.Key(Value.kind, id)).flatMap { $0.value(of: type) }
  }

  /// All rows of one group of a kind that is not cached, in order of their ids.
  ///
  /// - Throws: ``StoreError`` when the backend cannot be read.
  package func fetch<Value: StoredRecord>(_ type: Value.Type, group: String) async throws -> [Value]
  {
    try await backend.records(Value.kind, group: group)
      .sorted { $0.key.id < $1.key.id }.compactMap { $0.value(of: type) }
  }

  /// Deletes what expired before now, in memory and on disk.
  ///
  /// - Throws: ``StoreError`` when the deletion was not kept.
  package func deleteExpired() async throws {
    let now = clock.unixTime()
    let number = try core.withLock { try $0.expire(now) }
    _ = try await wait(for: number)
    try await backend.deleteExpired(before: now)
  }

  /// Waits for what is pending and closes the backend.
  package func close() async {
    core.withLock { $0.beginClosing() }
    // A failure reaches whoever waits for the change; closing goes on.
    await catchUp()
    await backend.close()
  }

  // MARK: Group commit

  private func wait(for number: UInt64) async throws -> LedgerOutcome? {
    await reach(number)
    return try core.withLock { try $0.result(of: number) }
  }

  /// Returns when a change is durable or given up; whose it is asks for its result.
  private func reach(_ number: UInt64) async {
    let turn = await withCheckedContinuation { continuation in
      let turn = core.withLock { $0.wait(for: number, continuation) }
      if let turn { continuation.resume(returning: turn) }
    }
    if case .lead = turn { await lead() }
  }

  /// Writes everything pending once, then passes the lead on.
  private func lead() async {
    let group = core.withLock { $0.takeGroup() }
    var failure: StoreError?
    do {
      if !group.changes.isEmpty { try await backend.commit(group.changes) }
    } catch {
      failure = StoreError(wrapping: error)
    }
    if let failure {
      await recover(failure)
    } else {
      resume(core.withLock { $0.finish(group) })
    }
  }

  func resume(_ wakes: [StoreCore.Wake]) {
    for wake in wakes { wake.continuation.resume(returning: wake.turn) }
  }
}
