package import BloomBase
package import BloomLedger

/// What a pool demands of its machines and its members.
package struct PoolPolicy: Hashable, Sendable {
  /// The weakest evidence that its machines may have, a tier's number.
  package var minimumTier: UInt8
  /// The only region of its machines; `nil` for any.
  package var region: String?
  /// The models that may be asked in it; empty for all.
  package var models: [ModelID]
  /// Whether every member may invite, not its owner alone.
  package var membersInvite: Bool
  /// The most members.
  package var maximumMembers: Int

  /// Creates a policy; the defaults demand nothing and let the owner invite.
  package init(
    minimumTier: UInt8 = 0, region: String? = nil, models: [ModelID] = [],
    membersInvite: Bool = false, maximumMembers: Int = 1_000
  ) {
    self.minimumTier = minimumTier
    self.region = region
    self.models = models
    self.membersInvite = membersInvite
    self.maximumMembers = maximumMembers
  }
}

/// A private pool: who may ask, and whose machines answer.
package struct PoolRecord: StoredRecord {
  /// Its name, unique.
  package var name: String
  /// Who decides.
  package var owner: AccountID
  /// Who may ask; their machines answer.
  package var members: [AccountID]
  /// The only machines that answer, of those that members own; empty for all of them.
  package var nodes: [NodeID]
  /// When it was made.
  package var createdAt: UnixTime
  /// What it demands.
  package var policy: PoolPolicy

  /// Creates a pool's row.
  package init(
    name: String, owner: AccountID, members: [AccountID], nodes: [NodeID], createdAt: UnixTime,
    policy: PoolPolicy = PoolPolicy()
  ) {
    self.name = name
    self.owner = owner
    self.members = members
    self.nodes = nodes
    self.createdAt = createdAt
    self.policy = policy
  }

  package static var kind: RecordKind { .pool }
  package var id: String { name }
  package var group: String { owner.rawValue }
  package var expires: UnixTime? { nil }
  package var packed: [UInt8] {
    var to = PackedWriter(version: 2)
    to.put(name)
    to.put(owner.rawValue)
    to.put(members) { to, member in to.put(member.rawValue) }
    to.put(nodes) { to, node in to.put(node.digest) }
    to.put(createdAt)
    to.put(Int(policy.minimumTier))
    to.put(policy.region) { to, value in to.put(value) }
    to.put(policy.models) { to, model in to.put(model.digest) }
    to.put(policy.membersInvite)
    to.put(policy.maximumMembers)
    return to.bytes
  }
  /// Version 1 had no policy.
  package init(packed: [UInt8], expires: UnixTime?) throws(PackedError) {
    let isFirst = packed.first == 1
    var from = try PackedReader(packed, version: isFirst ? 1 : 2)
    self.init(
      name: try from.text(), owner: try from.account(),
      members: try from.list { (from) throws(PackedError) in try from.account() },
      nodes: try from.list { (from) throws(PackedError) in NodeID(try from.digest()) },
      createdAt: try from.time())
    guard !isFirst else { return }
    policy = PoolPolicy(
      minimumTier: UInt8(clamping: try from.int()),
      region: try from.optional { (from) throws(PackedError) in try from.text() },
      models: try from.list { (from) throws(PackedError) in ModelID(try from.digest()) },
      membersInvite: try from.bool(), maximumMembers: try from.int())
  }
}

/// One line of a pool's audit: who did what, and which machine answered whom; never content.
package struct PoolEventRecord: StoredRecord {
  /// What happened.
  package enum Action: Int, Sendable, CaseIterable {
    case created = 1
    case invited, joined, left, removed, policyChanged, keyMade, answered, deleted
  }

  /// The pool.
  package var pool: String
  /// When.
  package var time: UnixTime
  /// Tells events of one second apart; ascending within a process.
  package var number: UInt64
  /// What.
  package var action: Action
  /// Who did it, or who asked.
  package var account: AccountID
  /// Whom or what it concerned: an account, a key's label; empty for nothing.
  package var subject: String
  /// The machine that answered; `nil` for other events.
  package var node: NodeID?
  /// What was asked; `nil` for other events.
  package var model: ModelID?
  /// Tokens of the prompt.
  package var promptTokens: Int
  /// Tokens of the answer.
  package var completionTokens: Int
  /// When it may be deleted.
  package var expires: UnixTime?

  /// Creates an event; it is kept for 400 days.
  package init(
    pool: String, time: UnixTime, number: UInt64, action: Action, account: AccountID,
    subject: String = "", node: NodeID? = nil, model: ModelID? = nil, promptTokens: Int = 0,
    completionTokens: Int = 0
  ) {
    self.pool = pool
    self.time = time
    self.number = number
    self.action = action
    self.account = account
    self.subject = subject
    self.node = node
    self.model = model
    self.promptTokens = promptTokens
    self.completionTokens = completionTokens
    expires = time + 400 * 86_400
  }

  package static var kind: RecordKind { .poolEvent }
  /// In order of time: 16 digits of the second, 16 of the number, and the pool.
  package var id: String {
    "\(KeyID(UInt64(max(0, time.seconds))))\(KeyID(number))-\(pool)"
  }
  package var group: String { pool }
  package var packed: [UInt8] {
    var to = PackedWriter(version: 1)
    to.put(pool)
    to.put(time)
    to.put(Int64(bitPattern: number))
    to.put(action.rawValue)
    to.put(account.rawValue)
    to.put(subject)
    to.put(node) { to, node in to.put(node.digest) }
    to.put(model) { to, model in to.put(model.digest) }
    to.put(promptTokens)
    to.put(completionTokens)
    return to.bytes
  }
  package init(packed: [UInt8], expires: UnixTime?) throws(PackedError) {
    var from = try PackedReader(packed, version: 1)
    let pool = try from.text()
    let time = try from.time()
    let number = UInt64(bitPattern: try from.int64())
    guard let action = Action(rawValue: try from.int()) else { throw PackedError() }
    self.init(
      pool: pool, time: time, number: number, action: action, account: try from.account(),
      subject: try from.text(),
      node: try from.optional { (from) throws(PackedError) in NodeID(try from.digest()) },
      model: try from.optional { (from) throws(PackedError) in ModelID(try from.digest()) },
      promptTokens: try from.int(), completionTokens: try from.int())
    self.expires = expires
  }
}
