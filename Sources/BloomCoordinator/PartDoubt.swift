package import BloomBase

/// Whether the gateway of a part that is well has lost its connection.
///
/// A connection can end without a word: a laptop changes networks, a proxy stands between. A gateway
/// that hears its part does not ask for the next one for long; one that goes on asking hears nothing.
package struct PartDoubt: Sendable {
  /// For how long it must go on asking.
  private static let patience = Duration.seconds(5)
  /// A pause after which it counts as having heard something.
  private static let pause = Duration.seconds(2)
  private var since: Instant?
  private var last = Instant(nanoseconds: 0)

  /// Nobody has asked.
  package init() {}

  /// The gateway asks for the next part; `true` when it has lost this one.
  package mutating func asked(now: Instant) -> Bool {
    if now - last > Self.pause { since = nil }
    last = now
    let start = since ?? now
    since = start
    return now - start >= Self.patience
  }
}
