/// Why a candidate, an attempt or a request went the way it did.
///
/// Closed: nothing is refused without one.
///
/// The text of ``code`` is stable and goes to users, owners and metrics; `docs/reasons.md` lists all.
package enum ReasonCode: UInt8, CaseIterable, Sendable {
  // Verdicts on one candidate.
  case chosen
  case costlier
  case busy
  case nodeQueueFull
  case memoryShort
  case contextTooLong
  case paused
  case draining
  case suspect
  case notConnected
  case keyUnknown
  case modelNotServed
  case tierTooLow
  case regionMismatch
  case poolMismatch
  case priceAboveCap
  case attestationStale
  case standingTooLow
  case excluded
  case notNamed
  // How one attempt at a node ended.
  case nodeRefused
  case nodeLost
  case nodeTimeout
  case handedBack
  case hedgeLost
  case cancelIgnored
  case disputed
  // How a whole request ended.
  case clientCancelled
  case deadlinePassed
  case deadlineUnreachable
  case retryBudgetSpent
  case noCandidate
  case badCandidates
  case partNotAdmitted
  case duplicateRequest
  case accountQueueFull
  case networkQueueFull

  /// The stable name: lower case, words joined by `-`.
  package var code: String { Self.texts[Int(rawValue)].code }

  /// One sentence for people: what happened and what would change it.
  package var explanation: String { Self.texts[Int(rawValue)].explanation }

  /// Whether the same request may succeed later without being changed.
  package var isRetriable: Bool {
    switch self {
    case .busy, .nodeQueueFull, .memoryShort, .paused, .draining, .suspect, .notConnected,
      .keyUnknown, .nodeRefused, .nodeLost, .nodeTimeout, .handedBack, .deadlineUnreachable,
      .noCandidate, .accountQueueFull, .networkQueueFull:
      true
    case .chosen, .costlier, .contextTooLong, .modelNotServed, .tierTooLow, .regionMismatch,
      .poolMismatch, .priceAboveCap, .attestationStale, .standingTooLow, .excluded, .notNamed,
      .hedgeLost, .cancelIgnored, .disputed, .clientCancelled, .deadlinePassed,
      .retryBudgetSpent, .badCandidates, .partNotAdmitted, .duplicateRequest:
      false
    }
  }

  private static let texts: [(code: String, explanation: String)] = allCases.map(text)

  private static func text(_ reason: ReasonCode) -> (code: String, explanation: String) {
    switch reason {
    case .chosen: ("chosen", "this node was given the request")
    case .costlier: ("costlier", "another named node was expected to finish sooner")
    case .busy: ("busy", "all slots were taken; the request waited for the first to become free")
    case .nodeQueueFull: ("node-queue-full", "too many requests already wait for this node")
    case .memoryShort: ("memory-short", "the node's cache has no room for this request now")
    case .contextTooLong: ("context-too-long", "prompt and answer exceed the node's context")
    case .paused: ("paused", "the node offers no slots; its owner is using the machine")
    case .draining: ("draining", "the node finishes its work and takes no more")
    case .suspect: ("suspect", "the node has been silent for longer than it may")
    case .notConnected: ("not-connected", "the node has no link to the network")
    case .keyUnknown: ("key-unknown", "the node no longer accepts this key; refresh the directory")
    case .modelNotServed: ("model-not-served", "the node does not serve this model")
    case .tierTooLow: ("tier-too-low", "the request demands stronger evidence than the node has")
    case .regionMismatch: ("region-mismatch", "the request names another region")
    case .poolMismatch: ("pool-mismatch", "the node is not in the pool that the request names")
    case .priceAboveCap: ("price-above-cap", "the node asks more than the request allows")
    case .attestationStale: ("attestation-stale", "the node's evidence is missing or too old")
    case .standingTooLow: ("standing-too-low", "the node failed too much of its recent work")
    case .excluded: ("excluded", "the node already failed, or was excluded for, this answer")
    case .notNamed: ("not-named", "clients asked for the model but drew other nodes")
    case .nodeRefused: ("node-refused", "the node refused the request")
    case .nodeLost: ("node-lost", "the node vanished while it worked")
    case .nodeTimeout: ("node-timeout", "the node gave no answer in time")
    case .handedBack: ("handed-back", "the node gave the work back; its owner returned")
    case .hedgeLost: ("hedge-lost", "another node's first token came sooner")
    case .cancelIgnored: ("cancel-ignored", "the node went on after it was told to stop")
    case .disputed: ("disputed", "a receipt or an audit of the node did not hold")
    case .clientCancelled: ("client-cancelled", "the client gave up")
    case .deadlinePassed: ("deadline-passed", "no first token came before the deadline")
    case .deadlineUnreachable: ("deadline-unreachable", "the queue is longer than the deadline")
    case .retryBudgetSpent: ("retry-budget-spent", "the answer used all the attempts it may have")
    case .noCandidate: ("no-candidate", "none of the named nodes can serve; draw others")
    case .badCandidates: ("bad-candidates", "a request names one to four different nodes")
    case .partNotAdmitted: ("part-not-admitted", "the part before this one is well")
    case .duplicateRequest: ("duplicate-request", "this part of the answer was already given in")
    case .accountQueueFull: ("account-queue-full", "the account has too many waiting requests")
    case .networkQueueFull: ("network-queue-full", "the network has too many waiting requests")
    }
  }
}
