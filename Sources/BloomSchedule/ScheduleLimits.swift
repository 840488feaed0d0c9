/// Bounds and constants of the scheduler, each with its reason.
package struct ScheduleLimits: Equatable, Sendable {
  /// Nodes remembered, connected or not.
  ///
  /// The longest gone is forgotten first.
  package var nodes = 200_000
  /// Models whose answers are learned from, as long as a node offers them or an answer by them is
  /// remembered; of more only seeds are used.
  package var models = 65_536
  /// Requests alive, waiting or running, in the whole network.
  package var requests = 200_000
  /// Requests waiting in the whole network.
  package var waiting = 65_536
  /// Requests waiting for one node.
  ///
  /// A longer queue only hides an overload.
  package var waitingPerNode = 512
  /// Requests waiting for one account: one client cannot fill the queues.
  package var waitingPerAccount = 256
  /// Dispatches for one answer over all candidates and parts.
  ///
  /// At attempt 4 and later another network saw 2 % succeed, while retries nearly doubled its
  /// load.
  package var dispatchesPerAnswer = 6
  /// How long an ended answer is remembered for its next part.
  package var answerMemory = Duration.seconds(600)
  /// Ended answers remembered at most.
  package var answersRemembered = 200_000
  /// From dispatch to the node's word that it begins.
  package var acceptTimeout = Duration.seconds(2)
  /// The least time from acceptance to the first token; otherwise four times what was predicted.
  package var firstTokenFloor = Duration.seconds(10)
  /// The least time before a hedge; otherwise three times the predicted time to the first token.
  ///
  /// For requests with ``WorkRequest/mayHedge`` only.
  package var hedgeFloor = Duration.milliseconds(250)
  /// From a cancel to the node's confirmation.
  ///
  /// Then the slot is taken as free again.
  package var cancelGrace = Duration.seconds(2)
  /// No attempt lasts longer: nothing can leak for ever.
  package var longestRun = Duration.seconds(3600)
  /// A free node is passed over only if a busy one would finish this many times sooner.
  package var patience = 4.0
  /// Nodes whose expected share of kept work is below this get none from the public.
  ///
  /// A new node starts at 0.5 or more: the lower bound would keep newcomers out for ever.
  package var reliabilityGate = 0.25
  /// Costs closer than this share are a tie, which the score decides.
  package var tieShare = 0.05
  /// Self-reported rates count only for this share until enough work was measured.
  package var seedDiscount = 0.65
  /// Bytes of a padded prompt for one token.
  package var bytesPerToken = 4.0

  /// The defaults.
  package init() {}
}
