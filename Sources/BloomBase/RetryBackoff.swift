/// How long to wait before trying again: exponential with equal jitter, half fixed and half drawn.
///
/// Pure: the generator is passed in, so a test gets the same delays again.
public struct RetryBackoff: Sendable, Equatable {
  /// The upper end of the first delay.
  public let first: Duration
  /// No delay is longer.
  public let longest: Duration
  /// Failures since the last success.
  public private(set) var failures = 0

  /// Creates a backoff with no failure yet.
  ///
  /// - Parameters:
  ///   - first: Upper end of the first delay, more than zero.
  ///   - longest: Upper end of every delay.
  public init(first: Duration = .milliseconds(250), longest: Duration = .seconds(60)) {
    invariant(first > .zero && longest >= first, "a backoff must grow from above zero")
    self.first = first
    self.longest = longest
  }

  /// Counts a failure and draws the delay until the next try.
  ///
  /// The delay is in `ceiling / 2 … ceiling`, where the ceiling doubles with each failure up to
  /// ``longest``. Its random half keeps many clients from coming back at once.
  public mutating func failed(using generator: inout some RandomNumberGenerator) -> Duration {
    var ceiling = first
    for _ in 0..<failures where ceiling < longest { ceiling = min(longest, ceiling * 2) }
    failures += 1
    let nanoseconds = max(2, ceiling.wholeNanoseconds)
    return .nanoseconds(Int64.random(in: nanoseconds / 2...nanoseconds, using: &generator))
  }

  /// Forgets all failures.
  public mutating func succeeded() { failures = 0 }
}
