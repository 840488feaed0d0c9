internal import BloomBase
internal import BloomLedger

extension SQLiteQueries {
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
}
