internal import BloomBase
internal import BloomLedger

/// The statements of the SQLite backend, on a connection of the caller.
struct SQLiteQueries {
  private let connection: SQLiteConnection

  init(_ connection: SQLiteConnection) { self.connection = connection }

  // MARK: Writing

  /// Writes changes within the caller's transaction.
  func write(_ changes: StoreChanges) throws {
    try write(changes.ledger.entries)
    try writeState(changes.ledger)
    try writeUsage(changes.ledger.usage)
    for (key, record) in changes.records { try write(key, record) }
  }

  private func write(_ entries: [Entry]) throws {
    guard !entries.isEmpty else { return }
    let entry = try connection.prepare("INSERT INTO entries VALUES(?, ?, ?, ?, ?)")
    let tail = try connection.prepare("INSERT INTO account_tail VALUES(?, ?)")
    let movement = try connection.prepare("INSERT INTO account_movements VALUES(?2, ?1)")
    for value in entries {
      try entry.run([
        .integer(value.sequence), .integer(value.time.seconds),
        .integer(Int64(value.kind.rawValue)), .text(value.reference), .blob(value.packed),
      ])
      // A reservation changes nothing of what the account has; no statement shows it.
      guard value.kind != .reserve else { continue }
      let index = value.kind == .settle ? tail : movement
      for account in value.accounts {
        try index.run([.integer(value.sequence), .text(account.rawValue)])
      }
    }
    let count = try connection.integer("SELECT max(rowid) FROM account_tail") ?? 0
    if count >= SQLiteSchema.tailRows { try sortTail() }
  }

  private func sortTail() throws {
    try connection.prepare(
      """
      INSERT INTO account_entries SELECT account, sequence FROM account_tail
      ORDER BY account, sequence
      """
    ).run([])
    try connection.prepare("DELETE FROM account_tail").run([])
  }

  private func writeState(_ changes: ChangeSet) throws {
    let balance = try connection.prepare("REPLACE INTO balances VALUES(?, ?, ?, ?, ?, ?)")
    for (account, value) in changes.balances {
      try balance.run(
        [.text(account.rawValue)] + Bucket.allCases.map { .integer(value[$0].rawValue) })
    }
    let put = try connection.prepare("REPLACE INTO answers VALUES(?, ?)")
    let drop = try connection.prepare("DELETE FROM answers WHERE id = ?")
    for (id, answer) in changes.answers {
      if let answer {
        try put.run([.blob(id.bytes), .blob(answer.packed)])
      } else {
        try drop.run([.blob(id.bytes)])
      }
    }
    for (id, dispute) in changes.disputes {
      let key = [SQLiteValue.integer(id.sequence), .integer(Int64(id.part))]
      if let dispute {
        try connection.prepare("REPLACE INTO disputes VALUES(?, ?, ?)")
          .run(key + [.blob(dispute.packed)])
      } else {
        try connection.prepare("DELETE FROM disputes WHERE sequence = ? AND part = ?").run(key)
      }
    }
    for (id, payout) in changes.payouts {
      try connection.prepare("REPLACE INTO payouts VALUES(?, ?, ?, ?)").run([
        .integer(id), .text(payout.account.rawValue),
        .integer(payout.state == .requested ? 1 : 0), .blob(payout.packed),
      ])
    }
    for adopted in changes.policies {
      try connection.prepare("INSERT INTO policies VALUES(?, ?)").run([
        .integer(Int64(adopted.policy.policy.version)), .blob(adopted.packed),
      ])
    }
    for price in changes.prices {
      try connection.prepare("INSERT INTO prices VALUES(?, ?)").run([
        .integer(Int64(price.version)), .blob(price.packed),
      ])
    }
  }

  private func writeUsage(_ usage: [UsageKey: Usage]) throws {
    let statement = try connection.prepare(
      """
      INSERT INTO usage VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
      ON CONFLICT DO UPDATE SET answers = answers + excluded.answers,
        prompt = prompt + excluded.prompt, completion = completion + excluded.completion,
        replayed = replayed + excluded.replayed, gross = gross + excluded.gross,
        fee = fee + excluded.fee, replay_paid = replay_paid + excluded.replay_paid
      """)
    for (key, value) in usage {
      try statement.run([
        .text(key.account.rawValue), .integer(Int64(key.day)),
        .integer(Int64(key.role.rawValue)), .blob(key.node?.digest.bytes ?? []),
        .blob(key.model.digest.bytes), .integer(value.answers), .integer(value.promptTokens),
        .integer(value.completionTokens), .integer(value.replayedTokens),
        .integer(value.gross.rawValue), .integer(value.fee.rawValue),
        .integer(value.replayPaid.rawValue),
      ])
    }
  }

  private func write(_ key: Record.Key, _ record: Record?) throws {
    let name = [SQLiteValue.integer(Int64(key.kind.rawValue)), .text(key.id)]
    guard let record else {
      return try connection.prepare("DELETE FROM records WHERE kind = ? AND id = ?").run(name)
    }
    let expires = record.expires.map { SQLiteValue.integer($0.seconds) } ?? .null
    try connection.prepare("REPLACE INTO records VALUES(?, ?, ?, ?, ?)")
      .run(name + [.text(record.group), expires, .blob(record.body)])
  }

  // MARK: Reading

  func snapshot(now: UnixTime) throws -> StoreSnapshot {
    var snapshot = StoreSnapshot()
    try rows("SELECT sequence, time FROM entries ORDER BY sequence DESC LIMIT 1") { row in
      snapshot.ledger.sequence = row.integer(0)
      snapshot.ledger.time = UnixTime(row.integer(1))
    }
    try rows("SELECT * FROM balances") { row in
      guard let account = AccountID(row.text(0)) else { throw PackedError() }
      var balance = Balance()
      for bucket in Bucket.allCases {
        balance[bucket] = Micros(row.integer(Int32(bucket.rawValue) + 1))
      }
      snapshot.ledger.balances[account] = balance
    }
    try rows("SELECT body FROM answers") {
      snapshot.ledger.answers.append(try Answer(packed: $0.blob(0)))
    }
    try rows("SELECT body FROM disputes") {
      snapshot.ledger.disputes.append(try Dispute(packed: $0.blob(0)))
    }
    try rows("SELECT body FROM payouts WHERE pending = 1") {
      snapshot.ledger.payouts.append(try Payout(packed: $0.blob(0)))
    }
    try rows("SELECT body FROM policies ORDER BY version") {
      snapshot.ledger.policies.append(try AdoptedPolicy(packed: $0.blob(0)))
    }
    try rows("SELECT body FROM prices ORDER BY version") {
      snapshot.ledger.prices.append(try PriceVersion(packed: $0.blob(0)))
    }
    let first = try firstSequence(from: now + -LedgerLimits.closedAnswerSeconds)
    let keys = now + -LedgerLimits.keySeconds
    snapshot.ledger.recent = try entries(
      """
      SELECT * FROM entries
      WHERE time >= ? AND kind NOT IN (3, 4) AND sequence < ? ORDER BY time, sequence
      """, [.integer(keys.seconds), .integer(first)])
    snapshot.ledger.recent += try entries(
      "SELECT * FROM entries WHERE sequence >= ? ORDER BY sequence", [.integer(first)])
    let kinds = RecordKind.allCases.filter(\.isCached).map { "\($0.rawValue)" }
    snapshot.records = try records(
      "SELECT * FROM records WHERE kind IN (\(kinds.joined(separator: ",")))", [])
    return snapshot
  }

  func entries(after sequence: Int64, limit: Int) throws -> [Entry] {
    try entries(
      "SELECT * FROM entries WHERE sequence > ? ORDER BY sequence LIMIT ?",
      [.integer(sequence), .integer(Int64(limit))])
  }

  func entries(
    of account: AccountID, in period: Range<UnixTime>, after sequence: Int64, limit: Int
  ) throws -> [Entry] {
    try entries(
      """
      SELECT sequence FROM account_entries WHERE account = ?1 AND sequence >= ?2 AND sequence < ?3
      UNION ALL SELECT sequence FROM account_movements
        WHERE account = ?1 AND sequence >= ?2 AND sequence < ?3
      UNION ALL SELECT sequence FROM account_tail
        WHERE account = ?1 AND sequence >= ?2 AND sequence < ?3
      ORDER BY sequence LIMIT ?4
      """, of: account, in: period, after: sequence, limit: limit)
  }

  func movements(
    of account: AccountID, in period: Range<UnixTime>, after sequence: Int64, limit: Int
  ) throws -> [Entry] {
    try entries(
      """
      SELECT sequence FROM account_movements
      WHERE account = ?1 AND sequence >= ?2 AND sequence < ?3 ORDER BY sequence LIMIT ?4
      """, of: account, in: period, after: sequence, limit: limit)
  }

  /// Entries whose numbers a statement selects: by account, first and end number, and count.
  private func entries(
    _ selection: String, of account: AccountID, in period: Range<UnixTime>,
    after sequence: Int64, limit: Int
  ) throws -> [Entry] {
    // Times never go back, so a period is a range of numbers.
    let first = max(try firstSequence(from: period.lowerBound), sequence + 1)
    let end = try firstSequence(from: period.upperBound)
    var numbers: [Int64] = []
    try connection.prepare(selection).rows([
      .text(account.rawValue), .integer(first), .integer(end), .integer(Int64(limit)),
    ]) { numbers.append($0.integer(0)) }
    let statement = try connection.prepare("SELECT * FROM entries WHERE sequence = ?")
    var result: [Entry] = []
    result.reserveCapacity(numbers.count)
    for number in numbers {
      try statement.rows([.integer(number)]) { result.append(try entry($0)) }
    }
    return result
  }

  /// The first entry's number of a time or later; beyond the last when there is none.
  ///
  /// Numbers have no gaps and times never go back, so halving needs no index on time.
  private func firstSequence(from time: UnixTime) throws -> Int64 {
    let statement = try connection.prepare("SELECT time FROM entries WHERE sequence = ?")
    var low: Int64 = 1
    var high = (try connection.integer("SELECT max(sequence) FROM entries") ?? 0) + 1
    while low < high {
      let middle = low + (high - low) / 2
      var isEarlier = false
      try statement.rows([.integer(middle)]) { isEarlier = $0.integer(0) < time.seconds }
      if isEarlier { low = middle + 1 } else { high = middle }
    }
    return low
  }

  func demand(days: ClosedRange<Int32>) throws -> [DemandKey: Usage] {
    var result: [DemandKey: Usage] = [:]
    try connection.prepare(
      """
      SELECT day, model, sum(answers), sum(prompt), sum(completion), sum(replayed), sum(gross),
        sum(fee), sum(replay_paid)
      FROM usage WHERE day BETWEEN ?1 AND ?2 AND role = ?3 GROUP BY day, model
      """
    ).rows([
      .integer(Int64(days.lowerBound)), .integer(Int64(days.upperBound)),
      .integer(Int64(UsageKey.Role.owner.rawValue)),
    ]) { row in
      guard let model = Digest(row.blob(1)) else { throw PackedError() }
      let key = DemandKey(
        day: Int32(truncatingIfNeeded: row.integer(0)), model: ModelID(model))
      var usage = Usage()
      usage.answers = row.integer(2)
      usage.promptTokens = row.integer(3)
      usage.completionTokens = row.integer(4)
      usage.replayedTokens = row.integer(5)
      usage.gross = Micros(row.integer(6))
      usage.fee = Micros(row.integer(7))
      usage.replayPaid = Micros(row.integer(8))
      result[key] = usage
    }
    return result
  }

  func usage(of account: AccountID, days: ClosedRange<Int32>) throws -> [UsageKey: Usage] {
    var result: [UsageKey: Usage] = [:]
    // Steps from one day that has rows to the next: the key begins with the day.
    try connection.prepare(
      """
      WITH RECURSIVE days(day) AS (SELECT min(day) FROM usage WHERE day >= ?2
        UNION ALL SELECT (SELECT min(day) FROM usage WHERE day > days.day) FROM days
        WHERE days.day < ?3)
      SELECT usage.* FROM days CROSS JOIN usage
      WHERE days.day <= ?3 AND usage.day = days.day AND usage.account = ?1
      """
    ).rows([
      .text(account.rawValue), .integer(Int64(days.lowerBound)),
      .integer(Int64(days.upperBound)),
    ]) { row in
      guard let role = UsageKey.Role(rawValue: UInt8(truncatingIfNeeded: row.integer(2))),
        let model = Digest(row.blob(4))
      else { throw PackedError() }
      let key = UsageKey(
        day: Int32(truncatingIfNeeded: row.integer(1)), account: account, role: role,
        node: NodeID(row.blob(3)), model: ModelID(model))
      var usage = Usage()
      usage.answers = row.integer(5)
      usage.promptTokens = row.integer(6)
      usage.completionTokens = row.integer(7)
      usage.replayedTokens = row.integer(8)
      usage.gross = Micros(row.integer(9))
      usage.fee = Micros(row.integer(10))
      usage.replayPaid = Micros(row.integer(11))
      result[key] = usage
    }
    return result
  }

  func payouts(of account: AccountID?, limit: Int) throws -> [Payout] {
    var result: [Payout] = []
    let filter = account == nil ? "" : "WHERE account = ?2"
    var values = [SQLiteValue.integer(Int64(limit))]
    if let account { values.append(.text(account.rawValue)) }
    try connection.prepare("SELECT body FROM payouts \(filter) ORDER BY id DESC LIMIT ?1")
      .rows(values) { result.append(try Payout(packed: $0.blob(0))) }
    return result
  }

  func record(_ key: Record.Key) throws -> Record? {
    try records(
      "SELECT * FROM records WHERE kind = ? AND id = ?",
      [.integer(Int64(key.kind.rawValue)), .text(key.id)]
    ).first
  }

  func records(_ kind: RecordKind, group: String) throws -> [Record] {
    try records(
      "SELECT * FROM records WHERE kind = ? AND grp = ? ORDER BY id",
      [.integer(Int64(kind.rawValue)), .text(group)])
  }

  private func rows(_ sql: String, _ body: (SQLiteRow) throws -> Void) throws {
    try connection.prepare(sql).rows([], body)
  }

  private func entries(_ sql: String, _ values: [SQLiteValue]) throws -> [Entry] {
    var result: [Entry] = []
    try connection.prepare(sql).rows(values) { result.append(try entry($0)) }
    return result
  }

  private func entry(_ row: SQLiteRow) throws -> Entry {
    try Entry(
      sequence: row.integer(0), time: UnixTime(row.integer(1)),
      kind: UInt8(truncatingIfNeeded: row.integer(2)), reference: row.text(3),
      packed: row.blob(4))
  }

  private func records(_ sql: String, _ values: [SQLiteValue]) throws -> [Record] {
    var result: [Record] = []
    try connection.prepare(sql).rows(values) { row in
      guard let kind = RecordKind(rawValue: UInt8(truncatingIfNeeded: row.integer(0))) else {
        throw PackedError()
      }
      result.append(
        Record(
          key: Record.Key(kind, row.text(1)), group: row.text(2),
          expires: row.isNull(3) ? nil : UnixTime(row.integer(3)), body: row.blob(4)))
    }
    return result
  }
}
