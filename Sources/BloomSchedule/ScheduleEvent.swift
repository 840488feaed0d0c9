package import BloomBase

/// Everything that can happen to the scheduler.
///
/// The driver adds the time.
package enum ScheduleEvent: Equatable, Sendable {
  /// A node's link is up and proven; also after each reconnection.
  case nodeJoined(NodeProfile, [ReportedCapacity])
  /// A connected node has new keys, new evidence or lost some.
  case recordChanged(NodeProfile)
  /// A node's regular report. A model that is not listed has no slots: empty while its owner works.
  case capacityReported(NodeID, [ReportedCapacity])
  /// A node that works has been silent for too long; the link may still be there.
  case nodeSuspected(NodeID)
  /// A suspect node was heard again.
  case nodeRecovered(NodeID)
  /// A node finishes what it has and takes no more; another capacity report ends it.
  case nodeDraining(NodeID)
  /// A node's link is gone, or it was silent for so long that it counts as dead.
  case nodeLeft(NodeID)
  /// Round trip (95th percentile) and loss (0…1) of a node's link, from pings.
  case networkMeasured(NodeID, roundTrip: Duration, loss: Double)
  /// A receipt mismatch or a failed audit.
  case nodeDisputed(NodeID)

  /// An authenticated request with its credit reserved.
  case requestArrived(WorkRequest)
  /// An answer known from before a restart, so that its next part is admitted.
  case answerRestored(RequestID, AccountID, ModelID, OutputClass, dispatches: Int)
  /// The client went away or said stop.
  case requestCancelled(RequestID)

  /// The node began with the request.
  case accepted(RequestID, NodeID)
  /// The node will not do it. `isBusy` when it had no room.
  case refused(RequestID, NodeID, isBusy: Bool)
  /// The first sealed bytes with a token came.
  case firstToken(RequestID, NodeID)
  /// The node is done, also after a cancel. `nil` when nothing valid was produced.
  case finished(RequestID, NodeID, WorkSummary?)
  /// The node gives the work back because its owner returned; announced, so no fault.
  case handedBack(RequestID, NodeID)

  /// Nothing but time passed; needed at ``Scheduler/nextDeadline``.
  case tick
}

/// What the driver must do, in order.
package enum ScheduleEffect: Equatable, Sendable {
  /// Forward the sealed request to this node.
  case dispatch(Dispatch)
  /// Tell the client that it waits: about how many are before it, and for how long.
  case queued(RequestID, position: Int, estimate: Duration)
  /// The arrival was not taken up. A living request with the same name is not touched.
  case refuse(RequestID, ReasonCode, retryAfter: Duration?)
  /// Tell the node to stop; its slot is kept until it confirms or the grace is over.
  case cancel(RequestID, NodeID, ReasonCode)
  /// One attempt failed. When `willRetry`, another candidate is or will be tried.
  case attemptFailed(RequestID, NodeID, ReasonCode, willRetry: Bool)
  /// The first token came from this node: its bytes are the answer, any other attempt is cancelled.
  case started(RequestID, NodeID)
  /// The node of a running request is silent: the client may start the next part now.
  case suspect(RequestID, NodeID)
  /// An admitted request ended. Exactly once for each.
  case end(RequestID, RequestEnding)
  /// A node could not be taken in: the table is full.
  case turnAway(NodeID)
}

/// A decision: one request goes to one of its candidates.
package struct Dispatch: Equatable, Sendable {
  /// What goes.
  package var request: RequestID
  /// Where.
  package var node: NodeID
  /// Under which of the node's keys.
  package var key: KeyID
  /// Counts from 1 over all parts of the answer.
  package var attempt: Int
  /// Whether another node already works on the same part.
  package var isHedge: Bool

  /// Creates a decision.
  package init(request: RequestID, node: NodeID, key: KeyID, attempt: Int, isHedge: Bool) {
    self.request = request
    self.node = node
    self.key = key
    self.attempt = attempt
    self.isHedge = isHedge
  }
}

/// How an admitted request ended.
package enum RequestEnding: Equatable, Sendable {
  /// A node delivered all of it.
  case done(NodeID)
  /// The client did not want it any more.
  case cancelled
  /// It could not be served, or not to the end; after a first token the gateway may send the next part.
  case failed(ReasonCode, retryAfter: Duration?)
}
