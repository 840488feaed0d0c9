internal import BloomBase
internal import BloomLedger
internal import BloomStore

/// Statements that go to the server together.
///
/// One a table, whatever the number of rows.
struct PostgresBatch {
  private let connection: PostgresConnection
  private var statements: [(name: String, values: [PostgresValue])] = []

  init(_ connection: PostgresConnection) { self.connection = connection }

  mutating func add(_ sql: String, _ values: [PostgresValue]) throws {
    statements.append((try connection.prepare(sql), values))
  }

  func send() throws { try connection.pipeline(statements) }

  mutating func add(_ changes: StoreChanges) throws {
    try add(entries: changes.ledger.entries)
    try add(state: changes.ledger)
    try add(usage: changes.ledger.usage)
    try add(records: changes.records)
  }

  private mutating func add(entries: [Entry]) throws {
    guard !entries.isEmpty else { return }
    var columns = (0..<5).map { _ in PostgresArray() }
    var settled = (accounts: PostgresArray(), numbers: PostgresArray())
    var moved = settled
    for entry in entries {
      columns[0].add(entry.sequence)
      columns[1].add(entry.time.seconds)
      columns[2].add(Int64(entry.kind.rawValue))
      columns[3].add(entry.reference)
      columns[4].add(entry.packed)
      // A reservation changes nothing of what the account has; no statement shows it.
      guard entry.kind != .reserve else { continue }
      for account in entry.accounts {
        if entry.kind == .settle {
          settled.accounts.add(account.rawValue)
          settled.numbers.add(entry.sequence)
        } else {
          moved.accounts.add(account.rawValue)
          moved.numbers.add(entry.sequence)
        }
      }
    }
    try add(
      """
      INSERT INTO entries SELECT * FROM
        unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::text[], $5::bytea[])
      """, columns.map(\.value))
    try add(
      "INSERT INTO account_entries SELECT * FROM unnest($1::text[], $2::bigint[])",
      [settled.accounts.value, settled.numbers.value])
    try add(
      "INSERT INTO account_movements SELECT * FROM unnest($1::text[], $2::bigint[])",
      [moved.accounts.value, moved.numbers.value])
  }

  private mutating func add(state changes: ChangeSet) throws {
    if !changes.balances.isEmpty {
      var accounts = PostgresArray()
      var buckets = Bucket.allCases.map { _ in PostgresArray() }
      for (account, balance) in changes.balances {
        accounts.add(account.rawValue)
        for (column, bucket) in Bucket.allCases.enumerated() {
          buckets[column].add(balance[bucket].rawValue)
        }
      }
      try add(
        """
        INSERT INTO balances SELECT * FROM unnest($1::text[], $2::bigint[], $3::bigint[],
          $4::bigint[], $5::bigint[], $6::bigint[])
        ON CONFLICT(account) DO UPDATE SET credit = excluded.credit, earned = excluded.earned,
          reserved = excluded.reserved, held = excluded.held, payout = excluded.payout
        """, [accounts.value] + buckets.map(\.value))
    }
    try add(answers: changes.answers)
    for (id, dispute) in changes.disputes {
      let key = [PostgresValue.integer(id.sequence), .integer(Int64(id.part))]
      try add(
        "DELETE FROM disputes WHERE sequence = $1::bigint AND part = $2::bigint", key)
      if let dispute {
        try add(
          "INSERT INTO disputes VALUES($1::bigint, $2::bigint, $3::bytea)",
          key + [.blob(dispute.packed)])
      }
    }
    if !changes.proofs.isEmpty {
      var lines = PostgresArray()
      var bodies = PostgresArray()
      for (id, proof) in changes.proofs {
        lines.add(id.number)
        bodies.add(proof)
      }
      try add(
        "INSERT INTO proofs SELECT * FROM unnest($1::bigint[], $2::bytea[])",
        [lines.value, bodies.value])
    }
    for (id, payout) in changes.payouts {
      try add(
        """
        INSERT INTO payouts VALUES($1::bigint, $2::text, $3::bigint, $4::bytea)
        ON CONFLICT(id) DO UPDATE SET pending = excluded.pending, body = excluded.body
        """,
        [
          .integer(id), .text(payout.account.rawValue),
          .integer(payout.state == .requested ? 1 : 0), .blob(payout.packed),
        ])
    }
    for adopted in changes.policies {
      try add(
        "INSERT INTO policies VALUES($1::bigint, $2::bytea)",
        [.integer(Int64(adopted.policy.policy.version)), .blob(adopted.packed)])
    }
    for price in changes.prices {
      try add(
        "INSERT INTO prices VALUES($1::bigint, $2::bytea)",
        [.integer(Int64(price.version)), .blob(price.packed)])
    }
  }

  private mutating func add(answers: [AnswerID: Answer?]) throws {
    var put = (ids: PostgresArray(), bodies: PostgresArray(), count: 0)
    var drop = (ids: PostgresArray(), count: 0)
    for (id, answer) in answers {
      if let answer {
        put.ids.add(id.bytes)
        put.bodies.add(answer.packed)
        put.count += 1
      } else {
        drop.ids.add(id.bytes)
        drop.count += 1
      }
    }
    if put.count > 0 {
      try add(
        """
        INSERT INTO answers SELECT * FROM unnest($1::bytea[], $2::bytea[])
        ON CONFLICT(id) DO UPDATE SET body = excluded.body
        """, [put.ids.value, put.bodies.value])
    }
    if drop.count > 0 {
      try add("DELETE FROM answers WHERE id = ANY($1::bytea[])", [drop.ids.value])
    }
  }

  private mutating func add(usage: [UsageKey: Usage]) throws {
    guard !usage.isEmpty else { return }
    var columns = (0..<12).map { _ in PostgresArray() }
    for (key, value) in usage {
      columns[0].add(key.account.rawValue)
      columns[1].add(Int64(key.day))
      columns[2].add(Int64(key.role.rawValue))
      columns[3].add(key.node?.digest.bytes ?? [])
      columns[4].add(key.model.digest.bytes)
      let counts = [
        value.answers, value.promptTokens, value.completionTokens, value.replayedTokens,
        value.gross.rawValue, value.fee.rawValue, value.replayPaid.rawValue,
      ]
      for (offset, count) in counts.enumerated() { columns[5 + offset].add(count) }
    }
    try add(
      """
      INSERT INTO usage AS u SELECT * FROM unnest($1::text[], $2::bigint[], $3::bigint[],
        $4::bytea[], $5::bytea[], $6::bigint[], $7::bigint[], $8::bigint[], $9::bigint[],
        $10::bigint[], $11::bigint[], $12::bigint[])
      ON CONFLICT(account, day, role, node, model) DO UPDATE SET
        answers = u.answers + excluded.answers, prompt = u.prompt + excluded.prompt,
        completion = u.completion + excluded.completion,
        replayed = u.replayed + excluded.replayed, gross = u.gross + excluded.gross,
        fee = u.fee + excluded.fee, replay_paid = u.replay_paid + excluded.replay_paid
      """, columns.map(\.value))
  }

  private mutating func add(records: [Record.Key: Record?]) throws {
    for (key, record) in records {
      let name = [PostgresValue.integer(Int64(key.kind.rawValue)), .text(key.id)]
      guard let record else {
        try add("DELETE FROM records WHERE kind = $1::bigint AND id = $2", name)
        continue
      }
      let expires = record.expires.map { PostgresValue.integer($0.seconds) } ?? .null
      try add(
        """
        INSERT INTO records VALUES($1::bigint, $2::text, $3::text, $4::bigint, $5::bytea)
        ON CONFLICT(kind, id) DO UPDATE SET grp = excluded.grp, expires = excluded.expires,
          body = excluded.body
        """, name + [.text(record.group), expires, .blob(record.body)])
    }
  }
}
