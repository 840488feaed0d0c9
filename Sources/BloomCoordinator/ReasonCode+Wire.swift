package import BloomLedger
package import BloomSchedule
package import BloomWire

extension ReasonCode {
  /// The wire's reason for a scheduler's verdict.
  package var wire: Reason {
    switch self {
    case .chosen, .costlier, .notNamed, .excluded: .busy
    // The client's directory names machines that are not here: it looks again.
    case .noCandidate, .notConnected: .staleKey
    case .busy, .nodeRefused: .busy
    case .nodeQueueFull, .accountQueueFull, .networkQueueFull: .queueFull
    case .memoryShort: .lowMemory
    case .contextTooLong, .tierTooLow, .regionMismatch, .poolMismatch: .constraintUnmet
    case .priceAboveCap: .priceAboveCap
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

extension LedgerError {
  /// The wire's reason for a part that the books do not take.
  package var wire: Reason {
    switch self {
    case .insufficientCredit: .noCredit
    case .unknownAnswer: .answerUnknown
    case .answerClosed: .answerClosed
    case .previousPartHealthy, .partOutOfOrder, .termsDiffer: .partNotAllowed
    default: .replay
    }
  }
}
