internal import BloomBase
internal import BloomLedger

/// The statements of the SQLite backend, on a connection of the caller.
struct SQLiteQueries: StoreReading {
  let connection: SQLiteConnection

  init(_ connection: SQLiteConnection) { self.connection = connection }

  /// The rows of open answers, as they are stored now.
  func answerNumbers() throws -> AnswerNumbers {
    var numbers = AnswerNumbers()
    try rows("SELECT number, body FROM open_answers ORDER BY number") {
      numbers.add($0.integer(0), try Answer(packed: $0.blob(1)).id)
    }
    return numbers
  }

  func snapshot(now: UnixTime) throws -> StoreSnapshot {
    var snapshot = StoreSnapshot()
    try rows("SELECT sequence, time FROM entries ORDER BY sequence DESC LIMIT 1") { row in
      snapshot.ledger.sequence = row.integer(0)
      snapshot.ledger.time = UnixTime(row.integer(1))
    }
    try rows("SELECT * FROM balances") { row in
      let found = try row.balance()
      snapshot.ledger.balances[found.account] = found.balance
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
      try statement.rows([.integer(number)]) { result.append(try $0.entry()) }
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
      let found = try row.demand()
      result[found.key] = found.usage
    }
    return result
  }

  func usage(of account: AccountID, days: ClosedRange<Int32>) throws -> [UsageKey: Usage] {
    // Steps from one day that has rows to the next: the key begins with the day.
    try usage(
      """
      WITH RECURSIVE days(day) AS (SELECT min(day) FROM usage WHERE day >= ?2
        UNION ALL SELECT (SELECT min(day) FROM usage WHERE day > days.day) FROM days
        WHERE days.day < ?3)
      SELECT usage.* FROM days CROSS JOIN usage
      WHERE days.day <= ?3 AND usage.day = days.day AND usage.account = ?1
      """,
      [
        .text(account.rawValue), .integer(Int64(days.lowerBound)),
        .integer(Int64(days.upperBound)),
      ])
  }

  func usageDays() throws -> [Int32] {
    var days: [Int32] = []
    try rows("SELECT DISTINCT day FROM usage ORDER BY day") {
      days.append(Int32(truncatingIfNeeded: $0.integer(0)))
    }
    return days
  }

  func usage(on day: Int32) throws -> [UsageKey: Usage] {
    try usage("SELECT * FROM usage WHERE day = ?", [.integer(Int64(day))])
  }

  private func usage(_ sql: String, _ values: [SQLiteValue]) throws -> [UsageKey: Usage] {
    var result: [UsageKey: Usage] = [:]
    try connection.prepare(sql).rows(values) { row in
      let found = try row.usage()
      result[found.key] = found.usage
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

  func records(_ kind: RecordKind, after id: String, limit: Int) throws -> [Record] {
    try records(
      "SELECT * FROM records WHERE kind = ? AND id > ? ORDER BY id LIMIT ?",
      [.integer(Int64(kind.rawValue)), .text(id), .integer(Int64(limit))])
  }

  private func rows(_ sql: String, _ body: (SQLiteRow) throws -> Void) throws {
    try connection.prepare(sql).rows([], body)
  }

  private func entries(_ sql: String, _ values: [SQLiteValue]) throws -> [Entry] {
    var result: [Entry] = []
    try connection.prepare(sql).rows(values) { result.append(try $0.entry()) }
    return result
  }

  private func records(_ sql: String, _ values: [SQLiteValue]) throws -> [Record] {
    var result: [Record] = []
    try connection.prepare(sql).rows(values) { result.append(try $0.record()) }
    return result
  }
}
