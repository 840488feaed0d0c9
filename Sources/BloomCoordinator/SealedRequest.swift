internal import BloomBase
package import BloomLedger
package import BloomRecords
package import BloomSchedule
package import BloomStore
package import BloomWire

/// An envelope as the coordinator may read it: its clear header, and bytes for each candidate.
package struct SealedRequest: Sendable {
  /// What the scheduler places.
  package var work: WorkRequest
  /// What the ledger sets aside for the answer.
  package var reservation: Reservation
  /// Head and candidates as they came.
  package var prefix: EnvelopePrefix
  /// The sealed body.
  package var body: [UInt8]
  /// The key that it came with; its bounds on money and pace count.
  package var key: APIKeyRecord?

  /// Joins the parts.
  package init(
    work: WorkRequest, reservation: Reservation, prefix: EnvelopePrefix, body: [UInt8],
    key: APIKeyRecord? = nil
  ) {
    self.work = work
    self.reservation = reservation
    self.prefix = prefix
    self.body = body
    self.key = key
  }
}

/// A refusal before anything was relayed.
package struct RelayRefusal: PublicError, Equatable {
  /// The wire's reason.
  package let reason: Reason
  /// When trying again makes sense.
  package let retryAfter: Duration?

  /// The reason's name.
  package var publicDescription: String { reason.name }
}
