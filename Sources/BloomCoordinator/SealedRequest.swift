package import BloomBase
package import BloomLedger
package import BloomSchedule
internal import BloomWire

/// An envelope as the coordinator may read it: its clear header, and bytes for each candidate.
package struct SealedRequest: Sendable {
  /// What the scheduler places.
  package var work: WorkRequest
  /// What the ledger sets aside for the answer.
  package var reservation: Reservation
  /// The head with one candidate left in it, by node.
  package var heads: [NodeID: [UInt8]]
  /// The sealed body.
  package var body: [UInt8]

  /// Joins the parts.
  package init(
    work: WorkRequest, reservation: Reservation, heads: [NodeID: [UInt8]], body: [UInt8]
  ) {
    self.work = work
    self.reservation = reservation
    self.heads = heads
    self.body = body
  }
}

/// A refusal before anything was relayed.
package struct RelayRefusal: PublicError, Equatable {
  /// The wire's reason.
  let reason: Reason
  /// When trying again makes sense.
  let retryAfter: Duration?

  /// The reason's name.
  package var publicDescription: String { reason.name }
}
