public import BloomBase
internal import Synchronization

/// The engine's pulse: renewed at least every 50 ms while there is work, also inside a prefill.
///
/// An idle engine does not beat; ``age(now:)`` counts idleness as life.
public final class EngineBeat: Sendable {
  private let last = Atomic<UInt64>(0)
  private let busy = Atomic<Bool>(false)

  /// Creates a pulse of an idle engine.
  public init() {}

  /// Renews the pulse; cheap enough for the inner loop of the engine.
  public func renew(_ now: Instant) { last.store(now.nanoseconds, ordering: .relaxed) }

  /// Says that work begins or has ended.
  public func setBusy(_ isBusy: Bool, now: Instant) {
    renew(now)
    busy.store(isBusy, ordering: .releasing)
  }

  /// Whether there is work.
  public var isBusy: Bool { busy.load(ordering: .acquiring) }

  /// The time since the last renewal; zero while idle.
  public func age(now: Instant) -> Duration {
    guard isBusy else { return .zero }
    let past = last.load(ordering: .relaxed)
    return now.nanoseconds > past ? .nanoseconds(Int64(now.nanoseconds - past)) : .zero
  }
}
