internal import BloomBase

/// What the scheduler knows of one node.
///
/// It outlives connections. What has references lies beside it: ``Scheduler/profiles``.
struct NodeState: Sendable {
  enum Link: UInt8, Sendable {
    /// May get work.
    case active
    /// Silent: keeps its work, gets none.
    case suspect
    /// Finishes what it has.
    case draining
    /// No link; in the list of the gone.
    case gone
  }

  var link = Link.active
  var reliability: Reliability
  /// Smoothed share of the time it had promised; what it promises is said in `docs/score.md`.
  var availability = 1.0
  var joinedAt = Instant(nanoseconds: 0)
  /// Since when it is gone although it had just offered slots and said no goodbye.
  var vanishedAt: Instant?
  var roundTrip = Duration.milliseconds(50)
  var loss = 0.0
  var score = 0.0
  var goneNext = -1
  var gonePrevious = -1
}

/// A living request; without references, so that reading a field copies and counts nothing.
struct RequestState: Sendable {
  struct CandidateState: Sendable {
    var candidate: Candidate
    /// The offer's number when it was looked up; −1 when it was unknown then.
    var offer: Int32
    /// The most that the answer can cost there, micro-units.
    var cost: Int64
    /// Why it is not tried again for this request.
    var excluded: ReasonCode?
  }

  var id: RequestID
  var account: Int
  var answer: Int
  /// −1 for a model that no node ever served.
  var model: Int
  var candidates: UpToFour<CandidateState>
  var inputTokens: Double
  var expectedTokens: Double
  var output: OutputClass
  var deadline: Instant
  /// Of the constraints, those that are numbers; the others lie in ``Scheduler/demands``.
  var tier: Tier
  var priceCap: Int64
  var hasDemands: Bool
  var mayHedge: Bool
  /// At most two attempts: the first and a hedge; −1 for none.
  var attempts = (-1, -1)
  var hasStarted = false
  var decision: Decision

  var hasAttempt: Bool { attempts.0 >= 0 || attempts.1 >= 0 }
}

struct AttemptState: Sendable {
  enum Stage: Sendable {
    case sent
    case accepted
    case streaming
    /// Told to stop; holds its slot until it confirms.
    case stopping
  }

  var id: RequestID
  /// −1 when the request has ended and only the slot is still held.
  var request: Int
  /// The answer's number; another answer may have it once this one is forgotten.
  var answer: Int
  var node: Int
  var candidate: Int
  /// It is kept as long as an attempt occupies a slot of it.
  var offer: Int
  /// Its neighbours among the attempts at this offer.
  var next: Int32 = -1
  var previous: Int32 = -1
  var stage = Stage.sent
  var sentAt: Instant
  var acceptedAt: Instant
  var firstTokenAt: Instant
  var predictedFirstToken: Double
  var output: OutputClass
  var model: Int
  var reservedTokens: Double
  /// Streams beside this one when its first token came.
  var streamsAtStart = 1
}

/// An answer over all its parts: small, since very many are remembered.
struct AnswerState: Sendable {
  enum Part: UInt8, Sendable {
    case living
    case suspect
    case failed
    case done
  }

  var id: AnswerID
  /// −1 for a model that no node ever served.
  var model: Int32
  var lastPart: UInt16
  var output: OutputClass
  var lastState = Part.living
  var dispatches: Int32 = 0
  /// Request numbers of the living parts: at most a suspect one and its successor; −1 for none.
  var living: (Int32, Int32) = (-1, -1)
  var retiredAt = Instant(nanoseconds: 0)
  var next: Int32 = -1
  var previous: Int32 = -1
  var isRetired = false
  /// Whether ``Scheduler/failures`` has something under its number.
  var hasFailures = false

  var livingCount: Int { (living.0 >= 0 ? 1 : 0) + (living.1 >= 0 ? 1 : 0) }
}

struct AccountState: Sendable {
  var id: AccountID
  /// Never used twice, so that a flow of a forgotten account is not another's.
  var serial: UInt32
  var living = 0
  var waiting = 0
}

struct ModelState: Sendable {
  var id: ModelID
  /// Offers of it and remembered answers by it; without any its number is another model's.
  var users = 0
  var arrivals = HourlyCount()
  /// Completion tokens of finished answers, one median for each output class.
  var expected: [RollingMedian] = Array(
    repeating: RollingMedian(), count: OutputClass.allCases.count)
}

/// A count for each of the last 24 hours.
struct HourlyCount: Equatable, Sendable {
  private var ring: [UInt32] = []
  private var hour: UInt64 = 0

  mutating func add(hour now: UInt64) {
    if ring.isEmpty {
      ring = Array(repeating: 0, count: 24)
      hour = now
    }
    if now > hour {
      for step in 1...min(now - hour, 24) { ring[Int((hour + step) % 24)] = 0 }
      hour = now
    }
    ring[Int(now % 24)] &+= 1
  }

  func count(hours: Int, now: UInt64) -> Int {
    guard !ring.isEmpty else { return 0 }
    var sum = 0
    for age in 0..<UInt64(min(max(hours, 1), 24)) where now >= age {
      let wanted = now - age
      if wanted <= hour, hour - wanted < 24 { sum += Int(ring[Int(wanted % 24)]) }
    }
    return sum
  }
}

/// Counts not yet written to their nodes.
///
/// A decision would wait for the memory of every candidate's counters; other events write them.
struct TallyLog: Sendable {
  struct Item: Sendable {
    var node: Int
    /// `nil` for a request that named the node.
    var reason: ReasonCode?
    var hour: UInt64
  }

  /// Beyond it arrivals write, too.
  static let bound = 4096
  var items: [Item] = []
}

/// Ends of the list of nodes that are gone, longest gone first.
struct GoneList: Sendable {
  var head = -1
  var tail = -1
}

/// Ends of the list of answers without a living part, oldest first.
struct RetiredList: Sendable {
  var head = -1
  var tail = -1
  var count = 0
}
