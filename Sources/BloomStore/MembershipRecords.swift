package import BloomBase
package import BloomLedger

/// A machine and the account that owns it.
///
/// Learned rates and standing go into `state`.
package struct OwnedNodeRecord: StoredRecord {
  /// The machine.
  package var node: NodeID
  /// Its owner.
  package var owner: AccountID
  /// As the owner calls it.
  package var name: String
  /// When it was joined to the account.
  package var joinedAt: UnixTime
  /// What the scheduler wants to find again after a restart, in its own form.
  package var state: [UInt8]
  /// Where the owner says it is; empty when the owner names none.
  package var region: String
  /// Whether it answers its owner and its owner's pools alone.
  package var isPrivate: Bool

  /// Creates a machine's row.
  package init(
    node: NodeID, owner: AccountID, name: String, joinedAt: UnixTime, state: [UInt8] = [],
    region: String = "", isPrivate: Bool = false
  ) {
    self.node = node
    self.owner = owner
    self.name = name
    self.joinedAt = joinedAt
    self.state = state
    self.region = region
    self.isPrivate = isPrivate
  }

  package static var kind: RecordKind { .node }
  package var id: String { node.digest.hex }
  package var group: String { owner.rawValue }
  package var expires: UnixTime? { nil }
  package var packed: [UInt8] {
    var to = PackedWriter(version: 2)
    to.put(node.digest)
    to.put(owner.rawValue)
    to.put(name)
    to.put(joinedAt)
    to.put(state)
    to.put(region)
    to.put(isPrivate)
    return to.bytes
  }
  /// Version 1 had neither region nor privacy.
  package init(packed: [UInt8], expires: UnixTime?) throws(PackedError) {
    let isFirst = packed.first == 1
    var from = try PackedReader(packed, version: isFirst ? 1 : 2)
    self.init(
      node: NodeID(try from.digest()), owner: try from.account(), name: try from.text(),
      joinedAt: try from.time(), state: try from.array())
    guard !isFirst else { return }
    region = try from.text()
    isPrivate = try from.bool()
  }
}

/// An invitation to the network or to a pool.
package struct InviteRecord: StoredRecord {
  /// What it is good for.
  package enum Purpose: Int, Sendable, CaseIterable {
    /// A new account.
    case user = 0
    /// A machine of the inviter's account.
    case node = 1
    /// Membership of a pool.
    case pool = 2
  }

  /// SHA-256 of the code.
  package var hash: Digest
  /// Who invites.
  package var inviter: AccountID
  /// Which pool; empty for the network.
  package var pool: String
  /// Credit that comes with it.
  package var credit: Micros
  /// How often it can still be used.
  package var usesLeft: Int
  /// When it is void; `nil` for never.
  package var expires: UnixTime?
  /// What it is good for.
  package var purpose: Purpose

  /// Creates an invitation's row.
  package init(
    hash: Digest, inviter: AccountID, pool: String = "", credit: Micros = .zero,
    usesLeft: Int = 1, expires: UnixTime? = nil, purpose: Purpose = .user
  ) {
    self.hash = hash
    self.inviter = inviter
    self.pool = pool
    self.credit = credit
    self.usesLeft = usesLeft
    self.expires = expires
    self.purpose = purpose
  }

  package static var kind: RecordKind { .invite }
  package var id: String { hash.hex }
  package var group: String { inviter.rawValue }
  package var packed: [UInt8] {
    var to = PackedWriter(version: 2)
    to.put(hash)
    to.put(inviter.rawValue)
    to.put(pool)
    to.put(credit)
    to.put(usesLeft)
    to.put(purpose.rawValue)
    return to.bytes
  }
  /// Version 1 told by its pool what it is good for.
  package init(packed: [UInt8], expires: UnixTime?) throws(PackedError) {
    let isFirst = packed.first == 1
    var from = try PackedReader(packed, version: isFirst ? 1 : 2)
    self.init(
      hash: try from.digest(), inviter: try from.account(), pool: try from.text(),
      credit: try from.micros(), usesLeft: try from.int(), expires: expires)
    if isFirst {
      purpose = pool.isEmpty ? .user : .pool
    } else {
      guard let known = Purpose(rawValue: try from.int()) else { throw PackedError() }
      purpose = known
    }
  }
}
