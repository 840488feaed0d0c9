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
