package import BloomBase
internal import BloomCrypto
internal import BloomLedger
package import BloomStore
internal import BloomWire

/// Who asks: an account, and the key that it showed.
package struct Caller: Sendable {
  /// The account.
  package let account: AccountID
  /// The key; its limits count.
  package let key: APIKeyRecord

  /// Throws unless the key may change things of its account.
  func requireManagement() throws(AccountError) {
    guard key.managesAccount else {
      throw AccountError(
        .forbidden, "this API key may ask only; use the device where you ran: darkbloom login")
    }
  }
}

/// Who may ask: accounts, their API keys, and invitations.
package struct Accounts: Sendable {
  /// Who may make an account without the operator.
  package enum SignUp: String, Sendable, CaseIterable {
    /// Nobody.
    case closed
    /// Whoever has an invitation.
    case invite
    /// Everybody.
    case open
  }

  /// Keys of one account in force at once.
  package static let keysMax = 100
  /// Rows of keys of one account, revoked ones included; the oldest revoked are forgotten.
  private static let keyRowsMax = 1_000
  /// Invitations of one account that are still good.
  private static let invitesMax = 1_000
  private let store: LedgerStore

  /// Reads the accounts of a store.
  package init(store: LedgerStore) { self.store = store }

  // MARK: Keys

  /// A new key: the text for the user, and the row that is kept of it.
  ///
  /// The key is 32 random bytes; only their SHA-256 is stored.
  package static func makeKey(
    for account: AccountID, name: String, limits: KeyLimits = KeyLimits(),
    managesAccount: Bool = false, now: UnixTime
  ) -> (text: String, record: APIKeyRecord) {
    let secret = SecureRandom.bytes(32)
    let record = APIKeyRecord(
      hash: SHA256.digest(secret), account: account, name: name, createdAt: now, limits: limits,
      managesAccount: managesAccount)
    return ("db-" + Base64.encode(secret, .url), record)
  }

  /// Who an `Authorization: Bearer` value stands for.
  ///
  /// - Returns: The caller, or the reason for a refusal.
  package func caller(authorization: String?, now: UnixTime) -> Result<Caller, RelayRefusal> {
    func refuse(_ reason: Reason) -> Result<Caller, RelayRefusal> {
      .failure(RelayRefusal(reason: reason, retryAfter: nil))
    }
    guard let authorization, authorization.hasPrefix("Bearer db-"),
      let secret = Base64.decode(authorization.dropFirst(10), .url), secret.count == 32,
      let key = store.get(APIKeyRecord.self, SHA256.digest(secret).hex), key.revokedAt == nil,
      let account = store.get(AccountRecord.self, key.account.rawValue)
    else { return refuse(.unauthorized) }
    if let end = key.limits.expires, end <= now { return refuse(.keyExpired) }
    guard account.blockedReason.isEmpty else { return refuse(.notAllowed) }
    return .success(Caller(account: key.account, key: key))
  }

  /// The account of an `Authorization: Bearer` value; `nil` when the key is not in force.
  package func account(authorization: String?, now: UnixTime) -> AccountID? {
    try? caller(authorization: authorization, now: now).get().account
  }

  /// Makes a key of an account and keeps its hash.
  ///
  /// - Returns: The key; it cannot be shown again.
  /// - Throws: `StoreError` when it was not kept, ``AccountError`` when there are too many.
  package func addKey(
    for account: AccountID, name: String, limits: KeyLimits = KeyLimits(),
    managesAccount: Bool = false, now: UnixTime
  ) async throws -> (text: String, record: APIKeyRecord) {
    let key = Self.makeKey(
      for: account, name: try AccountError.check(name: name), limits: limits,
      managesAccount: managesAccount, now: now)
    try await write { rows in try Self.adding(key.record, to: rows) }
    return key
  }

  /// What keeps a new key; the oldest revoked one is forgotten when there are many.
  ///
  /// - Throws: ``AccountError`` with `full` when the account has as many in force as it may.
  static func adding(
    _ key: APIKeyRecord, to rows: StoredRows
  ) throws(AccountError) -> [RecordChange] {
    let known = oldestFirst(rows.list(APIKeyRecord.self, group: key.account.rawValue))
    guard known.count(where: { $0.revokedAt == nil }) < keysMax else { throw tooManyKeys }
    var changes: [RecordChange] = [.put(key, if: .absent)]
    if known.count >= keyRowsMax, let old = known.first(where: { $0.revokedAt != nil }) {
      changes.append(.delete(old))
    }
    return changes
  }

  /// Why an account gets no further key.
  static var tooManyKeys: AccountError {
    AccountError(.full, "an account has at most \(keysMax) keys; revoke one first")
  }

  /// An account's keys, revoked ones included, oldest first.
  package func keys(of account: AccountID) -> [APIKeyRecord] {
    Self.oldestFirst(store.list(APIKeyRecord.self, group: account.rawValue))
  }

  private static func oldestFirst(_ keys: [APIKeyRecord]) -> [APIKeyRecord] {
    keys.sorted { ($0.createdAt, $0.id) < ($1.createdAt, $1.id) }
  }

  /// Revokes a key by the first digits of its hash.
  ///
  /// - Throws: `notFound` unless exactly one key in force begins so.
  @discardableResult
  package func revoke(
    _ label: String, of account: AccountID, now: UnixTime
  ) async throws -> APIKeyRecord {
    let matching = keys(of: account).filter { $0.revokedAt == nil && $0.id.hasPrefix(label) }
    guard label.utf8.count >= 8, matching.count == 1, let key = matching.first else {
      throw AccountError(.notFound, "no key of this account in force has that id")
    }
    var revoked = key
    revoked.revokedAt = now
    try await store.write([.replace(key, with: revoked)])
    return revoked
  }

  /// What a key has spent in its present day and month; `nil` for one without a bound on money.
  package func spend(of key: APIKeyRecord, now: UnixTime) -> KeySpendRecord? {
    guard key.limits.limitsSpend else { return nil }
    return KeySpend.current(store.get(KeySpendRecord.self, key.id), key.hash, now)
  }

  // MARK: Accounts

  /// The account, made with a credit if it is not there yet.
  ///
  /// - Parameters:
  ///   - account: Its identity.
  ///   - name: As people call it.
  ///   - credit: Granted once, however often this is called.
  ///   - now: The time.
  /// - Throws: `StoreError` or `LedgerError` when it was not kept.
  package func ensure(
    _ account: AccountID, name: String, credit: Micros, now: UnixTime
  ) async throws {
    if store.get(AccountRecord.self, account.rawValue) == nil {
      try await store.write([
        .put(AccountRecord(account: account, name: name, createdAt: now), if: .absent)
      ])
    }
    guard credit > .zero else { return }
    try await store.apply(.grant(key: "first-credit:\(account)", account, credit))
  }

  /// All accounts in order of their ids.
  package func all() -> [AccountRecord] { store.list(AccountRecord.self) }

  /// An account.
  ///
  /// - Throws: `notFound`.
  package func account(_ name: String) throws -> AccountRecord {
    guard let record = store.get(AccountRecord.self, name) else {
      throw AccountError(
        .notFound, "there is no such account; list them: darkbloom-coordinator admin accounts list")
    }
    return record
  }

  /// Blocks an account, or lets it go on with an empty reason.
  package func block(_ name: String, reason: String) async throws -> AccountRecord {
    let old = try account(name)
    var new = old
    new.blockedReason = reason
    try await store.write([.replace(old, with: new)])
    return new
  }

  /// A new account with its first key, by the network's policy.
  ///
  /// - Parameters:
  ///   - name: As the holder wants to be called.
  ///   - code: Of an invitation; needed unless everybody may sign up.
  ///   - policy: Who may.
  ///   - credit: Granted to accounts that nobody invited.
  ///   - now: The time.
  /// - Returns: The account, and its key that cannot be shown again.
  /// - Throws: ``AccountError``, or what the store throws.
  package func signUp(
    name: String, invite code: String?, policy: SignUp, credit: Micros, now: UnixTime
  ) async throws -> (account: AccountID, key: String) {
    let name = try AccountError.check(name: name)
    var changes: [RecordChange] = []
    var grant = credit
    switch (policy, code) {
    case (.closed, _):
      throw AccountError(.forbidden, "this network takes no new accounts; ask its operator")
    case (.invite, nil):
      throw AccountError(
        .forbidden, "this network takes new accounts by invite; ask its operator for a link")
    case (.open, nil): break
    case (_, let code?):
      let invite = try invite(code, .user, now: now)
      changes.append(Self.use(invite))
      grant = invite.credit
    }
    let account = Self.newAccount()
    let key = Self.makeKey(for: account, name: "first", managesAccount: true, now: now)
    changes += [
      .put(AccountRecord(account: account, name: name, createdAt: now), if: .absent),
      .put(key.record, if: .absent),
    ]
    try await write(changes)
    if grant > .zero {
      try await store.apply(.grant(key: "first-credit:\(account)", account, grant))
    }
    return (account, key.text)
  }

  private static func newAccount() -> AccountID {
    let name = "u-" + Hex.encode(SecureRandom.bytes(8))
    guard let account = AccountID(name) else { fatalError("hexadecimal digits are allowed") }
    return account
  }

  // MARK: Invitations

  /// A new invitation: the code for the guest, and the row that is kept of it.
  package func invite(
    _ purpose: InviteRecord.Purpose, by inviter: AccountID, pool: String = "",
    credit: Micros = .zero, uses: Int = 1, expires: UnixTime?
  ) async throws -> (code: String, record: InviteRecord) {
    guard (1...10_000).contains(uses) else {
      throw AccountError(.invalid, "an invite is good for 1 to 10000 uses")
    }
    guard (0...1_000_000_000_000).contains(credit.rawValue) else {
      throw AccountError(.invalid, "credit is between 0 and a million units")
    }
    let secret = SecureRandom.bytes(InviteCode.byteCount)
    let record = InviteRecord(
      hash: SHA256.digest(secret), inviter: inviter, pool: pool, credit: credit, usesLeft: uses,
      expires: expires, purpose: purpose)
    try await write { rows in
      guard rows.list(InviteRecord.self, group: inviter.rawValue).count < Self.invitesMax else {
        throw AccountError(.full, "too many invites are still good; take some back first")
      }
      return [.put(record, if: .absent)]
    }
    return (Base64.encode(secret, .url), record)
  }

  /// All invitations.
  package func invites() -> [InviteRecord] { store.list(InviteRecord.self) }

  /// Takes an invitation back by the first digits of its hash.
  package func revokeInvite(_ label: String) async throws {
    let matching = invites().filter { $0.id.hasPrefix(label) }
    guard label.utf8.count >= 8, matching.count == 1, let invite = matching.first else {
      throw AccountError(.notFound, "no invite has that id")
    }
    try await store.write([.delete(invite)])
  }

  /// A valid invitation by its code.
  ///
  /// - Throws: `badCode`, the same for every way in which it is not valid.
  func invite(
    _ code: String, _ purpose: InviteRecord.Purpose, now: UnixTime
  ) throws -> InviteRecord {
    guard let secret = Base64.decode(code, .url), secret.count == InviteCode.byteCount,
      let invite = store.get(InviteRecord.self, SHA256.digest(secret).hex),
      invite.usesLeft > 0, invite.expires.map({ $0 > now }) ?? true
    else {
      throw AccountError(.badCode, "the invite is unknown, used up or too old; ask for a new one")
    }
    guard invite.purpose == purpose else {
      throw AccountError(.badCode, Self.otherUse(of: invite.purpose))
    }
    return invite
  }

  private static func otherUse(of purpose: InviteRecord.Purpose) -> String {
    switch purpose {
    case .user: "the invite is for a new account; use it with: darkbloom join LINK"
    case .node: "the invite is for a machine; run there: darkbloom join LINK"
    case .pool: "the invite is for a pool; use it with: darkbloom pool join CODE"
    }
  }

  /// One use less.
  static func use(_ invite: InviteRecord) -> RecordChange {
    guard invite.usesLeft > 1 else { return .delete(invite) }
    var used = invite
    used.usesLeft -= 1
    return .replace(invite, with: used)
  }

  /// Writes; somebody who was faster makes the code void, not the store broken.
  func write(_ changes: [RecordChange]) async throws {
    try await write { _ in changes }
  }

  /// Writes what is decided from the rows as they are, ``LedgerStore/write(deciding:)``.
  func write(deciding decide: (StoredRows) throws -> [RecordChange]) async throws {
    do {
      try await store.write(deciding: decide)
    } catch let error as StoreError where error.code == .conflict {
      throw AccountError(.taken, "somebody else was faster; try again")
    }
  }
}
