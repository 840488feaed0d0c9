/// What a run is made of and what goes wrong in it; all drawn from its seed.
package struct SimPlan: Equatable, Sendable {
  /// Draws everything.
  package var seed: UInt64
  /// Machines.
  package var nodes = 6
  /// Users.
  package var clients = 4
  /// Answers that users ask for.
  package var answers = 40
  /// How long new answers come.
  package var duration = Duration.seconds(30)
  /// Share of nodes and clients that misbehave.
  package var viceShare = 0.3
  /// Mean time between faults; `nil` for none.
  package var faultEvery: Duration? = .seconds(3)
  /// The longest delay of a message that is not lost.
  package var delay = Duration.milliseconds(40)
  /// Share of messages that are lost once and come 200 ms later.
  package var loss = 0.02

  /// A plan with the defaults.
  package init(seed: UInt64) { self.seed = seed }
}

/// What a run came to.
package struct SimReport: Equatable, Sendable {
  /// The seed.
  package var seed: UInt64
  /// Broken rules; empty when all is well.
  package var faults: [String] = []
  /// Events handled.
  package var events = 0
  /// Answers that came whole, failed, and were left by their users.
  package var complete = 0
  /// Answers that ended with an error.
  package var failed = 0
  /// Answers that their user left.
  package var left = 0
  /// Parts beyond the first: answers that went on elsewhere.
  package var continued = 0
  /// Times the coordinator died.
  package var coordinatorCrashes = 0
  /// Times a node slept, crashed or lost its link.
  package var nodeFaults = 0
  /// Names everything that happened; equal for equal runs.
  package var fingerprint: UInt64 = 0

  /// How to see this run again.
  package var replay: String { "bloom-sim run --seed \(seed)" }
}
