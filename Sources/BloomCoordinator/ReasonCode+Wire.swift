internal import BloomSchedule
internal import BloomWire

extension ReasonCode {
  /// The wire's reason for a scheduler's verdict.
  var wire: Reason {
    switch self {
    case .chosen, .costlier, .notNamed, .excluded: .busy
    // The client's directory names machines that are not here: it looks again.
    case .noCandidate, .notConnected: .staleKey
    case .busy, .nodeRefused: .busy
    case .nodeQueueFull, .accountQueueFull, .networkQueueFull: .queueFull
    case .memoryShort: .lowMemory
    case .contextTooLong, .tierTooLow, .regionMismatch, .poolMismatch, .priceAboveCap:
      .constraintUnmet
    case .paused: .paused
    case .draining: .draining
    case .suspect, .nodeTimeout, .cancelIgnored: .nodeSilent
    case .keyUnknown, .badCandidates: .staleKey
    case .modelNotServed: .modelUnavailable
    case .attestationStale: .notProven
    case .standingTooLow: .lowStanding
    case .nodeLost: .nodeLost
    case .handedBack: .ownerActive
    case .hedgeLost: .superseded
    case .disputed: .receiptMismatch
    case .clientCancelled: .cancelled
    case .deadlinePassed, .deadlineUnreachable: .deadline
    case .retryBudgetSpent: .busy
    case .partNotAdmitted: .partNotAllowed
    case .duplicateRequest: .replay
    }
  }
}
