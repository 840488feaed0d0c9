package import BloomBase
internal import BloomCrypto
internal import BloomLedger
package import BloomStore
internal import BloomWire

/// Private pools: members, their machines, and an account of what happened.
///
/// A pool's machines are those that its members own, unless its policy names some of them. Who
/// belongs to it is read when it is asked, so that who left is out at once. Safe from any task.
package final class Pools: Sendable {
  /// Pools of one owner.
  package static let ownedMax = 100
  private let store: LedgerStore
  private let accounts: Accounts
  private let time: any TimeSource
  private let eventNumber: Locked<UInt64>
  private struct Index: Sendable {
    /// The pools of each account; forgotten when one of them changes.
    var pools: [AccountID: [PoolRecord]]?
    /// Counts the changes.
    var generation = 0

    mutating func forget() {
      pools = nil
      generation += 1
    }
  }
  private let index = Locked(Index())

  /// Reads the pools of a store.
  package init(store: LedgerStore, time: any TimeSource) {
    self.store = store
    self.time = time
    accounts = Accounts(store: store)
    var random = SecureRandom()
    eventNumber = Locked(UInt64.random(in: 0..<1 << 48, using: &random))
  }

  // MARK: Reading

  /// A pool by its name; `nil` when there is none.
  package func pool(_ name: String) -> PoolRecord? { store.get(PoolRecord.self, name) }

  /// Every pool, in order of their names.
  package func all() -> [PoolRecord] { store.list(PoolRecord.self) }

  /// The pools of an account, in order of their names.
  package func pools(of account: AccountID) -> [PoolRecord] {
    let known = index.withLock { $0 }
    if let pools = known.pools { return pools[account] ?? [] }
    var made: [AccountID: [PoolRecord]] = [:]
    for pool in all() {
      for member in pool.members { made[member, default: []].append(pool) }
    }
    index.withLock { index in
      // What changed meanwhile may be missing in it.
      guard index.generation == known.generation else { return }
      index.pools = made
    }
    return made[account] ?? []
  }

  /// Writes a change of some pool; whatever comes of it, the index is made anew.
  private func write(_ changes: [RecordChange]) async throws {
    try await write { _ in changes }
  }

  private func write(deciding decide: (StoredRows) throws -> [RecordChange]) async throws {
    index.withLock { $0.forget() }
    defer { index.withLock { $0.forget() } }
    try await accounts.write(deciding: decide)
  }

  /// A pool as one of its members sees it.
  ///
  /// - Throws: `notFound`, also for pools of others: their names are nobody's business.
  package func pool(_ name: String, member: AccountID) throws(AccountError) -> PoolRecord {
    guard let pool = pool(name), pool.members.contains(member) else {
      throw AccountError(
        .notFound, "you are in no pool of that name; list yours: darkbloom pool list")
    }
    return pool
  }

  /// The machines of a pool's members that may answer in it.
  package func machines(of pool: PoolRecord) -> [OwnedNodeRecord] {
    pool.members.flatMap { store.list(OwnedNodeRecord.self, group: $0.rawValue) }
      .filter { pool.nodes.isEmpty || pool.nodes.contains($0.node) }
  }

  /// Whose a machine is and which pools it serves; `nil` for one that nobody enrolled.
  package func membership(of node: NodeID) -> NodeMembership? {
    guard let record = store.get(OwnedNodeRecord.self, node.digest.hex),
      let owner = store.get(AccountRecord.self, record.owner.rawValue),
      owner.blockedReason.isEmpty
    else { return nil }
    let pools = pools(of: record.owner).filter {
      $0.nodes.isEmpty || $0.nodes.contains(node)
    }
    return NodeMembership(
      owner: record.owner, region: record.region, pools: pools.map(\.name),
      isPrivate: record.isPrivate)
  }

  // MARK: Changing

  /// Makes a pool with its first member.
  package func create(_ name: String, owner: AccountID) async throws -> PoolRecord {
    guard PoolName.isValid(name) else {
      throw AccountError(
        .invalid, "a pool's name has 1 to 32 characters of a-z, 0-9 and -, not - first")
    }
    let pool = PoolRecord(
      name: name, owner: owner, members: [owner], nodes: [], createdAt: time.unixTime())
    guard self.pool(name) == nil else {
      throw AccountError(.taken, "a pool of that name exists; choose another name")
    }
    let created = event(.created, pool, owner)
    try await write { rows in
      guard rows.list(PoolRecord.self, group: owner.rawValue).count < Self.ownedMax else {
        throw AccountError(.full, "an account owns at most \(Self.ownedMax) pools")
      }
      return [.put(pool, if: .absent), created]
    }
    return pool
  }

  /// An invitation code, by the pool's owner or, if the policy says so, any member.
  package func invite(
    to name: String, by account: AccountID, uses: Int, seconds: Int64
  ) async throws -> String {
    let pool = try pool(name, member: account)
    guard pool.owner == account || pool.policy.membersInvite else {
      throw AccountError(.forbidden, "only the pool's owner invites; its policy says so")
    }
    let invite = try await accounts.invite(
      .pool, by: account, pool: name, uses: uses, expires: time.unixTime() + seconds)
    try await store.write([
      event(.invited, pool, account, subject: String(invite.record.id.prefix(16)))
    ])
    return invite.code
  }

  /// Takes an account in by an invitation.
  package func join(_ code: String, _ account: AccountID) async throws -> PoolRecord {
    let invite = try accounts.invite(code, .pool, now: time.unixTime())
    guard let old = pool(invite.pool) else {
      throw AccountError(.badCode, "the pool of this invite is gone")
    }
    // Who was removed cannot come back by what a removed member gave out.
    guard old.owner == invite.inviter || old.members.contains(invite.inviter) else {
      throw AccountError(.badCode, "the invite is unknown, used up or too old; ask for a new one")
    }
    guard !old.members.contains(account) else {
      throw AccountError(.taken, "you are in the pool \(old.name) already")
    }
    guard old.members.count < old.policy.maximumMembers else {
      throw AccountError(.full, "the pool has as many members as its policy allows")
    }
    var new = old
    new.members.append(account)
    try await write([
      Accounts.use(invite), .replace(old, with: new), event(.joined, new, account),
    ])
    return new
  }

  /// Takes a member out: itself, or another by the owner.
  package func remove(
    _ member: AccountID, from name: String, by account: AccountID
  ) async throws -> PoolRecord {
    let old = try pool(name, member: account)
    guard member == account || old.owner == account else {
      throw AccountError(.forbidden, "only the pool's owner removes others")
    }
    guard member != old.owner else {
      throw AccountError(
        .forbidden, "a pool's owner cannot leave it; end it with: darkbloom pool leave --delete")
    }
    guard old.members.contains(member) else {
      throw AccountError(.notFound, "that account is not in the pool")
    }
    var new = old
    new.members.removeAll { $0 == member }
    let action: PoolEventRecord.Action = member == account ? .left : .removed
    try await write([
      .replace(old, with: new), event(action, new, account, subject: member.rawValue),
    ])
    return new
  }

  /// Ends a pool; keys that are bound to it are refused from then on.
  package func delete(_ name: String, by account: AccountID) async throws {
    let pool = try pool(name, member: account)
    guard pool.owner == account else {
      throw AccountError(.forbidden, "only the pool's owner ends it")
    }
    try await delete(pool, by: account)
  }

  /// Ends a pool by the operator.
  package func delete(_ pool: PoolRecord, by account: AccountID) async throws {
    try await write([.delete(pool), event(.deleted, pool, account)])
  }

  /// Changes a pool's policy and the machines it is restricted to.
  package func change(
    _ name: String, by account: AccountID, _ change: (inout PoolRecord) throws -> Void
  ) async throws -> PoolRecord {
    let old = try pool(name, member: account)
    guard old.owner == account else {
      throw AccountError(.forbidden, "only the pool's owner changes its policy")
    }
    var new = old
    try change(&new)
    try await write([.replace(old, with: new), event(.policyChanged, new, account)])
    return new
  }

  // MARK: Audit

  /// What happened in a pool, oldest first; for its owner.
  package func audit(_ name: String, by account: AccountID) async throws -> [PoolEventRecord] {
    let pool = try pool(name, member: account)
    guard pool.owner == account else {
      throw AccountError(.forbidden, "only the pool's owner sees its audit")
    }
    // Answers are noted in memory first: what came before this call is to be seen.
    await store.catchUp()
    return try await store.fetch(PoolEventRecord.self, group: name)
  }

  /// The row of an event.
  func event(
    _ action: PoolEventRecord.Action, _ pool: PoolRecord, _ account: AccountID,
    subject: String = ""
  ) -> RecordChange {
    .put(
      PoolEventRecord(
        pool: pool.name, time: time.unixTime(), number: nextNumber(), action: action,
        account: account, subject: subject))
  }

  /// A machine answered a member; durable with the settlement beside it.
  func answered(
    _ pool: String, _ account: AccountID, owner: AccountID, node: NodeID, model: ModelID,
    promptTokens: Int, completionTokens: Int
  ) throws {
    try store.submit([
      .put(
        PoolEventRecord(
          pool: pool, time: time.unixTime(), number: nextNumber(), action: .answered,
          account: account, subject: owner.rawValue, node: node, model: model,
          promptTokens: promptTokens, completionTokens: completionTokens))
    ])
  }

  private func nextNumber() -> UInt64 {
    eventNumber.withLock {
      $0 &+= 1
      return $0
    }
  }
}
