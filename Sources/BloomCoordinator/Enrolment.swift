package import BloomBase
internal import BloomCrypto
internal import BloomLedger
internal import BloomRecords
package import BloomStore
package import BloomWire

/// Joins devices to accounts by a short code that a person approves, RFC 8628 in shape.
///
/// Codes are kept, so a restart loses none; challenges live in memory for two minutes and are good
/// for one use. Safe from any task.
package final class Enrolment: Sendable {
  /// How long things last and how many there may be.
  package struct Limits: Sendable {
    /// Seconds until a code is void.
    package var codeSeconds: Int64 = 600
    /// Seconds between two questions of a waiting device.
    package var intervalSeconds: Int64 = 5
    /// Codes that wait for a person.
    package var pending = 1_000
    /// Wrong codes that one account, or the operator, may try in ten minutes.
    package var wrongCodes = 5
    /// Seconds until a challenge is void.
    package var challengeSeconds: Int64 = 120
    /// Challenges that wait for a proof; the oldest are forgotten first.
    package var challenges = 10_000

    /// The defaults above.
    package init() {}
  }

  /// What a device gets to wait with.
  package struct Grant: Sendable {
    /// The secret it polls with.
    package let deviceCode: String
    /// What the person types.
    package let userCode: String
    /// Seconds until both are void.
    package let expiresIn: Int64
    /// Seconds between two questions.
    package let interval: Int64
  }

  /// What a waiting device is told.
  package enum Answer: Sendable, Equatable {
    /// Nobody has decided.
    case pending
    /// It asks too often.
    case slowDown
    /// A person refused it.
    case denied
    /// The code is void.
    case expired
    /// A key of this account; it cannot be shown again.
    case key(String, AccountID, pool: String?)
    /// The machine belongs to this account.
    case node(NodeID, AccountID)
  }

  private struct Tries {
    var count = 0
    var since: UnixTime
  }

  private struct State {
    var challenges: [Digest: UnixTime] = [:]
    var order: [Digest] = []
    var polledAt: [Digest: UnixTime] = [:]
    var wrong: [AccountID: Tries] = [:]
  }

  private let store: LedgerStore
  private let accounts: Accounts
  private let pools: Pools
  private let logKey: [UInt8]
  private let time: any TimeSource
  private let limits: Limits
  private let state = Locked(State())

  /// Creates the enrolment of one network.
  ///
  /// - Parameters:
  ///   - store: Accounts, machines and codes.
  ///   - pools: For keys that are bound to one.
  ///   - logKey: The network's public log key: proofs are bound to it.
  ///   - time: The clocks.
  ///   - limits: How long and how many.
  package init(
    store: LedgerStore, pools: Pools, logKey: [UInt8], time: any TimeSource,
    limits: Limits = Limits()
  ) {
    self.store = store
    self.pools = pools
    self.logKey = logKey
    self.time = time
    self.limits = limits
    accounts = Accounts(store: store)
  }

  // MARK: Proofs

  /// A challenge for a machine's identity key: 32 random bytes, good once.
  package func challenge() -> [UInt8] {
    let challenge = Digest(SecureRandom.bytes(32)) ?? .zero
    let now = time.unixTime()
    state.withLock { state in
      state.challenges[challenge] = now
      state.order.append(challenge)
      while let oldest = state.order.first,
        state.order.count > limits.challenges || state.challenges[oldest] == nil
          || isOver(state.challenges[oldest], now)
      {
        state.order.removeFirst()
        state.challenges[oldest] = nil
      }
    }
    return challenge.bytes
  }

  /// Checks that a machine holds its identity key; the challenge is used up whatever comes of it.
  ///
  /// - Returns: The machine.
  /// - Throws: ``AccountError``.
  package func prove(
    _ purpose: EnrolmentProof.Purpose, identity: [UInt8], challenge: [UInt8], signature: [UInt8]
  ) throws -> NodeID {
    let now = time.unixTime()
    let madeAt = Digest(challenge).flatMap { digest in
      state.withLock { $0.challenges.removeValue(forKey: digest) }
    }
    guard let madeAt, !isOver(madeAt, now) else {
      throw AccountError(.badCode, "the challenge is unknown, used or too old; try again")
    }
    let message = EnrolmentProof.message(purpose, challenge: challenge, logKey: logKey)
    guard let key = try? VerifyingKey(subjectPublicKeyInfo: identity), key.kind == .p256,
      key.isValid(signature, for: message, .ecdsa(.sha256))
    else {
      throw AccountError(
        .invalid, "the proof is not by the machine's identity key for this network")
    }
    return KeyStatement.nodeID(of: key)
  }

  private func isOver(_ madeAt: UnixTime?, _ now: UnixTime) -> Bool {
    madeAt.map { now.seconds - $0.seconds > limits.challengeSeconds } ?? true
  }

  // MARK: The device's side

  /// Starts: the device shows the short code and polls with the long one.
  ///
  /// - Throws: `full` when too many wait, ``AccountError`` for a bad name.
  package func begin(_ subject: DeviceSubject) async throws -> Grant {
    let name = try AccountError.check(name: subject.name)
    if case .node(_, let region, _) = subject.kind, !region.isEmpty, ShortName(region) == nil {
      throw AccountError(.invalid, "a region has 1 to 48 characters of a-z A-Z 0-9 . _ : / -")
    }
    var random = SecureRandom()
    let now = time.unixTime()
    let waiting = store.list(DeviceCodeRecord.self).filter { !isVoid($0, now) }
    guard waiting.count < limits.pending else {
      throw AccountError(.full, "too many devices wait for approval; try again in some minutes")
    }
    let secret = SecureRandom.bytes(32)
    var code = UserCode.draw(using: &random)
    while waiting.contains(where: { $0.userCode == code }) { code = UserCode.draw(using: &random) }
    let record = DeviceCodeRecord(
      hash: SHA256.digest(secret), userCode: code,
      subject: DeviceSubject(kind: subject.kind, name: name).packed,
      expires: now + limits.codeSeconds)
    try await store.write([.put(record, if: .absent)])
    return Grant(
      deviceCode: Base64.encode(secret, .url), userCode: code, expiresIn: limits.codeSeconds,
      interval: limits.intervalSeconds)
  }

  /// What became of a code; a key is made and given out once.
  package func poll(_ deviceCode: String) async throws -> Answer {
    let now = time.unixTime()
    guard let secret = Base64.decode(deviceCode, .url), secret.count == 32,
      let record = store.get(DeviceCodeRecord.self, SHA256.digest(secret).hex),
      !isVoid(record, now), let subject = try? DeviceSubject(packed: record.subject)
    else { return .expired }
    if isTooEarly(record.hash, now) { return .slowDown }
    if subject.isDenied {
      try await store.write([.delete(record)])
      return .denied
    }
    guard let account = record.account else { return .pending }
    switch subject.kind {
    case .node(let node, _, _):
      try await accounts.write([.delete(record)])
      return .node(node, account)
    case .key(let pool):
      let key = Accounts.makeKey(
        for: account, name: subject.name, limits: KeyLimits(pool: pool),
        managesAccount: pool == nil, now: now)
      try await accounts.write { rows in
        // Others may have been approved, or made, since this one was.
        var changes = try Accounts.adding(key.record, to: rows)
        changes.append(.delete(record))
        return changes
      }
      return .key(key.text, account, pool: pool)
    }
  }

  private func isTooEarly(_ code: Digest, _ now: UnixTime) -> Bool {
    state.withLock { state in
      let last = state.polledAt[code]
      if state.polledAt.count > 2 * limits.pending { state.polledAt.removeAll() }
      state.polledAt[code] = now
      return last.map { now.seconds - $0.seconds < limits.intervalSeconds } ?? false
    }
  }

  // MARK: The person's side

  /// What a code would join.
  ///
  /// - Parameters:
  ///   - userCode: As typed.
  ///   - account: Who asks; wrong codes are counted by account.
  /// - Returns: What waits for a decision.
  /// - Throws: `badCode`, `slowDown`.
  package func lookUp(_ userCode: String, by account: AccountID) throws -> DeviceSubject {
    try find(userCode, by: account).subject
  }

  /// Approves or refuses what a code would join.
  ///
  /// - Returns: What was decided about.
  /// - Throws: ``AccountError``; `taken` for a machine of another account.
  package func decide(
    _ userCode: String, by account: AccountID, approve: Bool
  ) async throws -> DeviceSubject {
    let (record, subject) = try find(userCode, by: account)
    var decided = record
    guard approve else {
      var denied = subject
      denied.isDenied = true
      decided.subject = denied.packed
      try await accounts.write([.replace(record, with: decided)])
      return denied
    }
    decided.account = account
    var changes = [RecordChange.replace(record, with: decided)]
    switch subject.kind {
    case .key(let pool):
      if let pool { _ = try pools.pool(pool, member: account) }
      // Told to the person here; what holds is the count at the moment the key is made.
      guard accounts.keys(of: account).count(where: { $0.revokedAt == nil }) < Accounts.keysMax
      else { throw Accounts.tooManyKeys }
    case .node(let node, let region, let isPrivate):
      changes.append(
        try join(node, account, name: subject.name, region: region, isPrivate: isPrivate))
    }
    try await accounts.write(changes)
    return subject
  }

  private func find(
    _ userCode: String, by account: AccountID
  ) throws -> (record: DeviceCodeRecord, subject: DeviceSubject) {
    let now = time.unixTime()
    try checkTries(account, now)
    guard let code = UserCode.read(userCode),
      let record = store.list(DeviceCodeRecord.self, group: code).first(where: {
        !isVoid($0, now) && $0.account == nil
      }), let subject = try? DeviceSubject(packed: record.subject), !subject.isDenied
    else {
      state.withLock { $0.wrong[account, default: Tries(since: now)].count += 1 }
      throw AccountError(
        .badCode, "no device waits with this code; codes are good for ten minutes")
    }
    return (record, subject)
  }

  private func checkTries(_ account: AccountID, _ now: UnixTime) throws {
    let count = state.withLock { state in
      if state.wrong.count > 10_000 {
        state.wrong = state.wrong.filter { now.seconds - $0.value.since.seconds < 600 }
      }
      if let tries = state.wrong[account], now.seconds - tries.since.seconds >= 600 {
        state.wrong[account] = nil
      }
      return state.wrong[account]?.count ?? 0
    }
    guard count < limits.wrongCodes else {
      throw AccountError(.slowDown, "too many wrong codes; wait ten minutes")
    }
  }

  private func isVoid(_ record: DeviceCodeRecord, _ now: UnixTime) -> Bool {
    record.expires.map { $0 <= now } ?? true
  }

  // MARK: Machines

  /// Joins a proven machine to the account of whoever invited it, without a code.
  package func redeem(
    _ invite: String, node: NodeID, name: String, region: String, isPrivate: Bool
  ) async throws -> AccountID {
    let name = try AccountError.check(name: name)
    guard region.isEmpty || ShortName(region) != nil else {
      throw AccountError(.invalid, "a region has 1 to 48 characters of a-z A-Z 0-9 . _ : / -")
    }
    let invite = try accounts.invite(invite, .node, now: time.unixTime())
    let change = try join(node, invite.inviter, name: name, region: region, isPrivate: isPrivate)
    try await accounts.write([Accounts.use(invite), change])
    return invite.inviter
  }

  private func join(
    _ node: NodeID, _ account: AccountID, name: String, region: String, isPrivate: Bool
  ) throws -> RecordChange {
    let known = store.get(OwnedNodeRecord.self, node.digest.hex)
    if let known, known.owner != account {
      throw AccountError(
        .taken,
        "the machine belongs to another account; on it, run first: darkbloom node leave")
    }
    let new = OwnedNodeRecord(
      node: node, owner: account, name: name, joinedAt: known?.joinedAt ?? time.unixTime(),
      state: known?.state ?? [], region: region, isPrivate: isPrivate)
    return known.map { .replace($0, with: new) } ?? .put(new, if: .absent)
  }

  /// Takes a machine out of its account.
  ///
  /// - Parameters:
  ///   - node: Proven by its key, or named by its owner.
  ///   - owner: Must own it; `nil` for the machine itself and the operator.
  /// - Throws: `notFound`.
  package func leave(_ node: NodeID, owner: AccountID?) async throws {
    guard let known = store.get(OwnedNodeRecord.self, node.digest.hex),
      owner.map({ $0 == known.owner }) ?? true
    else { throw AccountError(.notFound, "the machine is in no account of yours") }
    try await accounts.write([.delete(known)])
  }

  /// The machines of an account, or all.
  package func nodes(of account: AccountID?) -> [OwnedNodeRecord] {
    store.list(OwnedNodeRecord.self, group: account?.rawValue)
  }
}
