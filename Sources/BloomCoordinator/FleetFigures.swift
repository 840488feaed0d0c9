internal import BloomBase

/// What requests of the last hour measured, by model: times to the first token, tokens a second.
///
/// Pure and bounded: 512 samples a model, the oldest forgotten first, of the first 1,000 models.
struct FleetFigures: Sendable {
  /// The range that samples of enough machines span.
  struct Range: Equatable, Sendable {
    var median: Double
    /// The 95th percentile.
    var high: Double
    /// Machines that took part.
    var machines: Int
  }

  private struct Sample: Sendable {
    let value: Float
    let node: NodeID
    let at: Instant
  }

  private struct Series: Sendable {
    static let limit = 512
    private var samples: [Sample] = []
    private var next = 0

    mutating func add(_ sample: Sample) {
      if samples.count < Self.limit {
        samples.append(sample)
      } else {
        samples[next] = sample
        next = (next + 1) % Self.limit
      }
    }

    func range(now: Instant) -> Range? {
      let recent = samples.filter { now - $0.at <= FleetFigures.window }
      guard !recent.isEmpty else { return nil }
      let values = recent.map(\.value).sorted()
      func at(_ share: Double) -> Double {
        Double(values[min(values.count - 1, Int(Double(values.count) * share))])
      }
      return Range(median: at(0.5), high: at(0.95), machines: Set(recent.map(\.node)).count)
    }
  }

  /// How far back figures look.
  static let window = Duration.seconds(3600)
  private static let models = 1_000
  private var firstTokens: [ModelID: Series] = [:]
  private var rates: [ModelID: Series] = [:]

  /// A request of a model had its first sealed token.
  mutating func firstToken(_ model: ModelID, _ node: NodeID, after: Duration, now: Instant) {
    Self.add(
      Float(after.wholeNanoseconds) / 1e9, model, node, now, to: &firstTokens)
  }

  /// A machine delivered an answer's tokens from the first to the last within a time.
  ///
  /// Answers of a few tokens say nothing about speed and are left out.
  mutating func answered(
    _ model: ModelID, _ node: NodeID, tokens: Int, within time: Duration, now: Instant
  ) {
    let seconds = Double(time.wholeNanoseconds) / 1e9
    guard tokens >= 8, seconds > 0.001 else { return }
    Self.add(Float(Double(tokens - 1) / seconds), model, node, now, to: &rates)
  }

  /// Seconds to the first token; `nil` when nothing was measured in the window.
  func firstToken(_ model: ModelID, now: Instant) -> Range? { firstTokens[model]?.range(now: now) }

  /// Tokens a second of one answer; `nil` when nothing was measured in the window.
  func rate(_ model: ModelID, now: Instant) -> Range? { rates[model]?.range(now: now) }

  private static func add(
    _ value: Float, _ model: ModelID, _ node: NodeID, _ now: Instant,
    to series: inout [ModelID: Series]
  ) {
    guard series[model] != nil || series.count < models else { return }
    series[model, default: Series()].add(Sample(value: value, node: node, at: now))
  }
}
