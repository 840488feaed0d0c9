package import BloomBase
package import BloomLedger

/// A person or a firm with a balance.
package struct AccountRecord: StoredRecord {
  /// Its identity in the ledger.
  package var account: AccountID
  /// As the holder wants to be called.
  package var name: String
  /// When it was made.
  package var createdAt: UnixTime
  /// Why it may do nothing; empty when it may.
  package var blockedReason: String

  /// Creates an account's row.
  package init(
    account: AccountID, name: String, createdAt: UnixTime, blockedReason: String = ""
  ) {
    self.account = account
    self.name = name
    self.createdAt = createdAt
    self.blockedReason = blockedReason
  }

  package static var kind: RecordKind { .account }
  package var id: String { account.rawValue }
  package var group: String { "" }
  package var expires: UnixTime? { nil }
  package var packed: [UInt8] {
    var to = PackedWriter(version: 1)
    to.put(account.rawValue)
    to.put(name)
    to.put(createdAt)
    to.put(blockedReason)
    return to.bytes
  }
  package init(packed: [UInt8], expires: UnixTime?) throws(PackedError) {
    var from = try PackedReader(packed, version: 1)
    self.init(
      account: try from.account(), name: try from.text(), createdAt: try from.time(),
      blockedReason: try from.text())
  }
}

/// An API key, known by its SHA-256 only.
package struct APIKeyRecord: StoredRecord {
  /// SHA-256 of the key's 32 bytes.
  package var hash: Digest
  /// Whose.
  package var account: AccountID
  /// As the holder calls it.
  package var name: String
  /// When it was made.
  package var createdAt: UnixTime
  /// Since when it is void; `nil` while in force.
  package var revokedAt: UnixTime?

  /// Creates a key's row.
  package init(
    hash: Digest, account: AccountID, name: String, createdAt: UnixTime,
    revokedAt: UnixTime? = nil
  ) {
    self.hash = hash
    self.account = account
    self.name = name
    self.createdAt = createdAt
    self.revokedAt = revokedAt
  }

  package static var kind: RecordKind { .apiKey }
  package var id: String { hash.hex }
  package var group: String { account.rawValue }
  package var expires: UnixTime? { nil }
  package var packed: [UInt8] {
    var to = PackedWriter(version: 1)
    to.put(hash)
    to.put(account.rawValue)
    to.put(name)
    to.put(createdAt)
    to.put(revokedAt) { to, time in to.put(time) }
    return to.bytes
  }
  package init(packed: [UInt8], expires: UnixTime?) throws(PackedError) {
    var from = try PackedReader(packed, version: 1)
    self.init(
      hash: try from.digest(), account: try from.account(), name: try from.text(),
      createdAt: try from.time(),
      revokedAt: try from.optional { (from) throws(PackedError) in try from.time() })
  }
}

/// A private pool: who may use which machines.
package struct PoolRecord: StoredRecord {
  /// Its name, unique.
  package var name: String
  /// Who decides.
  package var owner: AccountID
  /// Who may ask.
  package var members: [AccountID]
  /// Which machines answer.
  package var nodes: [NodeID]
  /// When it was made.
  package var createdAt: UnixTime

  /// Creates a pool's row.
  package init(
    name: String, owner: AccountID, members: [AccountID], nodes: [NodeID], createdAt: UnixTime
  ) {
    self.name = name
    self.owner = owner
    self.members = members
    self.nodes = nodes
    self.createdAt = createdAt
  }

  package static var kind: RecordKind { .pool }
  package var id: String { name }
  package var group: String { owner.rawValue }
  package var expires: UnixTime? { nil }
  package var packed: [UInt8] {
    var to = PackedWriter(version: 1)
    to.put(name)
    to.put(owner.rawValue)
    to.put(members) { to, member in to.put(member.rawValue) }
    to.put(nodes) { to, node in to.put(node.digest) }
    to.put(createdAt)
    return to.bytes
  }
  package init(packed: [UInt8], expires: UnixTime?) throws(PackedError) {
    var from = try PackedReader(packed, version: 1)
    self.init(
      name: try from.text(), owner: try from.account(),
      members: try from.list { (from) throws(PackedError) in try from.account() },
      nodes: try from.list { (from) throws(PackedError) in NodeID(try from.digest()) },
      createdAt: try from.time())
  }
}

/// A machine and the account that owns it. Learned rates and standing go into `state`.
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

  /// Creates a machine's row.
  package init(
    node: NodeID, owner: AccountID, name: String, joinedAt: UnixTime, state: [UInt8] = []
  ) {
    self.node = node
    self.owner = owner
    self.name = name
    self.joinedAt = joinedAt
    self.state = state
  }

  package static var kind: RecordKind { .node }
  package var id: String { node.digest.hex }
  package var group: String { owner.rawValue }
  package var expires: UnixTime? { nil }
  package var packed: [UInt8] {
    var to = PackedWriter(version: 1)
    to.put(node.digest)
    to.put(owner.rawValue)
    to.put(name)
    to.put(joinedAt)
    to.put(state)
    return to.bytes
  }
  package init(packed: [UInt8], expires: UnixTime?) throws(PackedError) {
    var from = try PackedReader(packed, version: 1)
    self.init(
      node: NodeID(try from.digest()), owner: try from.account(), name: try from.text(),
      joinedAt: try from.time(), state: try from.array())
  }
}

/// A device that asks to be joined to an account, by a short code a person types.
package struct DeviceCodeRecord: StoredRecord {
  /// SHA-256 of the secret the device polls with.
  package var hash: Digest
  /// What the person types.
  package var userCode: String
  /// Who approved it; `nil` while nobody has.
  package var account: AccountID?
  /// What is joined, in the coordinator's own form.
  package var subject: [UInt8]
  /// When it is void.
  package var expires: UnixTime?

  /// Creates a code's row.
  package init(
    hash: Digest, userCode: String, account: AccountID? = nil, subject: [UInt8],
    expires: UnixTime
  ) {
    self.hash = hash
    self.userCode = userCode
    self.account = account
    self.subject = subject
    self.expires = expires
  }

  package static var kind: RecordKind { .deviceCode }
  package var id: String { hash.hex }
  package var group: String { userCode }
  package var packed: [UInt8] {
    var to = PackedWriter(version: 1)
    to.put(hash)
    to.put(userCode)
    to.put(account) { to, account in to.put(account.rawValue) }
    to.put(subject)
    return to.bytes
  }
  package init(packed: [UInt8], expires: UnixTime?) throws(PackedError) {
    var from = try PackedReader(packed, version: 1)
    self.init(
      hash: try from.digest(), userCode: try from.text(),
      account: try from.optional { (from) throws(PackedError) in try from.account() },
      subject: try from.array(), expires: expires ?? UnixTime(0))
  }
}

/// An invitation to a pool or to the network.
package struct InviteRecord: StoredRecord {
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

  /// Creates an invitation's row.
  package init(
    hash: Digest, inviter: AccountID, pool: String = "", credit: Micros = .zero,
    usesLeft: Int = 1, expires: UnixTime? = nil
  ) {
    self.hash = hash
    self.inviter = inviter
    self.pool = pool
    self.credit = credit
    self.usesLeft = usesLeft
    self.expires = expires
  }

  package static var kind: RecordKind { .invite }
  package var id: String { hash.hex }
  package var group: String { inviter.rawValue }
  package var packed: [UInt8] {
    var to = PackedWriter(version: 1)
    to.put(hash)
    to.put(inviter.rawValue)
    to.put(pool)
    to.put(credit)
    to.put(usesLeft)
    return to.bytes
  }
  package init(packed: [UInt8], expires: UnixTime?) throws(PackedError) {
    var from = try PackedReader(packed, version: 1)
    self.init(
      hash: try from.digest(), inviter: try from.account(), pool: try from.text(),
      credit: try from.micros(), usesLeft: try from.int(), expires: expires)
  }
}

/// A signed receipt as it came, kept as the proof behind a settlement.
package struct ReceiptRecord: StoredRecord {
  /// SHA-256 of the bytes.
  package var digest: Digest
  /// The answer it belongs to.
  package var answer: AnswerID
  /// The signed receipt.
  package var bytes: [UInt8]
  /// When it may be deleted; `nil` for never.
  package var expires: UnixTime?

  /// Creates a receipt's row.
  package init(digest: Digest, answer: AnswerID, bytes: [UInt8], expires: UnixTime?) {
    self.digest = digest
    self.answer = answer
    self.bytes = bytes
    self.expires = expires
  }

  package static var kind: RecordKind { .receipt }
  package var id: String { digest.hex }
  package var group: String { "\(answer)" }
  package var packed: [UInt8] {
    var to = PackedWriter(version: 1)
    to.put(digest)
    to.put(answer.bytes)
    to.put(bytes)
    return to.bytes
  }
  package init(packed: [UInt8], expires: UnixTime?) throws(PackedError) {
    var from = try PackedReader(packed, version: 1)
    let digest = try from.digest()
    guard let answer = AnswerID(try from.array()) else { throw PackedError() }
    self.init(digest: digest, answer: answer, bytes: try from.array(), expires: expires)
  }
}
