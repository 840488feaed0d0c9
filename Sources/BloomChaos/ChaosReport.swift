internal import BloomBase
internal import BloomCoordinator
internal import BloomLedger
internal import BloomStore

/// What a run of the chaos suite showed.
package struct ChaosReport: Sendable {
  /// One answer and what it should have been.
  package struct Result: Sendable {
    /// What was delivered.
    package let stream: ChaosStream
    /// The uninterrupted answer.
    package let truth: [ChaosStream.Choice]
    /// Whether the real engine computed it.
    package let isReal: Bool
    /// What was asked for, for complaints.
    package let kind: String
  }

  /// The counts of one phase.
  package struct Counts: Sendable {
    /// Answers asked for.
    package var streams = 0
    /// Of them, answers of the real engine.
    package var real = 0
    /// Answers that needed more than one part.
    package var continued = 0
    /// Answers that did not reach their end.
    package var failed = 0
    /// Tokens that did not come.
    package var lost = 0
    /// Tokens that came twice, or belong to another answer.
    package var duplicated = 0
    /// Answers with the right tokens and other text, tool calls or log-probabilities.
    package var different = 0
    /// Answers whose reported usage is not what was delivered.
    package var miscounted = 0
    /// Tokens delivered.
    package var delivered = 0
    /// The longest gap of each continued answer of the scripted engine, in milliseconds, ascending.
    package var gaps: [Double] = []
    /// The same of the real engine: with the prefill of prompt and delivered tokens.
    package var realGaps: [Double] = []
    /// The longest gap of each answer that needed one part, in milliseconds, ascending.
    package var calmGaps: [Double] = []
  }

  /// By phase, in their order.
  package private(set) var phases: [(phase: ChaosRun.Phase, counts: Counts)] = []
  private var delivered: [String: (phase: ChaosRun.Phase, tokens: Int)] = [:]
  private var billedByPhase: [ChaosRun.Phase: Int] = [:]
  /// The first few things that were wrong, in words.
  package private(set) var complaints: [String] = []
  /// Tokens of the answers above that the ledger charged.
  package private(set) var billed = 0
  /// Answers that the ledger charged for more than was delivered.
  package private(set) var overcharged = 0
  /// What the audit of the ledger found; empty when every balance is right.
  package private(set) var findings: [String] = ["the books were not read"]

  /// Nothing seen yet.
  package init() {}

  /// Counts the answers of a phase.
  package mutating func add(_ phase: ChaosRun.Phase, _ results: [Result]) {
    var counts = Counts()
    for result in results {
      let stream = result.stream
      counts.streams += 1
      if result.isReal { counts.real += 1 }
      if stream.parts > 1 { counts.continued += 1 }
      let (lost, duplicated) = stream.compare(result.truth)
      counts.lost += lost
      counts.duplicated += duplicated
      counts.delivered += stream.tokenCount
      if let failure = stream.failure {
        counts.failed += 1
        complain("\(phase.rawValue): failed after \(stream.tokenCount) tokens: \(failure)")
      } else if stream.reportedTokens != stream.tokenCount {
        counts.miscounted += 1
        complain(
          "\(phase.rawValue): reported \(stream.reportedTokens), delivered \(stream.tokenCount)")
      }
      if lost + duplicated == 0, !stream.isSame(result.truth) {
        counts.different += 1
        complain(
          "\(phase.rawValue), \(result.kind): right tokens, other text in \(stream.parts) parts")
      } else if lost + duplicated > 0 {
        complain(
          "\(phase.rawValue), \(result.kind): \(lost) lost, \(duplicated) more in "
            + "\(stream.parts) parts of \(stream.partLengths)")
      }
      let gap = Double(stream.longestGap.wholeNanoseconds) / 1e6
      switch (stream.parts > 1, result.isReal) {
      case (true, false): counts.gaps.append(gap)
      case (true, true): counts.realGaps.append(gap)
      case (false, _): counts.calmGaps.append(gap)
      }
      delivered[stream.answer] = (phase, stream.tokenCount)
    }
    counts.gaps.sort()
    counts.realGaps.sort()
    counts.calmGaps.sort()
    phases.append((phase, counts))
  }

  private mutating func complain(_ text: String) {
    if complaints.count < 20 { complaints.append(text) }
  }

  /// Closes what is open, sums what was charged and audits every balance.
  package mutating func readBooks(folder: String) async throws {
    let coordinator = try CoordinatorFolder("\(folder)/coordinator")
    let store = try await coordinator.openStore(clock: Later())
    try await store.closeOverdue()
    await store.close()
    let backend = SQLiteBackend(path: coordinator.databasePath)
    try await backend.takeOver()
    let audit = try await backend.verify()
    findings = audit.findings
    var last: Int64 = 0
    while true {
      let page = try await backend.entries(after: last, limit: 1_000)
      guard let end = page.last?.sequence else { break }
      last = end
      for entry in page {
        guard let answer = entry.answer, let settlement = entry.settlement,
          let count = delivered["\(answer)"]
        else { continue }
        let charged = settlement.lines.reduce(0) { $0 + $1.completionTokens }
        billed += charged
        billedByPhase[count.phase, default: 0] += charged
        if charged > count.tokens {
          overcharged += 1
          complain("the ledger charged \(charged) of \(count.tokens) delivered tokens")
        }
      }
    }
    await backend.close()
  }

  /// Whether nothing was lost, doubled or charged wrongly.
  package var holds: Bool {
    findings.isEmpty && overcharged == 0
      && phases.allSatisfy {
        $0.counts.failed + $0.counts.lost + $0.counts.duplicated + $0.counts.different
          + $0.counts.miscounted == 0
      }
  }

  /// One phase in a line.
  package func line(_ phase: ChaosRun.Phase) -> String {
    guard let counts = phases.first(where: { $0.phase == phase })?.counts else { return "" }
    return
      "  \(counts.streams) streams (\(counts.real) real), \(counts.continued) continued, "
      + "\(counts.failed) failed, \(counts.lost) lost, \(counts.duplicated) duplicated, "
      + "\(counts.different) different, \(counts.miscounted) miscounted; gap "
      + Self.spread(counts.gaps) + " ms, real " + Self.spread(counts.realGaps)
      + " ms, undisturbed " + Self.spread(counts.calmGaps) + " ms"
  }

  /// The whole run as a Markdown table with its sums.
  package var text: String {
    var lines = [
      "| phase | streams | real | continued | failed | lost | duplicated | other text "
        + "| gap scripted | gap real | undisturbed | delivered | billed |",
      "|---|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for (phase, counts) in phases {
      lines.append(
        "| \(phase.rawValue) | \(counts.streams) | \(counts.real) | \(counts.continued) | "
          + "\(counts.failed) | \(counts.lost) | \(counts.duplicated) | \(counts.different) | "
          + "\(Self.spread(counts.gaps)) | \(Self.spread(counts.realGaps)) | "
          + "\(Self.spread(counts.calmGaps)) | \(counts.delivered) | \(billedByPhase[phase] ?? 0) |"
      )
    }
    let delivered = phases.reduce(0) { $0 + $1.counts.delivered }
    let all = phases.reduce(0) { $0 + $1.counts.streams }
    lines.append("")
    lines.append("Gaps: p50/p99/max in ms, the longest of each answer.")
    lines.append(
      "\(all) streams, \(delivered) tokens delivered, \(billed) billed, \(overcharged) answers "
        + "billed beyond what was delivered; books: "
        + (findings.isEmpty ? "balanced" : findings.prefix(3).joined(separator: "; ")))
    lines += complaints.map { "- \($0)" }
    lines.append(holds ? "HOLDS" : "DOES NOT HOLD")
    return lines.joined(separator: "\n")
  }

  /// Median, 99th percentile and maximum.
  private static func spread(_ values: [Double]) -> String {
    guard let most = values.last else { return "–" }
    func at(_ share: Double) -> Int {
      Int(values[min(values.count - 1, Int(Double(values.count) * share))].rounded())
    }
    return "\(at(0.5))/\(at(0.99))/\(Int(most.rounded()))"
  }
}

/// A clock at which every open answer's deadline has passed.
private struct Later: TimeSource {
  func now() -> Instant { SystemTime().now() }
  func unixTime() -> UnixTime { SystemTime().unixTime() + 3 * 3_600 }
}
