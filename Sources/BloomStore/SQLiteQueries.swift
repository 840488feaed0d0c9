internal import BloomBase
internal import BloomLedger

/// The statements of the SQLite backend, on a connection of the caller.
struct SQLiteQueries {
  private let connection: SQLiteConnection

  init(_ connection: SQLiteConnection) { self.connection = connection }

  // MARK: Writing

  /// Writes changes within the caller's transaction.
  func write(_ changes: StoreChanges, _ numbers: inout AnswerNumbers) throws {
    try write(changes.ledger.entries)
    try writeState(changes.ledger)
    try write(changes.ledger.answers, &numbers)
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
    let first = try connection.integer("SELECT min(sequence) FROM account_tail") ?? 0
    try connection.prepare(
      """
      INSERT INTO account_runs SELECT ?1, account, group_concat(sequence - ?1)
      FROM account_tail GROUP BY account
      """
    ).run([.integer(first)])
    try connection.prepare("DELETE FROM account_tail").run([])
  }

  private func writeState(_ changes: ChangeSet) throws {
    let balance = try connection.prepare("REPLACE INTO balances VALUES(?, ?, ?, ?, ?, ?)")
    for (account, value) in changes.balances {
      try balance.run(
        [.text(account.rawValue)] + Bucket.allCases.map { .integer(value[$0].rawValue) })
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
    let proof = try connection.prepare("INSERT INTO proofs VALUES(?, ?)")
    for (id, body) in changes.proofs.sorted(by: { $0.key.number < $1.key.number }) {
      try proof.run([.integer(id.number), .blob(body)])
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

  private func write(
    _ answers: [AnswerID: Answer?], _ numbers: inout AnswerNumbers
  ) throws {
    let put = try connection.prepare("REPLACE INTO open_answers VALUES(?, ?)")
    let drop = try connection.prepare("DELETE FROM open_answers WHERE number = ?")
    for (id, answer) in answers {
      if let answer {
        try put.run([.integer(numbers.number(of: id)), .blob(answer.packed)])
      } else if let number = numbers.remove(id) {
        try drop.run([.integer(number)])
      }
    }
  }

  /// The rows of open answers, as they are stored now.
  func answerNumbers() throws -> AnswerNumbers {
    var numbers = AnswerNumbers()
    try rows("SELECT number, body FROM open_answers ORDER BY number") {
      numbers.add($0.integer(0), try Answer(packed: $0.blob(1)).id)
    }
    return numbers
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
    try rows("SELECT body FROM open_answers") {
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
    let wanted = try numbers(in: period, after: sequence)
    var found = try movements(of: account, wanted, limit: limit)
    try connection.prepare(
      "SELECT sequence FROM account_tail WHERE account = ?1 AND sequence >= ?2 AND sequence < ?3"
    ).rows([
      .text(account.rawValue), .integer(wanted.lowerBound), .integer(wanted.upperBound),
    ]) { found.append($0.integer(0)) }
    found += try settlements(of: account, wanted, limit: limit)
    return try entries(found.sorted().prefix(limit))
  }

  func movements(
    of account: AccountID, in period: Range<UnixTime>, after sequence: Int64, limit: Int
  ) throws -> [Entry] {
    let wanted = try numbers(in: period, after: sequence)
    return try entries(try movements(of: account, wanted, limit: limit)[...])
  }

  private func movements(
    of account: AccountID, _ wanted: Range<Int64>, limit: Int
  ) throws -> [Int64] {
    var found: [Int64] = []
    try connection.prepare(
      """
      SELECT sequence FROM account_movements
      WHERE account = ?1 AND sequence >= ?2 AND sequence < ?3 ORDER BY sequence LIMIT ?4
      """
    ).rows([
      .text(account.rawValue), .integer(wanted.lowerBound), .integer(wanted.upperBound),
      .integer(Int64(limit)),
    ]) { found.append($0.integer(0)) }
    return found
  }

  /// The numbers of an account's settlements in the runs, the earliest `limit` of them.
  private func settlements(
    of account: AccountID, _ wanted: Range<Int64>, limit: Int
  ) throws -> [Int64] {
    let next = try connection.prepare(
      "SELECT first FROM account_runs WHERE first > ? ORDER BY first LIMIT 1")
    let row = try connection.prepare(
      "SELECT offsets FROM account_runs WHERE first = ? AND account = ?")
    // The last run that begins before the first number wanted may still hold it.
    var first: Int64? = nil
    try connection.prepare(
      "SELECT first FROM account_runs WHERE first <= ? ORDER BY first DESC LIMIT 1"
    ).rows([.integer(wanted.lowerBound)]) { first = $0.integer(0) }
    if first == nil { try next.rows([.integer(wanted.lowerBound)]) { first = $0.integer(0) } }
    var found: [Int64] = []
    while let start = first, start < wanted.upperBound, found.count < limit {
      try row.rows([.integer(start), .text(account.rawValue)]) {
        for offset in try Self.offsets($0.blob(0)) where wanted.contains(start + offset) {
          found.append(start + offset)
        }
      }
      first = nil
      try next.rows([.integer(start)]) { first = $0.integer(0) }
    }
    return found
  }

  /// Decimal numbers with commas between them.
  private static func offsets(_ text: [UInt8]) throws -> [Int64] {
    var numbers: [Int64] = []
    var number: Int64 = 0
    for byte in text {
      switch byte {
      case UInt8(ascii: "0")...UInt8(ascii: "9") where number < 1 << 40:
        number = number * 10 + Int64(byte - UInt8(ascii: "0"))
      case UInt8(ascii: ","):
        numbers.append(number)
        number = 0
      default: throw PackedError()
      }
    }
    return numbers + [number]
  }

  /// A period as numbers of entries: times never go back.
  private func numbers(in period: Range<UnixTime>, after sequence: Int64) throws -> Range<Int64> {
    let first = max(try firstSequence(from: period.lowerBound), sequence + 1)
    return first..<max(first, try firstSequence(from: period.upperBound))
  }

  private func entries(_ numbers: ArraySlice<Int64>) throws -> [Entry] {
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

  func proofs(_ entries: ClosedRange<Int64>) throws -> [DisputeID: [UInt8]] {
    var proofs: [DisputeID: [UInt8]] = [:]
    let lines = DisputeID.numbers(entries)
    try connection.prepare("SELECT line, body FROM proofs WHERE line >= ? AND line < ?")
      .rows([.integer(lines.lowerBound), .integer(lines.upperBound)]) {
        proofs[DisputeID(number: $0.integer(0))] = $0.blob(1)
      }
    return proofs
  }

  func deleteExpired(before time: UnixTime) throws {
    try connection.prepare("DELETE FROM records WHERE expires < ?").run([.integer(time.seconds)])
    let first = try firstSequence(from: time + -LedgerLimits.proofSeconds)
    try connection.prepare("DELETE FROM proofs WHERE line < ?")
      .run([.integer(DisputeID(sequence: first, part: 0).number)])
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
