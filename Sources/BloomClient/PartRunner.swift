package import BloomBase
package import BloomWire

/// What one part reports while it runs; every call returns when the answer has room for more.
package protocol PartEvents: Sendable {
  /// The coordinator took the part up, and what its scheduler thought of each machine.
  func placed(_ part: Int, _ placement: String) async
  /// A machine took the part.
  func accepted(_ part: Int, by node: NodeID) async
  /// A sign of life.
  func alive(_ part: Int) async
  /// The coordinator says that the part's machine is silent.
  func suspected(_ part: Int) async
  /// A frame was opened and belongs to the transcript so far.
  func frame(_ part: Int, _ frame: Frame) async
  /// The part has a verified last receipt; the cost is of the whole answer, `nil` when not booked.
  func receipted(_ part: Int, cost: Micros?) async
  /// The part is over; `nil` after its verified last receipt, else why not.
  func ended(_ part: Int, _ failure: PartFailure?) async
}

/// Why a part ended before the answer did.
package struct PartFailure: Sendable, Equatable {
  /// Whether another machine, or the same later, may do better.
  package var isRetriable: Bool
  /// A stable code for people and metrics; never content.
  package var code: String
  /// Nobody took the part: no machine fits, or all of them refused.
  package var isWithoutCandidates: Bool
  /// A machine or the coordinator is known to be coming back, so that waiting makes sense.
  package var isReturning: Bool
  /// A machine works on the answer, as the coordinator says, though nothing of it is heard here.
  package var isUnderWay = false
  /// An error the machine sealed for the user: what is wrong with the request.
  package var sealed: SealedError?

  /// Creates a failure.
  package init(
    isRetriable: Bool, code: String, isWithoutCandidates: Bool = false, isReturning: Bool = false,
    sealed: SealedError? = nil
  ) {
    self.isRetriable = isRetriable
    self.code = code
    self.isWithoutCandidates = isWithoutCandidates
    self.isReturning = isReturning
    self.sealed = sealed
  }
}

/// Seals one part to machines and reports what they answer, until it ends or its task is cancelled.
package protocol PartRunner: Sendable {
  /// Runs one part.
  ///
  /// - Parameters:
  ///   - part: Its number, 0 for the first.
  ///   - resume: What was delivered before, choice by choice.
  ///   - avoiding: Machines that must not be chosen.
  ///   - events: Where to report; `ended` exactly once unless the task was cancelled.
  func run(
    part: Int, resume: [ChoiceProgress], avoiding: Set<NodeID>, events: any PartEvents
  ) async
}
