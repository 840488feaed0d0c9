package import BloomBase
internal import BloomCrypto
package import BloomRecords
package import BloomSchedule
internal import BloomWire

/// A node record that was checked, and what the coordinator takes from it.
package struct AppraisedRecord: Sendable {
  /// The bounds of what the machine offers.
  package var offer: KeyOffer
  /// Names the signed statement, where receipts are kept with it.
  package var statementDigest: Digest
  /// What is proven about it.
  package var tier: BloomRecords.Tier
  /// The record's leaf in the directory's trees.
  package var leaf: Digest
  /// The whole record, evidence included.
  package var place: RecordShelf.Place
  /// For the scheduler.
  package var profile: NodeProfile
  /// Whose it is and whom it serves.
  package var membership: NodeMembership
}

/// What the directory asks of a statement again and again; the rest lies on the shelf.
package struct KeyOffer: Equatable, Sendable {
  /// When the keys may be used.
  package var validity: ValidityWindow
  /// Base-2 logarithm of the machine's slots.
  package var capacityBucket: UInt8
}

extension AppraisedRecord {
  /// What the machine stated, read again: two keys of libcrypto a machine are dear to keep.
  ///
  /// - Returns: `nil` when the shelf does not give it back, or not what was checked.
  func statement() -> KeyStatement? {
    guard let bytes = place.bytes, let signed = ReceiptProof.signedStatement(of: bytes),
      SHA256.digest(signed) == statementDigest
    else { return nil }
    // Checked before; what was kept has the digest of what was checked.
    return try? KeyStatement(verifying: signed)
  }
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

/// Why a node was not taken in.
package enum AppraisalError: PublicError, Equatable {
  /// The signature over the challenge is not by the record's identity.
  case proofInvalid
  /// Nobody owns this machine yet.
  case notEnrolled

  /// What is wrong and what to do.
  package var publicDescription: String {
    switch self {
    case .proofInvalid: "the node could not prove the identity of its record"
    case .notEnrolled:
      "the node belongs to no account of this network; run on its machine: darkbloom node enroll"
    }
  }
}

/// Checks what nodes claim; pure but for looking up who owns a machine.
package struct RecordAppraiser: Sendable {
  private let policy: TierPolicy
  private let shelf: RecordShelf
  private let membership: @Sendable (NodeID) -> NodeMembership?

  /// Creates an appraiser.
  ///
  /// - Parameters:
  ///   - policy: The weakest evidence the network takes.
  ///   - shelf: Where records are kept.
  ///   - membership: Whose an enrolled machine is; `nil` for any other.
  package init(
    policy: TierPolicy, shelf: RecordShelf = RecordShelf(),
    membership: @escaping @Sendable (NodeID) -> NodeMembership?
  ) {
    self.policy = policy
    self.shelf = shelf
    self.membership = membership
  }

  /// What was taken from a record, with whose the machine is now; `nil` when it is nobody's.
  func renewed(_ record: AppraisedRecord) -> AppraisedRecord? {
    guard let membership = membership(record.profile.node) else { return nil }
    var record = record
    record.membership = membership
    record.profile.owner = membership.owner
    record.profile.region = membership.region
    record.profile.pools = membership.pools
    return record
  }

  /// Checks a record and, at the start of a link, the proof that comes with it.
  ///
  /// - Throws: ``AppraisalError``, or `RecordError` for the record itself.
  package func appraise(
    _ bytes: [UInt8], proof: LinkProofClaim?, now: UnixTime
  ) throws -> AppraisedRecord {
    let record = try NodeRecord(verifying: bytes)
    if let proof {
      let message = LinkProof.message(
        nonce: proof.nonce, exporter: proof.exporter, record: SHA256.digest(bytes))
      guard record.statement.identityKey.isValid(proof.signature, for: message, .ecdsa(.sha256))
      else {
        throw AppraisalError.proofInvalid
      }
    }
    let verified = try policy.admit(record, at: now)
    guard let membership = membership(verified.nodeID) else { throw AppraisalError.notEnrolled }
    let profile = NodeProfile(
      node: verified.nodeID,
      tier: BloomSchedule.Tier(rawValue: verified.tier.rawValue) ?? .software,
      region: membership.region, pools: membership.pools, owner: membership.owner,
      keys: record.statement.workers.map { OfferedKey(key: $0.keyID, model: $0.model) })
    return AppraisedRecord(
      offer: KeyOffer(
        validity: record.statement.validity, capacityBucket: record.statement.capacityBucket),
      statementDigest: ReceiptProof.signedStatement(of: bytes).map { SHA256.digest($0) } ?? .zero,
      tier: verified.tier, leaf: MerkleHash.leaf(bytes), place: shelf.keep(bytes), profile: profile,
      membership: membership)
  }
}
