internal import BloomBase
internal import BloomLedger

/// The state behind a ``LedgerStore``'s lock: the ledger, what is not durable, and who waits.
///
/// Methods decide; the driver resumes continuations after it has let go of the lock.
struct StoreCore: Sendable {
  enum Turn: Sendable {
    /// The change is durable or has failed.
    case done
    /// Write the next group yourself.
    case lead
  }
  typealias Continuation = CheckedContinuation<Turn, Never>
  struct Wake: Sendable {
    let continuation: Continuation
    let turn: Turn
  }
  struct Item: Sendable {
    enum Work: Sendable {
      case command(LedgerCommand, UnixTime)
      case records([RecordChange])
      case expire(UnixTime)
    }
    let number: UInt64
    let work: Work

    /// Whether doing it again is safe when the first time was kept after all.
    ///
    /// Rows may have been asked for under a condition that the first time made false.
    var isRepeatable: Bool {
      switch work {
      case .command, .expire: true
      case .records: false
      }
    }
  }
  struct Group: Sendable {
    let changes: StoreChanges
    let last: UInt64
  }
  private enum Phase: Sendable {
    case idle
    case writing
    /// The backend is read again after a failed group.
    case recovering
    /// The backend cannot be read; it is asked again and again.
    case waiting(StoreError)
    /// Nothing can mend it while this process lives.
    case broken(StoreError)
  }

  private(set) var ledger: Ledger
  private(set) var records: RecordTable
  private var recordChanges: [Record.Key: Record?] = [:]
  private var phase = Phase.idle
  private(set) var isClosing = false
  private let limit: Int
  private var next: UInt64 = 1
  private var durable: UInt64 = 0
  /// Applied in memory, not durable.
  private var items: [Item] = []
  private var waiters: [(number: UInt64, continuation: Continuation)] = []
  /// What became of changes in recoveries, until it is asked for; the newest ``limit`` numbers and
  /// those of the last recovery.
  private var results: [UInt64: Result<LedgerOutcome?, any Error>] = [:]
  /// Changes that were given up together, one range for each time the backend was lost.
  private var lost: [(numbers: ClosedRange<UInt64>, error: StoreError)] = []

  /// Why nothing can be written; `nil` while it can.
  var trouble: StoreError? {
    switch phase {
    case .idle, .writing, .recovering: nil
    case .waiting(let error), .broken(let error): error
    }
  }

  init(_ snapshot: StoreSnapshot, limit: Int) {
    ledger = Ledger(snapshot.ledger)
    records = RecordTable(snapshot.records)
    self.limit = limit
  }

  // MARK: Submitting

  mutating func submit(_ command: LedgerCommand, _ now: UnixTime) throws -> LedgerStore.Ticket {
    try checkOpen()
    let outcome = try ledger.apply(command, at: now)
    return LedgerStore.Ticket(number: enqueue(.command(command, now)), outcome: outcome)
  }

  mutating func submit(_ changes: [RecordChange]) throws -> UInt64 {
    try checkOpen()
    guard changes.allSatisfy({ (1...128).contains($0.key.id.utf8.count) }) else {
      throw StoreError(.rejected, "a record's id is empty or longer than 128 bytes")
    }
    try write(changes)
    return enqueue(.records(changes))
  }

  mutating func submit(
    deciding decide: (StoredRows) throws -> [RecordChange]
  ) throws -> UInt64 {
    // A statement of its own: the view of the rows is gone before they change, so none are copied.
    let changes = try decide(StoredRows(records))
    return try submit(changes)
  }

  mutating func expire(_ now: UnixTime) throws -> UInt64 {
    try checkOpen()
    for key in records.expired(before: now) { set(key, nil) }
    return enqueue(.expire(now))
  }

  mutating func beginClosing() { isClosing = true }

  /// The number of the last change that was applied; 0 before the first.
  var newest: UInt64 { next - 1 }

  private func checkOpen() throws {
    switch phase {
    case .idle, .writing: break
    case .recovering: throw StoreError(.unavailable, "recovering from a failed write")
    case .waiting(let error), .broken(let error): throw error
    }
    guard !isClosing else { throw StoreError(.closed, "store") }
    guard items.count < limit else { throw StoreError(.overloaded, "\(limit) changes wait") }
  }

  private mutating func enqueue(_ work: Item.Work) -> UInt64 {
    let number = next
    next += 1
    items.append(Item(number: number, work: work))
    return number
  }

  private mutating func write(_ changes: [RecordChange]) throws {
    guard changes.allSatisfy(records.holds) else { throw StoreError(.conflict, "record") }
    for change in changes { set(change.key, change.record) }
  }

  private mutating func set(_ key: Record.Key, _ record: Record?) {
    if key.kind.isCached { records.set(key, record) }
    recordChanges[key] = .some(record)
  }

  // MARK: Waiting

  /// Whether the caller need not wait; otherwise its continuation is kept.
  mutating func wait(for number: UInt64, _ continuation: Continuation) -> Turn? {
    if number <= durable { return .done }
    if case .broken = phase { return .done }
    if case .idle = phase {
      phase = .writing
      return .lead
    }
    waiters.append((number, continuation))
    return nil
  }

  mutating func result(of number: UInt64) throws -> LedgerOutcome? {
    if let result = results.removeValue(forKey: number) { return try result.get() }
    if let failed = lost.last(where: { $0.numbers.contains(number) }) { throw failed.error }
    if number > durable, case .broken(let error) = phase { throw error }
    return nil
  }

  // MARK: Writing

  mutating func takeGroup() -> Group {
    Group(changes: takeChanges(), last: next - 1)
  }

  mutating func finish(_ group: Group) -> [Wake] {
    durable = group.last
    let written = items.firstIndex { $0.number > durable } ?? items.count
    items.removeFirst(written)
    return wakes()
  }

  /// Wakes all whose change is durable, and one of the others to lead.
  private mutating func wakes() -> [Wake] {
    var wakes: [Wake] = []
    var rest: [(number: UInt64, continuation: Continuation)] = []
    for waiter in waiters {
      if waiter.number <= durable {
        wakes.append(Wake(continuation: waiter.continuation, turn: .done))
      } else {
        rest.append(waiter)
      }
    }
    waiters = rest
    if waiters.isEmpty {
      phase = .idle
    } else {
      phase = .writing
      wakes.append(Wake(continuation: waiters.removeFirst().continuation, turn: .lead))
    }
    return wakes
  }

  private mutating func takeChanges() -> StoreChanges {
    var changes = StoreChanges()
    changes.ledger = ledger.takeChanges()
    changes.records = recordChanges
    recordChanges = [:]
    return changes
  }

  // MARK: Recovery

  /// Everything not durable: the failed group, and what was built upon it.
  mutating func beginRecovery() -> [Item] {
    phase = .recovering
    // Nobody awaits some tickets; those of so many changes ago are not awaited any more.
    let oldest = next > UInt64(limit) ? next - UInt64(limit) : 0
    results = results.filter { $0.key >= oldest }
    let lost = items
    items = []
    return lost
  }

  mutating func reset(to snapshot: StoreSnapshot) {
    ledger = Ledger(snapshot.ledger)
    records = RecordTable(snapshot.records)
    recordChanges = [:]
  }

  /// Applies an item again, alone; `nil` when the rules refuse it now.
  mutating func retry(_ item: Item) -> StoreChanges? {
    do {
      switch item.work {
      case .command(let command, let time):
        results[item.number] = .success(try ledger.apply(command, at: time))
      case .records(let changes):
        try write(changes)
        results[item.number] = .success(nil)
      case .expire(let now):
        for key in records.expired(before: now) { set(key, nil) }
        results[item.number] = .success(nil)
      }
      return takeChanges()
    } catch {
      results[item.number] = .failure(error)
      return nil
    }
  }

  mutating func fail(_ item: Item, _ error: StoreError) {
    results[item.number] = .failure(error)
  }

  /// Gives up what could not be repeated.
  mutating func lose(_ items: ArraySlice<Item>, _ error: StoreError) {
    guard let first = items.first, let last = items.last else { return }
    lost.append((first.number...last.number, error))
  }

  /// The backend was read again: changes are taken as before.
  mutating func endRecovery() -> [Wake] {
    durable = next - 1
    return wakes()
  }

  /// Everybody who waits hears what became of the change; nothing is taken until ``endOutage()``.
  mutating func beginOutage(_ error: StoreError) -> [Wake] {
    durable = next - 1
    phase = .waiting(error)
    return wakeAll()
  }

  /// The backend was read again after an outage, in which nothing was taken.
  mutating func endOutage() { phase = .idle }

  mutating func endForGood(_ error: StoreError) -> [Wake] {
    phase = .broken(error)
    return wakeAll()
  }

  private mutating func wakeAll() -> [Wake] {
    let wakes = waiters.map { Wake(continuation: $0.continuation, turn: .done) }
    waiters = []
    return wakes
  }
}
