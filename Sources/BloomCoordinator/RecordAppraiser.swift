package import BloomBase
package import BloomLedger
package import BloomSchedule

/// A node record that was checked, and what the coordinator takes from it.
package struct AppraisedRecord: Sendable {
  /// For the scheduler.
  package var profile: NodeProfile
  /// The record as it goes into the directory.
  package var bytes: [UInt8]
  /// When its keys are not offered any more.
  package var expires: UnixTime
  /// The node's own word about its size, 0…255; drawn by weight.
  package var capacityBucket: UInt8

  /// Joins the parts.
  package init(
    profile: NodeProfile, bytes: [UInt8], expires: UnixTime, capacityBucket: UInt8
  ) {
    self.profile = profile
    self.bytes = bytes
    self.expires = expires
    self.capacityBucket = capacityBucket
  }
}

/// Checks signatures of nodes; pure, and replaced in tests.
package protocol RecordAppraiser: Sendable {
  /// Checks a record and the proof of a link.
  ///
  /// - Throws: A ``PublicError`` that says which check failed.
  func appraise(
    record: [UInt8], proof: LinkProofClaim?, now: UnixTime
  ) throws -> AppraisedRecord
  /// Checks a receipt against the record of the node that sent it.
  func appraise(
    receipt: [UInt8], of record: AppraisedRecord, now: UnixTime
  ) throws -> ReceiptFacts
}

/// A node's claim that it holds the identity of its record.
package struct LinkProofClaim: Sendable {
  /// The coordinator's challenge.
  package var nonce: Digest
  /// The connection's exporter, when the claim is bound to it.
  package var exporter: [UInt8]?
  /// 64 bytes by the identity key.
  package var signature: [UInt8]
}
