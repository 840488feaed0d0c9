package import BloomBase
package import BloomLedger

/// An account's days, by machine and model: a month of the busiest owner in a few milliseconds.
///
/// Its sums are those of the ``Statement`` of the same days; a statement has the single answers.
package struct StatementSummary: Hashable, Sendable {
  /// One day's answers of one machine (owner) or all machines (user) and one model.
  package struct Line: Hashable, Sendable {
    /// Day, role, machine and model.
    package let key: UsageKey
    /// The day's counts and sums.
    package let usage: Usage

    /// What the line changes of all the account has.
    package var change: Micros {
      switch key.role {
      case .user: -usage.gross
      case .owner: usage.gross - usage.fee + usage.replayPaid
      }
    }
  }

  /// Whose.
  package let account: AccountID
  /// Answers, in order of days.
  package let lines: [Line]
  /// Deposits, payouts, refunds and whatever else is no answer, one by one.
  package let movements: [StatementLine]

  /// Makes a summary of an account's usage and the entries that are no answers.
  package init(_ account: AccountID, usage: [UsageKey: Usage], movements: [Entry]) {
    self.account = account
    self.movements = Statement(account, movements).lines
    lines = usage.map { Line(key: $0.key, usage: $0.value) }.sorted {
      ($0.key.day, $0.key.role.rawValue, $0.key.model.digest.hex, $0.key.node?.digest.hex ?? "")
        < ($1.key.day, $1.key.role.rawValue, $1.key.model.digest.hex, $1.key.node?.digest.hex ?? "")
    }
  }

  /// The sum of all changes.
  package var change: Micros {
    lines.reduce(.zero) { $0 + $1.change } + movements.reduce(.zero) { $0 + $1.change }
  }
  /// What was earned by serving, net of the platform's share.
  package var earned: Micros {
    lines.reduce(.zero) { $0 + ($1.key.role == .owner ? $1.change : .zero) }
  }
  /// What each machine earned, net.
  package var earnedByNode: [NodeID: Micros] {
    lines.reduce(into: [:]) { sums, line in
      if let node = line.key.node { sums[node, default: .zero] += line.change }
    }
  }
}

extension StatementSummary {
  private static let columns = [
    "date", "kind", "node", "model", "answers", "prompt_tokens", "completion_tokens",
    "gross_micros", "fee_micros", "replay_micros", "change_micros", "model_name",
  ]

  private func rows(_ names: [ModelID: String]) -> [[StatementField]] {
    lines.map { Self.answers($0, names[$0.key.model]) } + movements.map { Self.movement($0) }
  }

  private static func answers(_ line: Line, _ name: String?) -> [StatementField] {
    let usage = line.usage
    let isOwner = line.key.role == .owner
    return [
      .text("\(CivilDay(line.key.day))"), .text(isOwner ? "served" : "asked"),
      .text(line.key.node?.digest.hex ?? ""), .text(line.key.model.digest.hex),
      .number(usage.answers), .number(usage.promptTokens), .number(usage.completionTokens),
      .number(usage.gross.rawValue), .number(isOwner ? usage.fee.rawValue : 0),
      .number(usage.replayPaid.rawValue), .number(line.change.rawValue), .name(name),
    ]
  }

  private static func movement(_ line: StatementLine) -> [StatementField] {
    let day = CivilDay(Int32(clamping: line.time.seconds / 86400))
    var fields = [StatementField](repeating: .empty, count: columns.count)
    fields[0] = .text("\(day)")
    fields[1] = .text(line.kind.name)
    fields[10] = .number(line.change.rawValue)
    return fields
  }

  /// Comma-separated values with a heading, RFC 4180.
  ///
  /// Days as `YYYY-MM-DD` (UTC), money in whole micro-units.
  ///
  /// - Parameter names: What models are called; others have their digest only.
  /// - Returns: The text.
  package func csv(names: [ModelID: String] = [:]) -> String {
    ([Self.columns] + rows(names).map { $0.map(\.csv) })
      .map { $0.joined(separator: ",") + "\r\n" }.joined()
  }

  /// An object with the account and a list of lines, in the columns of ``csv(names:)``.
  ///
  /// - Parameter names: What models are called; others have their digest only.
  /// - Returns: The text.
  package func json(names: [ModelID: String] = [:]) -> String {
    let objects = rows(names).map { StatementField.object(Self.columns, $0) }
    return "{\"account\":\"\(account)\",\"change_micros\":\(change.rawValue),\"lines\":["
      + objects.joined(separator: ",") + "]}"
  }
}

extension LedgerStore {
  /// An account's summary of whole days (UTC).
  ///
  /// Reads one row a day, machine and model, and no answers.
  ///
  /// - Parameters:
  ///   - account: Whose.
  ///   - days: Days since 1970-01-01, both ends included.
  ///   - limit: Entries at most that are no answers; the earliest are kept.
  /// - Returns: The summary of all that was applied before, once it is durable.
  /// - Throws: ``StoreError`` when the backend cannot be read.
  package func summary(
    of account: AccountID, days: ClosedRange<Int32>, limit: Int = 10_000
  ) async throws -> StatementSummary {
    let period =
      UnixTime(Int64(days.lowerBound) * 86400)..<UnixTime((Int64(days.upperBound) + 1) * 86400)
    return StatementSummary(
      account, usage: try await usage(of: account, days: days),
      movements: try await backend.movements(of: account, in: period, after: 0, limit: limit))
  }
}
