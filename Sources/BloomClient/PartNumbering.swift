internal import BloomBase
package import BloomWire

/// What this device and the coordinator agree on about an answer's parts, and what a refusal means.
///
/// The numbers that the answer machine gives count tries; on the wire only parts count that the
/// coordinator took up. Either side may lose a message, so a refusal can say that they differ.
package struct PartNumbering: Hashable, Sendable {
  /// The largest number on the wire.
  ///
  /// `docs/protocol.md` §8.
  private static let last = 15

  /// The number of the next part on the wire.
  package private(set) var next = 0
  /// Whether a connection to the coordinator broke: it may then have forgotten parts.
  private var hasLost = false

  /// An answer without parts.
  package init() {}

  /// The coordinator took a part up.
  package mutating func taken(_ number: Int) { next = max(next, number + 1) }

  /// The connection to the coordinator could not be made, or broke before the part's end.
  package mutating func lost() -> PartFailure {
    hasLost = true
    return PartFailure(isRetriable: true, code: "connection_lost", isReturning: true)
  }

  /// The coordinator did not take a part up.
  package mutating func refused(_ reason: Reason) -> PartFailure {
    // Not allowed yet: the coordinator believes that the part before it is well.
    var isRetriable = reason.isRetriable || reason == .partNotAllowed
    switch reason {
    // Asking again at once would not help: the user hears it.
    case .rateLimited, .poolEmpty: isRetriable = false
    // One of the two lost a message about the part before.
    case .replay: next = min(Self.last, next + 1)
    case .answerUnknown: next = 0
    case .partNotAllowed: if hasLost { next = max(0, next - 1) }
    default: break
    }
    var failure = PartFailure(
      isRetriable: isRetriable, code: reason.name, isWithoutCandidates: isRetriable,
      isReturning: reason.isWorthWaiting)
    failure.isUnderWay = reason == .partNotAllowed
    return failure
  }
}

extension PartFailure {
  /// Codes of parts that somebody between this device and the machine changed.
  static let tampered: Set<String> = ["answer_not_authentic", Reason.malformed.name]

  /// A body that ended before the part's last receipt and did not say why.
  package static let truncated = PartFailure(isRetriable: true, code: "truncated")

  /// What the coordinator said of a part that it had taken up.
  ///
  /// - Parameters:
  ///   - reason: Why it failed.
  ///   - isRetriable: The coordinator's word.
  ///   - wasAccepted: Whether a machine had taken the part.
  /// - Returns: What it means for the next part.
  package static func attemptFailed(
    _ reason: Reason, isRetriable: Bool, wasAccepted: Bool
  ) -> PartFailure {
    PartFailure(
      isRetriable: isRetriable, code: reason.name,
      isWithoutCandidates: isRetriable && !wasAccepted,
      // One that vanished in mid-answer is started again by its system, or changes networks.
      isReturning: reason.isWorthWaiting || wasAccepted && reason == .nodeLost)
  }
}
