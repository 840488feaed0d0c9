package import BloomBase
package import BloomLedger

/// What an API key may do at most; a field that is `nil` or empty limits nothing.
package struct KeyLimits: Hashable, Sendable {
  /// What may be spent in a day, UTC.
  package var perDay: Micros?
  /// What may be spent in a calendar month, UTC.
  package var perMonth: Micros?
  /// Answers begun in a minute.
  package var requestsPerMinute: Int?
  /// The models that may be asked; empty for all.
  package var models: [ModelID]
  /// The only pool whose machines may answer.
  package var pool: String?
  /// The only region whose machines may answer.
  package var region: String?
  /// The weakest evidence that machines may have, a tier's number.
  package var minimumTier: UInt8
  /// When the key is void.
  package var expires: UnixTime?

  /// Creates limits; the defaults limit nothing.
  package init(
    perDay: Micros? = nil, perMonth: Micros? = nil, requestsPerMinute: Int? = nil,
    models: [ModelID] = [], pool: String? = nil, region: String? = nil, minimumTier: UInt8 = 0,
    expires: UnixTime? = nil
  ) {
    self.perDay = perDay
    self.perMonth = perMonth
    self.requestsPerMinute = requestsPerMinute
    self.models = models
    self.pool = pool
    self.region = region
    self.minimumTier = minimumTier
    self.expires = expires
  }

  /// Whether there is a bound on money.
  package var limitsSpend: Bool { perDay != nil || perMonth != nil }

  fileprivate func pack(_ to: inout PackedWriter) {
    to.put(perDay) { to, value in to.put(value) }
    to.put(perMonth) { to, value in to.put(value) }
    to.put(requestsPerMinute) { to, value in to.put(value) }
    to.put(models) { to, model in to.put(model.digest) }
    to.put(pool) { to, value in to.put(value) }
    to.put(region) { to, value in to.put(value) }
    to.put(Int(minimumTier))
    to.put(expires) { to, value in to.put(value) }
  }

  fileprivate init(_ from: inout PackedReader) throws(PackedError) {
    self.init(
      perDay: try from.optional { (from) throws(PackedError) in try from.micros() },
      perMonth: try from.optional { (from) throws(PackedError) in try from.micros() },
      requestsPerMinute: try from.optional { (from) throws(PackedError) in try from.int() },
      models: try from.list { (from) throws(PackedError) in ModelID(try from.digest()) },
      pool: try from.optional { (from) throws(PackedError) in try from.text() },
      region: try from.optional { (from) throws(PackedError) in try from.text() },
      minimumTier: UInt8(clamping: try from.int()),
      expires: try from.optional { (from) throws(PackedError) in try from.time() })
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
  /// What it may do at most.
  package var limits: KeyLimits
  /// Whether it may approve devices, make keys and manage pools of its account.
  package var managesAccount: Bool

  /// Creates a key's row.
  package init(
    hash: Digest, account: AccountID, name: String, createdAt: UnixTime,
    revokedAt: UnixTime? = nil, limits: KeyLimits = KeyLimits(), managesAccount: Bool = false
  ) {
    self.hash = hash
    self.account = account
    self.name = name
    self.createdAt = createdAt
    self.revokedAt = revokedAt
    self.limits = limits
    self.managesAccount = managesAccount
  }

  /// How people name it: the first 16 digits of its hash, which tell nothing of the key.
  package var label: String { String(hash.hex.prefix(16)) }

  package static var kind: RecordKind { .apiKey }
  package var id: String { hash.hex }
  package var group: String { account.rawValue }
  package var expires: UnixTime? { nil }
  package var packed: [UInt8] {
    var to = PackedWriter(version: 2)
    to.put(hash)
    to.put(account.rawValue)
    to.put(name)
    to.put(createdAt)
    to.put(revokedAt) { to, time in to.put(time) }
    limits.pack(&to)
    to.put(managesAccount)
    return to.bytes
  }
  /// Version 1 had no limits, and every key managed its account.
  package init(packed: [UInt8], expires: UnixTime?) throws(PackedError) {
    let isFirst = packed.first == 1
    var from = try PackedReader(packed, version: isFirst ? 1 : 2)
    self.init(
      hash: try from.digest(), account: try from.account(), name: try from.text(),
      createdAt: try from.time(),
      revokedAt: try from.optional { (from) throws(PackedError) in try from.time() },
      managesAccount: true)
    guard !isFirst else { return }
    limits = try KeyLimits(&from)
    managesAccount = try from.bool()
  }
}

/// What a key with a bound on money has spent in its present day and month.
package struct KeySpendRecord: StoredRecord {
  /// The key.
  package var hash: Digest
  /// Days since 1970-01-01, UTC.
  package var day: Int
  /// Settled in that day.
  package var daySpent: Micros
  /// Months since the year 0, UTC.
  package var month: Int
  /// Settled in that month.
  package var monthSpent: Micros
  /// Set aside for answers that run; after a crash it counts as spent.
  package var pending: Micros

  /// Creates a row; a new one has spent nothing.
  package init(
    hash: Digest, day: Int, daySpent: Micros = .zero, month: Int, monthSpent: Micros = .zero,
    pending: Micros = .zero
  ) {
    self.hash = hash
    self.day = day
    self.daySpent = daySpent
    self.month = month
    self.monthSpent = monthSpent
    self.pending = pending
  }

  package static var kind: RecordKind { .keySpend }
  package var id: String { hash.hex }
  package var group: String { "" }
  package var expires: UnixTime? { nil }
  package var packed: [UInt8] {
    var to = PackedWriter(version: 1)
    to.put(hash)
    to.put(day)
    to.put(daySpent)
    to.put(month)
    to.put(monthSpent)
    to.put(pending)
    return to.bytes
  }
  package init(packed: [UInt8], expires: UnixTime?) throws(PackedError) {
    var from = try PackedReader(packed, version: 1)
    self.init(
      hash: try from.digest(), day: try from.int(), daySpent: try from.micros(),
      month: try from.int(), monthSpent: try from.micros(), pending: try from.micros())
  }
}
