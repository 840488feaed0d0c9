package import BloomBase

/// How much is proven about a machine, weakest first.
package enum Tier: UInt8, Sendable, Hashable, Comparable, CaseIterable {
  /// An identity in a file; only for data that the user calls not sensitive.
  case software = 0
  /// The user pinned this machine's identity in person.
  case paired = 1
  /// A TPM and a locked-down image.
  case measured = 2
  /// A chain to the vendor's root and a measured release.
  case hardware = 3

  /// Orders tiers by strength.
  package static func < (a: Tier, b: Tier) -> Bool { a.rawValue < b.rawValue }
}

/// A machine and one of its keys, checked and fit to be sealed to.
package struct VerifiedNode: Sendable, Hashable {
  /// The record.
  package let record: NodeRecord
  /// What is proven about it.
  package let tier: Tier

  /// The machine.
  package var nodeID: NodeID { record.statement.nodeID }

  /// The first key for a model whose mechanism the client has.
  package func keys(for model: ModelID) -> WorkerKeys? {
    record.statement.workers.first { $0.model == model }
  }
}

/// What a user demands of machines; reading evidence of hardware is a function given from outside.
package struct TierPolicy: Sendable {
  /// The weakest tier taken.
  package var minimum: Tier
  /// Machines that the user pinned in person.
  package var paired: Set<NodeID>
  /// Releases that are trusted above tier `software`; empty takes any.
  package var releases: Set<Digest>

  /// Sets every field.
  package init(minimum: Tier, paired: Set<NodeID> = [], releases: Set<Digest> = []) {
    self.minimum = minimum
    self.paired = paired
    self.releases = releases
  }

  /// Decides about a record at a time.
  ///
  /// - Parameters:
  ///   - record: Its signatures are checked already.
  ///   - now: The time of use.
  ///   - appraise: Gives the tier that hardware evidence proves, or `nil` when it proves nothing.
  /// - Returns: The machine with its tier.
  /// - Throws: `notValidNow`, or `policy` when the tier is too weak.
  package func admit(
    _ record: NodeRecord, at now: UnixTime, appraise: (NodeRecord) -> Tier? = { _ in nil }
  ) throws(RecordError) -> VerifiedNode {
    guard record.statement.isOffered(at: now) else { throw .notValidNow }
    var tier = Tier.software
    if record.statement.platform != .none, let proven = appraise(record) {
      guard releases.isEmpty || releases.contains(record.statement.release) else { throw .policy }
      tier = proven
    }
    if paired.contains(record.statement.nodeID) { tier = max(tier, .paired) }
    guard tier >= minimum else { throw .policy }
    return VerifiedNode(record: record, tier: tier)
  }
}
