internal import BloomBase
internal import BloomLedger
internal import BloomStore

/// The statements of the PostgreSQL backend, on a connection of the caller.
struct PostgresQueries: StoreReading {
  private let connection: PostgresConnection

  init(_ connection: PostgresConnection) { self.connection = connection }

  // MARK: Writing

  /// Writes changes in one transaction and one round trip; a deposed writer's fail whole.
  func write(_ changes: StoreChanges, writer: Int64) throws {
    var batch = PostgresBatch(connection)
    // Locks the row against a take-over; divides by zero when another writer's number is there.
    try batch.add(
      """
      SELECT 1 / (SELECT count(*) FROM
        (SELECT 1 FROM meta WHERE name = 'writer' AND value = $1::bigint FOR UPDATE) AS locked)
      """, [.integer(writer)])
    try batch.add(changes)
    try batch.send()
  }

  /// Writes changes within the caller's transaction, whoever the writer is.
  func write(_ changes: StoreChanges) throws {
    var batch = PostgresBatch(connection)
    try batch.add(changes)
    try batch.send()
  }

  // MARK: Reading

  func snapshot(now: UnixTime) throws -> StoreSnapshot {
    var snapshot = StoreSnapshot()
    let last = try query("SELECT sequence, time FROM entries ORDER BY sequence DESC LIMIT 1")
    if last.count == 1 {
      snapshot.ledger.sequence = last.integer(0, 0)
      snapshot.ledger.time = UnixTime(last.integer(0, 1))
    }
    let balances = try query("SELECT account, credit, earned, reserved, held, payout FROM balances")
      .rows
    for row in balances {
      let found = try row.balance()
      snapshot.ledger.balances[found.account] = found.balance
    }
    snapshot.ledger.answers = try bodies("answers").map { try Answer(packed: $0) }
    snapshot.ledger.disputes = try bodies("disputes").map { try Dispute(packed: $0) }
    snapshot.ledger.payouts = try bodies("payouts WHERE pending = 1").map {
      try Payout(packed: $0)
    }
    snapshot.ledger.policies = try bodies("policies ORDER BY version").map {
      try AdoptedPolicy(packed: $0)
    }
    snapshot.ledger.prices = try bodies("prices ORDER BY version").map {
      try PriceVersion(packed: $0)
    }
    snapshot.ledger.recent = try entries(
      """
      SELECT * FROM entries WHERE time >= $1::bigint
      UNION SELECT * FROM entries WHERE time >= $2::bigint AND kind NOT IN (3, 4) ORDER BY 1
      """,
      [
        .integer(now.seconds - LedgerLimits.closedAnswerSeconds),
        .integer(now.seconds - LedgerLimits.keySeconds),
      ])
    let kinds = RecordKind.allCases.filter(\.isCached).map { "\($0.rawValue)" }
    snapshot.records = try records(
      "SELECT * FROM records WHERE kind IN (\(kinds.joined(separator: ",")))", [])
    return snapshot
  }

  func entries(after sequence: Int64, limit: Int) throws -> [Entry] {
    try entries(
      "SELECT * FROM entries WHERE sequence > $1::bigint ORDER BY sequence LIMIT $2::bigint",
      [.integer(sequence), .integer(Int64(limit))])
  }

  func entries(
    of account: AccountID, in period: Range<UnixTime>, after sequence: Int64, limit: Int
  ) throws -> [Entry] {
    try entries(
      """
      (SELECT sequence FROM account_entries
        WHERE account = $1 AND sequence >= $2::bigint AND sequence < $3::bigint
        ORDER BY sequence LIMIT $4::bigint)
      UNION ALL
      (SELECT sequence FROM account_movements
        WHERE account = $1 AND sequence >= $2::bigint AND sequence < $3::bigint
        ORDER BY sequence LIMIT $4::bigint)
      """, of: account, in: period, after: sequence, limit: limit)
  }

  func movements(
    of account: AccountID, in period: Range<UnixTime>, after sequence: Int64, limit: Int
  ) throws -> [Entry] {
    try entries(
      """
      SELECT sequence FROM account_movements
      WHERE account = $1 AND sequence >= $2::bigint AND sequence < $3::bigint
      """, of: account, in: period, after: sequence, limit: limit)
  }

  /// Entries whose numbers a statement selects: by account, first and end number, and count.
  private func entries(
    _ selection: String, of account: AccountID, in period: Range<UnixTime>,
    after sequence: Int64, limit: Int
  ) throws -> [Entry] {
    // Times never go back, so a period is a range of numbers.
    let first = try firstSequence(from: period.lowerBound)
    let end = try firstSequence(from: period.upperBound)
    return try entries(
      """
      SELECT e.* FROM (\(selection)) a JOIN entries e ON e.sequence = a.sequence
      ORDER BY a.sequence LIMIT $4::bigint
      """,
      [
        .text(account.rawValue), .integer(max(first, sequence + 1)), .integer(end),
        .integer(Int64(limit)),
      ])
  }

  private func firstSequence(from time: UnixTime) throws -> Int64 {
    let result = try query(
      """
      SELECT sequence FROM entries WHERE time >= $1::bigint ORDER BY time, sequence LIMIT 1
      """, [.integer(time.seconds)])
    return result.count == 0 ? .max : result.integer(0, 0)
  }

  func proofs(_ entries: ClosedRange<Int64>) throws -> [DisputeID: [UInt8]] {
    let lines = DisputeID.numbers(entries)
    let rows = try query(
      "SELECT line, body FROM proofs WHERE line >= $1::bigint AND line < $2::bigint",
      [.integer(lines.lowerBound), .integer(lines.upperBound)])
    var proofs: [DisputeID: [UInt8]] = [:]
    for row in 0..<rows.count {
      proofs[DisputeID(number: rows.integer(row, 0))] = rows.blob(row, 1)
    }
    return proofs
  }

  func deleteExpired(before time: UnixTime) throws {
    _ = try query("DELETE FROM records WHERE expires < $1::bigint", [.integer(time.seconds)])
    let first = try firstSequence(from: time + -LedgerLimits.proofSeconds)
    // Without such an entry every receipt is old; the largest number must not overflow.
    let end = first == .max ? first : DisputeID(sequence: first, part: 0).number
    _ = try query("DELETE FROM proofs WHERE line < $1::bigint", [.integer(end)])
  }

  func demand(days: ClosedRange<Int32>) throws -> [DemandKey: Usage] {
    let rows = try query(
      """
      SELECT day, model, sum(answers)::bigint, sum(prompt)::bigint, sum(completion)::bigint,
        sum(replayed)::bigint, sum(gross)::bigint, sum(fee)::bigint, sum(replay_paid)::bigint
      FROM usage WHERE day BETWEEN $1::bigint AND $2::bigint AND role = $3::bigint
      GROUP BY day, model
      """,
      [
        .integer(Int64(days.lowerBound)), .integer(Int64(days.upperBound)),
        .integer(Int64(UsageKey.Role.owner.rawValue)),
      ]
    ).rows
    var result: [DemandKey: Usage] = [:]
    for row in rows {
      let found = try row.demand()
      result[found.key] = found.usage
    }
    return result
  }

  func usage(of account: AccountID, days: ClosedRange<Int32>) throws -> [UsageKey: Usage] {
    try usage(
      """
      WITH RECURSIVE days(day) AS (SELECT min(day) FROM usage WHERE day >= $2::bigint
        UNION ALL SELECT (SELECT min(day) FROM usage WHERE day > days.day) FROM days
        WHERE days.day < $3::bigint)
      SELECT usage.* FROM days JOIN usage ON usage.day = days.day AND usage.account = $1
      WHERE days.day <= $3::bigint
      """,
      [
        .text(account.rawValue), .integer(Int64(days.lowerBound)),
        .integer(Int64(days.upperBound)),
      ])
  }

  func usageDays() throws -> [Int32] {
    let rows = try query("SELECT DISTINCT day FROM usage ORDER BY day")
    return (0..<rows.count).map { Int32(truncatingIfNeeded: rows.integer($0, 0)) }
  }

  func usage(on day: Int32) throws -> [UsageKey: Usage] {
    try usage("SELECT * FROM usage WHERE day = $1::bigint", [.integer(Int64(day))])
  }

  private func usage(_ sql: String, _ values: [PostgresValue]) throws -> [UsageKey: Usage] {
    let rows = try query(sql, values).rows
    var result: [UsageKey: Usage] = [:]
    for row in rows {
      let found = try row.usage()
      result[found.key] = found.usage
    }
    return result
  }

  func payouts(of account: AccountID?, limit: Int) throws -> [Payout] {
    var values = [PostgresValue.integer(Int64(limit))]
    if let account { values.append(.text(account.rawValue)) }
    let filter = account == nil ? "" : "WHERE account = $2"
    let rows = try query(
      "SELECT body FROM payouts \(filter) ORDER BY id DESC LIMIT $1::bigint", values)
    return try (0..<rows.count).map { try Payout(packed: rows.blob($0, 0)) }
  }

  func record(_ key: Record.Key) throws -> Record? {
    try records(
      "SELECT * FROM records WHERE kind = $1::bigint AND id = $2",
      [.integer(Int64(key.kind.rawValue)), .text(key.id)]
    ).first
  }

  func records(_ kind: RecordKind, group: String) throws -> [Record] {
    try records(
      "SELECT * FROM records WHERE kind = $1::bigint AND grp = $2 ORDER BY id",
      [.integer(Int64(kind.rawValue)), .text(group)])
  }

  func records(_ kind: RecordKind, after id: String, limit: Int) throws -> [Record] {
    try records(
      """
      SELECT * FROM records WHERE kind = $1::bigint AND id > $2 COLLATE "C"
      ORDER BY id COLLATE "C" LIMIT $3::bigint
      """, [.integer(Int64(kind.rawValue)), .text(id), .integer(Int64(limit))])
  }

  private func query(_ sql: String, _ values: [PostgresValue] = []) throws -> PostgresResult {
    try connection.query(sql, values)
  }

  private func bodies(_ source: String) throws -> [[UInt8]] {
    let rows = try query("SELECT body FROM \(source)")
    return (0..<rows.count).map { rows.blob($0, 0) }
  }

  private func entries(_ sql: String, _ values: [PostgresValue]) throws -> [Entry] {
    try query(sql, values).rows.map { try $0.entry() }
  }

  private func records(_ sql: String, _ values: [PostgresValue]) throws -> [Record] {
    try query(sql, values).rows.map { try $0.record() }
  }
}
