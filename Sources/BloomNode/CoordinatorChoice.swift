internal import BloomBase

/// Which of the configured coordinators is tried next, and when; pure.
///
/// They are tried in order. After a link that was open the first is tried first again: it is the
/// one that the owner prefers.
struct CoordinatorChoice: Sendable {
  let count: Int
  /// The one to try now.
  private(set) var index = 0
  private var backoff = RetryBackoff(first: .milliseconds(500), longest: .seconds(60))

  /// Starts with the first of at least one.
  init(count: Int) { self.count = max(1, count) }

  /// A try ended; gives how long to wait before the next.
  mutating func ended(
    _ ending: LinkEnding, using generator: inout some RandomNumberGenerator
  ) -> Duration {
    if ending.wasOpen {
      backoff.succeeded()
      index = 0
    } else {
      index = (index + 1) % count
    }
    let delay = backoff.failed(using: &generator)
    // The coordinator's wish counts from now; a tenth more keeps its nodes apart.
    return ending.retryAfter.map { $0 + min($0 / 10, delay) } ?? delay
  }
}
