#if canImport(Glibc)
internal import Glibc
#else
internal import Darwin
#endif

/// A point of a monotonic clock, in nanoseconds from an arbitrary start.
///
/// Pure code takes it as input.
public struct Instant: Hashable, Sendable, Comparable {
  /// Nanoseconds since the clock's start.
  public let nanoseconds: UInt64

  /// Wraps a number of nanoseconds.
  public init(nanoseconds: UInt64) { self.nanoseconds = nanoseconds }

  /// A later point.
  public static func + (instant: Instant, duration: Duration) -> Instant {
    Instant(nanoseconds: instant.nanoseconds &+ UInt64(bitPattern: duration.wholeNanoseconds))
  }

  /// The time from `b` to `a`; negative when `a` is earlier.
  public static func - (a: Instant, b: Instant) -> Duration {
    .nanoseconds(Int64(bitPattern: a.nanoseconds &- b.nanoseconds))
  }

  /// Orders points by time.
  public static func < (a: Instant, b: Instant) -> Bool { a.nanoseconds < b.nanoseconds }
}

/// Seconds since 1970-01-01T00:00:00Z, without leap seconds.
public struct UnixTime: Hashable, Sendable, Comparable {
  /// Whole seconds.
  public let seconds: Int64

  /// Wraps a number of seconds.
  public init(_ seconds: Int64) { self.seconds = seconds }

  /// A later time.
  public static func + (time: UnixTime, seconds: Int64) -> UnixTime {
    UnixTime(time.seconds + seconds)
  }

  /// Orders times.
  public static func < (a: UnixTime, b: UnixTime) -> Bool { a.seconds < b.seconds }
}

/// Where a driver gets the time; pure code never sees it, only the values.
public protocol TimeSource: Sendable {
  /// Monotonic: never goes back, may stop while the machine sleeps.
  func now() -> Instant
  /// Wall clock: may jump.
  func unixTime() -> UnixTime
}

/// The machine's own clocks.
public struct SystemTime: TimeSource {
  /// Creates the source; it holds nothing.
  public init() {}

  /// The system's clock that goes on while the machine sleeps, from clock_gettime(2).
  public func now() -> Instant {
    let origin = SystemTime.origin  // first: it is read when it is first asked for
    return Instant(nanoseconds: SystemTime.monotonic - origin)
  }

  /// The wall clock, from clock_gettime(2).
  public func unixTime() -> UnixTime {
    var value = timespec()
    unsafe clock_gettime(CLOCK_REALTIME, &value)
    return UnixTime(Int64(value.tv_sec))
  }

  private static let origin = monotonic

  /// The clock behind `ContinuousClock`, without that type's 128-bit arithmetic.
  private static var monotonic: UInt64 {
    var value = timespec()
    #if canImport(Glibc)
    unsafe clock_gettime(CLOCK_BOOTTIME, &value)
    #else
    unsafe clock_gettime(CLOCK_MONOTONIC_RAW, &value)
    #endif
    return UInt64(value.tv_sec) * 1_000_000_000 + UInt64(value.tv_nsec)
  }
}

extension Duration {
  /// The whole nanoseconds, rounded toward zero; traps beyond ±292 years.
  public var wholeNanoseconds: Int64 {
    let (seconds, attoseconds) = components
    return seconds * 1_000_000_000 + attoseconds / 1_000_000_000
  }
}
