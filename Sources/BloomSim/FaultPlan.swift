internal import BloomBase

/// A rule that a run breaks on purpose, to prove that its checker sees it.
package enum Sabotage: String, CaseIterable, Sendable {
  /// The coordinator tells the end of a request twice.
  case endsTwice
  /// The coordinator sends a request to a machine that was not named.
  case misroutes
  /// The coordinator forgets to close answers.
  case keepsReservations
  /// A recovered coordinator has a micro-unit more than was written.
  case mintsMoney
  /// Nodes count what an earlier part delivered once more, after it.
  case countsTwice
  /// The coordinator loses a message of an answer.
  case dropsBytes
  /// The coordinator hears of no deadline.
  case ignoresDeadlines
  /// The coordinator tells its scheduler of one account only.
  case mergesAccounts
  /// The coordinator confirms receipts before they are written.
  case confirmsEarly
  /// The coordinator does not tell its scheduler that work ended.
  case hidesEnds
  /// The gateway shows what comes, wherever the answer stands.
  case showsTwice

  /// What its checker says.
  package var complaint: String {
    switch self {
    case .endsTwice: "a request ended twice"
    case .misroutes: "a node that was not named"
    case .keepsReservations: "reservations leaked"
    case .mintsMoney: "all balances sum to"
    case .countsTwice: "tokens paid of an answer of"
    case .dropsBytes: "a token was lost"
    case .ignoresDeadlines: "past its deadline"
    case .mergesAccounts: "was passed over"
    case .confirmsEarly: "confirmed before it was written"
    case .hidesEnds: "a slot leaked"
    case .showsTwice: "a token was shown twice"
    }
  }
}

/// What goes wrong by itself in a run.
package enum FaultKind: String, CaseIterable, Sendable {
  /// The lid closes: nothing is said and nothing heard.
  case sleep
  /// The agent is killed; what is on its disk stays.
  case agentCrash
  /// The worker process dies; the agent gives its requests back.
  case workerCrash
  /// The connection breaks; each side finds out in its own time.
  case cut
  /// The owner returns: the machine drains.
  case ownerReturns
  /// The coordinator is killed, sometimes in the middle of a commit.
  case coordinatorCrash
  /// A user's device changes networks: its connections carry nothing more, and it may not notice.
  case gatewayCut
  /// A gateway is killed with all its answers.
  case gatewayCrash
  /// Morning in a region: most of its owners return within seconds, many without a goodbye.
  case dawn
}

/// What a run is made of and what goes wrong in it; all drawn from its seed.
package struct SimPlan: Equatable, Sendable {
  /// Draws everything.
  package var seed: UInt64
  /// Machines.
  package var nodes = 6
  /// Regions that the machines are spread over; each has its own morning.
  package var regions = 3
  /// Users.
  package var clients = 4
  /// Answers that users ask for, besides those of a flood.
  package var answers = 40
  /// How long new answers come.
  package var duration = Duration.seconds(30)
  /// Share of nodes and clients that misbehave.
  package var viceShare = 0.3
  /// Mean time between faults; `nil` for none.
  package var faultEvery: Duration? = .seconds(3)
  /// The kinds that are drawn.
  package var kinds = FaultKind.allCases
  /// The longest delay of a message that is not lost.
  package var delay = Duration.milliseconds(40)
  /// Share of messages that are lost once and come 200 ms later.
  package var loss = 0.02
  /// A rule to break.
  package var sabotage: Sabotage?
  /// A file for the ledger's SQLite store; `nil` keeps what is written in memory.
  package var store: String?

  /// A plan with the defaults.
  package init(seed: UInt64) { self.seed = seed }

  /// The command line that shows this run again; kinds, delay and loss are always the defaults there.
  package var replay: String {
    let usual = SimPlan(seed: seed)
    var words = ["bloom-sim run --seed \(seed)"]
    if nodes != usual.nodes { words.append("--nodes \(nodes)") }
    if answers != usual.answers { words.append("--answers \(answers)") }
    if duration != usual.duration {
      words.append("--seconds \(duration.wholeNanoseconds / 1_000_000_000)")
    }
    if viceShare != usual.viceShare {
      words.append("--vices \(Int((viceShare * 100).rounded()))")
    }
    if faultEvery == nil { words.append("--calm") }
    if let sabotage { words.append("--break \(sabotage.rawValue)") }
    return words.joined(separator: " ")
  }
}

/// What a run came to.
package struct SimReport: Equatable, Sendable {
  /// The seed.
  package var seed: UInt64
  /// Broken rules; empty when all is well.
  package var faults: [String] = []
  /// Events handled.
  package var events = 0
  /// Answers that came whole.
  package var complete = 0
  /// Answers that ended with an error.
  package var failed = 0
  /// Answers that their user left.
  package var left = 0
  /// Parts beyond the first: answers that went on elsewhere.
  package var continued = 0
  /// How often each kind of fault happened.
  package var happened: [FaultKind: Int] = [:]
  /// Groups written to the store.
  package var commits = 0
  /// Times what was written was read back after a kill.
  package var recoveries = 0
  /// Requests that waited for a slot and got one.
  package var waited = 0
  /// Names everything that happened; equal for equal runs.
  package var fingerprint: UInt64 = 0

  /// Times the coordinator died.
  package var coordinatorCrashes: Int { happened[.coordinatorCrash] ?? 0 }

  /// The command line that shows this run again.
  package let replay: String

  init(_ plan: SimPlan) {
    seed = plan.seed
    replay = plan.replay
  }
}
