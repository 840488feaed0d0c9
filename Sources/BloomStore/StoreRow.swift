package import BloomBase
package import BloomLedger

/// One row of a table, by its columns: the decoders below serve every database.
///
/// The order of the columns is the schema's, the same in all of them.
package protocol StoreRow {
  /// A whole number; 0 where there is none.
  func integer(_ column: Int32) -> Int64
  /// Whether there is nothing in the column.
  func isNull(_ column: Int32) -> Bool
  /// A text.
  func text(_ column: Int32) -> String
  /// Bytes; none where there is nothing.
  func blob(_ column: Int32) -> [UInt8]
}

extension StoreRow {
  /// A row of `entries`: sequence, time, kind, reference, body.
  package func entry() throws -> Entry {
    try Entry(
      sequence: integer(0), time: UnixTime(integer(1)),
      kind: UInt8(truncatingIfNeeded: integer(2)), reference: text(3), packed: blob(4))
  }

  /// A row of `balances`: account, and the buckets in order of their numbers.
  package func balance() throws -> (account: AccountID, balance: Balance) {
    guard let account = AccountID(text(0)) else { throw PackedError() }
    var balance = Balance()
    for bucket in Bucket.allCases {
      balance[bucket] = Micros(integer(Int32(bucket.rawValue) + 1))
    }
    return (account, balance)
  }

  /// A row of `usage`: account, day, role, node, model, and the counts.
  package func usage() throws -> (key: UsageKey, usage: Usage) {
    guard let account = AccountID(text(0)),
      let role = UsageKey.Role(rawValue: UInt8(truncatingIfNeeded: integer(2))),
      let model = Digest(blob(4))
    else { throw PackedError() }
    let key = UsageKey(
      day: Int32(truncatingIfNeeded: integer(1)), account: account, role: role,
      node: NodeID(blob(3)), model: ModelID(model))
    return (key, counts(from: 5))
  }

  /// A row of sums over `usage`: day, model, and the counts.
  package func demand() throws -> (key: DemandKey, usage: Usage) {
    guard let model = Digest(blob(1)) else { throw PackedError() }
    let key = DemandKey(day: Int32(truncatingIfNeeded: integer(0)), model: ModelID(model))
    return (key, counts(from: 2))
  }

  /// A row of `records`: kind, id, group, end, body.
  package func record() throws -> Record {
    guard let kind = RecordKind(rawValue: UInt8(truncatingIfNeeded: integer(0))) else {
      throw PackedError()
    }
    return Record(
      key: Record.Key(kind, text(1)), group: text(2),
      expires: isNull(3) ? nil : UnixTime(integer(3)), body: blob(4))
  }

  private func counts(from first: Int32) -> Usage {
    var usage = Usage()
    usage.answers = integer(first)
    usage.promptTokens = integer(first + 1)
    usage.completionTokens = integer(first + 2)
    usage.replayedTokens = integer(first + 3)
    usage.gross = Micros(integer(first + 4))
    usage.fee = Micros(integer(first + 5))
    usage.replayPaid = Micros(integer(first + 6))
    return usage
  }
}
