package import BloomBase
package import BloomLedger

/// One line of an account's statement.
///
/// What an owner is shown here is what was posted.
package struct StatementLine: Hashable, Sendable {
  /// The entry's number.
  package var sequence: Int64
  /// When.
  package var time: UnixTime
  /// Why.
  package var kind: EntryKind
  /// The part, of lines that an owner earned.
  package var part: Int?
  /// The owner's machine; never told to users.
  package var node: NodeID?
  /// The model, of settlements.
  package var model: ModelID?
  /// Prompt tokens paid with this line.
  package var promptTokens = 0
  /// Completion tokens paid with this line.
  package var completionTokens = 0
  /// Before the platform's share, of lines an owner earned; what was paid, of a user's.
  package var gross = Micros.zero
  /// The platform's share, of lines an owner earned.
  package var fee = Micros.zero
  /// Paid by the replay pool, of lines an owner earned.
  package var replayPaid = Micros.zero
  /// What the line changes of all the account has, reserved and held money included.
  package var change: Micros
}

/// An account's movements of a period, and their sums.
package struct Statement: Hashable, Sendable {
  /// Whose.
  package let account: AccountID
  /// Its lines in order.
  ///
  /// Reservations change nothing in sum and are left out.
  package private(set) var lines: [StatementLine] = []

  /// The sum of all changes.
  package var change: Micros { lines.reduce(.zero) { $0 + $1.change } }
  /// What was earned by serving, net of the platform's share.
  package var earned: Micros {
    lines.reduce(.zero) { $0 + ($1.node == nil ? .zero : $1.change) }
  }

  /// Makes a statement of an account's entries.
  package init(_ account: AccountID, _ entries: [Entry]) {
    self.account = account
    for entry in entries { add(entry) }
  }

  /// What each machine earned, net.
  package var earnedByNode: [NodeID: Micros] {
    lines.reduce(into: [:]) { sums, line in
      if let node = line.node { sums[node, default: .zero] += line.change }
    }
  }

  private mutating func add(_ entry: Entry) {
    let change = entry.postings.reduce(Micros.zero) {
      $1.account == account ? $0 + $1.amount : $0
    }
    guard let record = entry.settlement else {
      // What only moves from one bucket of the account to another is shown too.
      guard entry.kind != .reserve, entry.postings.contains(where: { $0.account == account })
      else { return }
      lines.append(
        StatementLine(sequence: entry.sequence, time: entry.time, kind: entry.kind, change: change))
      return
    }
    if record.payer == account {
      var line = StatementLine(
        sequence: entry.sequence, time: entry.time, kind: entry.kind, change: -record.gross)
      line.model = record.model
      line.promptTokens = record.lines.reduce(0) { $0 + $1.promptTokens }
      line.completionTokens = record.lines.reduce(0) { $0 + $1.completionTokens }
      line.gross = record.gross
      lines.append(line)
    }
    for part in record.lines where part.owner == account {
      var line = StatementLine(
        sequence: entry.sequence, time: entry.time, kind: entry.kind, change: part.earned)
      line.part = part.part
      line.node = part.node
      line.model = record.model
      line.promptTokens = part.promptTokens
      line.completionTokens = part.completionTokens
      line.gross = part.gross
      line.fee = part.fee
      line.replayPaid = part.replayPaid
      lines.append(line)
    }
  }
}

extension Statement {
  private static let columns = [
    "entry", "time", "kind", "part", "node", "model", "prompt_tokens", "completion_tokens",
    "gross_micros", "fee_micros", "replay_micros", "change_micros", "model_name",
  ]

  private static func values(
    _ line: StatementLine, _ names: [ModelID: String]
  ) -> [StatementField] {
    let part = line.part.map { StatementField.number(Int64($0)) } ?? .empty
    let name = line.model.flatMap { names[$0] }
    return [
      .number(line.sequence), .number(line.time.seconds), .text(line.kind.name), part,
      .text(line.node?.digest.hex ?? ""), .text(line.model?.digest.hex ?? ""),
      .number(Int64(line.promptTokens)), .number(Int64(line.completionTokens)),
      .number(line.gross.rawValue), .number(line.fee.rawValue),
      .number(line.replayPaid.rawValue), .number(line.change.rawValue), .name(name),
    ]
  }

  /// Comma-separated values with a heading, RFC 4180.
  ///
  /// Money in whole micro-units.
  ///
  /// - Parameter names: What models are called; others have their digest only.
  /// - Returns: The text.
  package func csv(names: [ModelID: String] = [:]) -> String {
    Self.csvHeading + csvLines(names: names)
  }

  /// The heading of ``csv(names:)``.
  package static var csvHeading: String { columns.joined(separator: ",") + "\r\n" }

  /// The lines of ``csv(names:)`` without its heading.
  package func csvLines(names: [ModelID: String]) -> String {
    lines.map { Self.values($0, names).map(\.csv).joined(separator: ",") + "\r\n" }.joined()
  }

  /// The objects of a statement's lines with commas between them.
  ///
  /// Money as integers of micro-units.
  package func jsonLines(names: [ModelID: String]) -> String {
    lines.map { StatementField.object(Self.columns, Self.values($0, names)) }
      .joined(separator: ",")
  }
}

extension LedgerStore {
  /// An account's statement of a half-open period.
  ///
  /// - Parameters:
  ///   - account: Whose.
  ///   - period: From and until, the end excluded.
  ///   - sequence: The last entry of the page before; 0 for the first page.
  ///   - limit: Entries at most; the earliest are kept.
  /// - Returns: The statement of all that was applied before, once it is durable.
  /// - Throws: ``StoreError`` when the backend cannot be read.
  package func statement(
    of account: AccountID, in period: Range<UnixTime>, after sequence: Int64 = 0,
    limit: Int = 100_000
  ) async throws -> Statement {
    await catchUp()
    return Statement(
      account,
      try await backend.entries(of: account, in: period, after: sequence, limit: limit))
  }

  /// Questions a settled line; the owner's share is held until it is resolved.
  ///
  /// - Parameters:
  ///   - sequence: The settlement's entry.
  ///   - part: The line's part.
  ///   - payer: Who asks; must be who paid.
  /// - Returns: What it did.
  /// - Throws: ``LedgerError/notDisputable`` unless this account paid such a line.
  @discardableResult
  package func openDispute(
    sequence: Int64, part: Int, payer: AccountID
  ) async throws -> LedgerOutcome {
    guard let entry = try await entry(sequence), let record = entry.settlement,
      record.payer == payer, let line = record.lines.first(where: { $0.part == part })
    else { throw LedgerError.notDisputable }
    return try await apply(
      .openDispute(
        DisputeRequest(
          sequence: sequence, settledAt: entry.time, payer: record.payer, line: line)))
  }

  /// An account's usage of some days, without reading entries.
  ///
  /// - Throws: ``StoreError`` when the backend cannot be read.
  package func usage(
    of account: AccountID, days: ClosedRange<Int32>
  ) async throws -> [UsageKey: Usage] {
    await catchUp()
    return try await backend.usage(of: account, days: days)
  }
}
