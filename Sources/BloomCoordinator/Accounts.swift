package import BloomBase
internal import BloomCrypto
internal import BloomLedger
package import BloomStore

/// Who may ask: API keys and the accounts behind them.
package struct Accounts: Sendable {
  private let store: LedgerStore

  /// Reads the accounts of a store.
  package init(store: LedgerStore) { self.store = store }

  /// A new key: the text for the user, and the row that is kept of it.
  ///
  /// The key is 32 random bytes; only their SHA-256 is stored.
  package static func makeKey(
    for account: AccountID, name: String, now: UnixTime
  ) -> (text: String, record: APIKeyRecord) {
    let secret = SecureRandom.bytes(32)
    let record = APIKeyRecord(
      hash: SHA256.digest(secret), account: account, name: name, createdAt: now)
    return ("db-" + Base64.encode(secret, .url), record)
  }

  /// The account of an `Authorization: Bearer` value; `nil` when the key is unknown, revoked or its
  /// account is blocked.
  package func account(authorization: String?) -> AccountID? {
    guard let authorization, authorization.hasPrefix("Bearer db-"),
      let secret = Base64.decode(authorization.dropFirst(10), .url), secret.count == 32,
      let key = store.get(APIKeyRecord.self, SHA256.digest(secret).hex), key.revokedAt == nil,
      let account = store.get(AccountRecord.self, key.account.rawValue),
      account.blockedReason.isEmpty
    else { return nil }
    return key.account
  }

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

  /// Makes a key of an account and keeps its hash.
  ///
  /// - Returns: The key; it cannot be shown again.
  /// - Throws: `StoreError` when it was not kept.
  package func addKey(
    for account: AccountID, name: String, now: UnixTime
  ) async throws -> String {
    let key = Self.makeKey(for: account, name: name, now: now)
    try await store.write([.put(key.record, if: .absent)])
    return key.text
  }
}
