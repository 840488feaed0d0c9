internal import BloomBase
internal import BloomCoordinator
internal import BloomLedger
internal import BloomLink
internal import BloomSchedule
internal import BloomWire

/// The coordinator's memory in the simulation: real scheduler, real ledger, real link machines.
struct SimCoordinator {
  struct Attempt {
    let place: Place
    let node: NodeID
    let number: UInt8
  }

  struct Work {
    let session: Int
    let client: Int
    /// Head and candidates as the gateway sent them, and the body.
    let envelope: Envelope
    /// The only nodes it may go to.
    let allowed: Set<NodeID>
    /// Whose tokens are the answer: the first that brought one.
    var selected: NodeID?
    var attempts: [Attempt] = []
    /// The gateway was told that the machine is silent.
    var isSuspected = false
    /// Whether the gateway asks for the next part.
    var doubt = PartDoubt()
  }

  struct Place: Hashable {
    let connection: Int
    let stream: StreamID
  }

  var scheduler: Scheduler
  var ledger: Ledger
  var isUp = true
  var links: [Int: CoordinatorLinkMachine] = [:]
  var heardAt: [Int: Instant] = [:]
  var suspects: Set<Int> = []
  var connections: [NodeID: Int] = [:]
  var requests: [RequestID: Work] = [:]
  /// Their order of arrival; those that ended are taken out now and then.
  var order: [RequestID] = []
  var placed: [Place: RequestID] = [:]
  /// Parts that failed, fell silent or are over: only then may the next begin.
  var followable = FollowableParts()
  /// Which answers may still go on.
  var books = OpenBooks()
  /// Receipts booked since the last group was written.
  var booked: [Digest] = []
  /// Acknowledgements wait for the store.
  var acknowledgements: [(connection: Int, receipt: Digest)] = []

  init(seed: UInt64, ledger: Ledger) {
    var limits = ScheduleLimits()
    limits.waitingPerAccount = 32
    limits.waiting = 128
    limits.acceptTimeout = .seconds(2)
    scheduler = Scheduler(limits: limits, seed: seed)
    self.ledger = ledger
  }
}
