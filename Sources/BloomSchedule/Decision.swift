package import BloomBase

/// What the evaluator thought of one candidate: the same numbers that decided.
package struct CandidateVerdict: Equatable, Sendable {
  /// The candidate.
  package var node: NodeID
  /// Chosen, waiting, costlier, or what kept it out.
  package var reason: ReasonCode
  /// Expected seconds until a slot is free.
  package var wait = 0.0
  /// Expected seconds from then to the first token.
  package var firstToken = 0.0
  /// Expected seconds from the first token to the last, in the batch that it would join.
  package var decode = 0.0
  /// Expected share of work that the node completes, 0…1.
  package var completion = 1.0
  /// `(wait + firstToken + decode) ÷ completion`; infinite for a candidate that is kept out.
  package var cost = Double.infinity
  /// The node's score, which only breaks ties.
  package var score = 0.0

  init(node: NodeID, reason: ReasonCode) {
    self.node = node
    self.reason = reason
  }

  var isOpen: Bool { cost.isFinite }
}

/// Why a request was placed as it was.
package struct Decision: Equatable, Sendable {
  /// When it was made.
  package var at: Instant
  /// The tokens that the answer was expected to have.
  package var expectedTokens: Double
  /// One for each candidate, in the order of the request.
  package var candidates: UpToFour<CandidateVerdict>
}
