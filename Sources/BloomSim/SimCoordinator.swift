internal import BloomBase
internal import BloomLedger
internal import BloomLink
internal import BloomSchedule
internal import BloomWire

/// The coordinator in the simulation: real scheduler, real ledger, real link machines.
struct SimCoordinator {
  struct Work {
    let session: Int
    let head: [UInt8]
    let body: [UInt8]
    let account: AccountID
    /// The only nodes it may go to.
    let allowed: Set<NodeID>
    var selected: NodeID?
    var attempt: UInt8 = 0
  }

  struct Arrival {
    let session: Int
    let request: WorkRequest
    let body: [UInt8]
  }

  struct Place: Hashable {
    let connection: Int
    let stream: StreamID
  }

  var scheduler: Scheduler
  var ledger: Ledger
  /// What the store holds: a crash goes back to it.
  var durable: Ledger
  var isDirty = false
  var isUp = true
  var links: [Int: CoordinatorLinkMachine] = [:]
  var connections: [NodeID: Int] = [:]
  var requests: [RequestID: Work] = [:]
  var placed: [Place: RequestID] = [:]
  var streams: [RequestID: [Place]] = [:]
  /// Reservations wait for the store before anything is dispatched.
  var arrivals: [Arrival] = []
  /// Acknowledgements wait for the store, too.
  var acknowledgements: [(connection: Int, receipt: Digest)] = []

  init(seed: UInt64, ledger: Ledger) {
    var limits = ScheduleLimits()
    limits.waitingPerAccount = 32
    limits.waiting = 128
    limits.acceptTimeout = .seconds(2)
    scheduler = Scheduler(limits: limits, seed: seed)
    self.ledger = ledger
    durable = ledger
  }
}
