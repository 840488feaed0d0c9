package import BloomBase

/// One part of one answer: what the scheduler places, what a node works on, what ends exactly once.
package struct RequestID: Hashable, Sendable, CustomStringConvertible {
  /// The answer, drawn by the gateway.
  package let answer: AnswerID
  /// 0 for the first part; a continuation after a failure has the next number.
  package let part: UInt16

  /// Names a part of an answer.
  package init(answer: AnswerID, part: UInt16) {
    self.answer = answer
    self.part = part
  }

  /// The answer's digits and the part.
  package var description: String { "\(answer)/\(part)" }
}

/// How strong a node's evidence is.
///
/// `docs/protocol.md` §2.
package enum Tier: UInt8, Comparable, Sendable, CaseIterable {
  /// An identity in a file.
  case software
  /// A machine whose identity the user pinned in person.
  case paired
  /// A measured boot: TPM, locked-down image.
  case measured
  /// A chain to a hardware vendor's root.
  case hardware

  /// Orders tiers by strength.
  package static func < (a: Tier, b: Tier) -> Bool { a.rawValue < b.rawValue }
}

/// The bound on the answer's tokens that a request shows in clear.
///
/// `docs/protocol.md` §3.
package enum OutputClass: UInt8, CaseIterable, Sendable {
  case tokens64
  case tokens256
  case tokens1k
  case tokens4k
  case tokens16k
  case tokens64k

  /// The most tokens an answer of this class has.
  package var maximumTokens: Int { 64 << (2 * Int(rawValue)) }

  /// What is expected before anything was learned, in tokens: long limits are rarely used up.
  package var expectedTokensSeed: Double {
    switch self {
    case .tokens64: 40
    case .tokens256: 120
    case .tokens1k: 300
    case .tokens4k: 500
    case .tokens16k: 700
    case .tokens64k: 900
    }
  }
}

/// A node that a request's key is wrapped for.
package struct Candidate: Equatable, Sendable {
  /// The machine.
  package let node: NodeID
  /// Its encryption key, so its worker, so its model.
  package let key: KeyID

  /// Names a node and its key.
  package init(node: NodeID, key: KeyID) {
    self.node = node
    self.key = key
  }
}

/// What a request demands of any node; what is `nil` is not demanded.
///
/// Never relaxed.
package struct PlacementConstraints: Equatable, Sendable {
  /// The weakest evidence accepted.
  package var tier: Tier
  /// Only nodes that say they are in this region.
  package var region: String?
  /// Only nodes of this private pool.
  package var pool: String?
  /// The most that the answer may cost, however long prompt and answer turn out.
  package var priceCap: Micros?

  /// Creates constraints; the defaults demand nothing.
  package init(
    tier: Tier = .software, region: String? = nil, pool: String? = nil, priceCap: Micros? = nil
  ) {
    self.tier = tier
    self.region = region
    self.pool = pool
    self.priceCap = priceCap
  }
}

/// Everything the coordinator can see of a sealed request.
package struct WorkRequest: Equatable, Sendable {
  /// The answer and the part.
  package var id: RequestID
  /// Who pays; queues are fair between accounts.
  package var account: AccountID
  /// The model's manifest.
  package var model: ModelID
  /// The only nodes that may be chosen.
  package var candidates: UpToFour<Candidate>
  /// The most that the answer can cost at each candidate, in their order; empty for nothing.
  ///
  /// By the prices it began with: a later change makes no machine that was too dear affordable.
  package var costs: UpToFour<Micros>
  /// The padded size of the sealed body in bytes; tokens are estimated from it.
  package var inputBytes: Int
  /// The bound on the answer.
  package var output: OutputClass
  /// By when the first token must have come.
  ///
  /// A running answer is not cut by it.
  package var deadline: Instant
  /// What any node must satisfy.
  package var constraints: PlacementConstraints
  /// Whether a second candidate may be started when the first token is late, its machine alive.
  ///
  /// The simulator alone sets it, for a quarter of its requests. The coordinator does not: nobody
  /// says yet who pays for the prompt that the slower machine read. A second candidate beside a
  /// machine that fell silent needs no such leave.
  package var mayHedge: Bool

  /// Creates a request.
  package init(
    id: RequestID, account: AccountID, model: ModelID, candidates: UpToFour<Candidate>,
    costs: UpToFour<Micros> = [], inputBytes: Int, output: OutputClass, deadline: Instant,
    constraints: PlacementConstraints = PlacementConstraints(),
    mayHedge: Bool = false
  ) {
    self.id = id
    self.account = account
    self.model = model
    self.candidates = candidates
    self.costs = costs
    self.inputBytes = inputBytes
    self.output = output
    self.deadline = deadline
    self.constraints = constraints
    self.mayHedge = mayHedge
  }
}
