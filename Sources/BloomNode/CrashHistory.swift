package import BloomBase

/// When a worker is started again after it ended, and whether it crashes in a loop; pure.
package struct CrashHistory: Sendable {
  /// Ends within ``window`` that make a loop.
  package static let loopCount = 5
  /// How long an end is remembered.
  package static let window = Duration.seconds(600)
  /// A worker that served this long is well: the delays start over.
  package static let stableAfter = Duration.seconds(60)

  /// A first crash is repaired before the user's answer gives up; a loop soon waits for long.
  private var backoff = RetryBackoff(first: .milliseconds(50), longest: .seconds(60))
  private var ends: [Instant] = []

  /// Starts without an end.
  package init() {}

  /// The worker ended though it was wanted.
  ///
  /// - Parameters:
  ///   - served: How long it served; zero when it never was ready.
  ///   - now: When it ended.
  ///   - generator: Draws the jitter.
  /// - Returns: How long to wait before it is started again.
  package mutating func ended(
    served: Duration, now: Instant, using generator: inout some RandomNumberGenerator
  ) -> Duration {
    if served >= Self.stableAfter { backoff.succeeded() }
    ends.removeAll { now - $0 >= Self.window }
    if ends.count == Self.loopCount { ends.removeFirst() }
    ends.append(now)
    return backoff.failed(using: &generator)
  }

  /// Whether it keeps crashing; the owner must be told.
  package func isLooping(now: Instant) -> Bool {
    ends.filter { now - $0 < Self.window }.count >= Self.loopCount
  }
}
