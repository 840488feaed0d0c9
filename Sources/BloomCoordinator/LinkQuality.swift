/// Round trips of one node's link, as pings measured them.
package struct LinkQuality: Sendable {
  /// Pings that count; at one every half minute, the last ten minutes.
  private static let window = 20
  /// A pong that takes longer is as good as lost.
  private static let patience = Duration.seconds(1)

  private var samples: [Duration] = []
  private var next = 0

  /// Knows of no ping yet.
  package init() {}

  /// Takes a round trip; `nil` for a ping without a pong.
  package mutating func add(_ roundTrip: Duration?) {
    let sample = min(roundTrip ?? .seconds(60), .seconds(60))
    if samples.count < Self.window {
      samples.append(sample)
    } else {
      samples[next] = sample
      next = (next + 1) % Self.window
    }
  }

  /// The 95th percentile of the pongs that came in time; `nil` before the first.
  package var roundTrip: Duration? {
    let timely = samples.filter { $0 <= Self.patience }.sorted()
    return timely.isEmpty ? nil : timely[(timely.count * 95 + 99) / 100 - 1]
  }

  /// The share of pings without a pong in time, 0…1.
  package var loss: Double {
    guard !samples.isEmpty else { return 0 }
    return Double(samples.count { $0 > Self.patience }) / Double(samples.count)
  }
}
