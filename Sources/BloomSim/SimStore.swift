internal import BloomBase
internal import BloomLedger
internal import BloomStore

/// What the coordinator wrote: the store's own SQLite file, or a copy in memory for quick runs.
struct SimStore {
  private let path: String?
  private var session: SQLiteSession?
  private var memory = Ledger()
  private let mints: Bool

  init(_ path: String?, mints: Bool) throws {
    self.path = path
    self.mints = mints
    if let path { session = try SQLiteSession(path: path) }
  }

  /// Writes a group.
  mutating func commit(_ changes: ChangeSet, of ledger: Ledger) throws {
    guard let session else { return memory = ledger }
    try session.commit(stored(changes))
  }

  /// The process is killed: before a group was begun, within it, or after its end.
  mutating func kill(_ changes: ChangeSet, of ledger: Ledger, point: Int) throws {
    guard let session else {
      if point == 2 { memory = ledger }
      return
    }
    switch point {
    case 0: break
    case 1: try session.begin(stored(changes))
    default: try session.commit(stored(changes))
    }
    self.session = nil
  }

  /// Reads what was written, as a new process.
  mutating func recover(at time: UnixTime) throws -> Ledger {
    guard let path else { return memory }
    let opened = try SQLiteSession(path: path)
    session = opened
    return Ledger(try opened.load(now: time).ledger)
  }

  private func stored(_ changes: ChangeSet) -> StoreChanges {
    var written = StoreChanges()
    written.ledger = changes
    if mints, let account = changes.balances.keys.min() {
      written.ledger.balances[account]?.credit = (changes.balances[account]?.credit ?? .zero) + Micros(1)
    }
    return written
  }
}
