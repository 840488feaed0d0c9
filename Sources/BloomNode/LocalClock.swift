package import BloomBase

#if canImport(Glibc)
internal import Glibc
#else
internal import Darwin
#endif

/// The owner's wall clock, with the system's time zone and its summer time.
package enum LocalClock: Sendable {
  /// The local weekday and minute of a time.
  ///
  /// localtime_r(3).
  package static func local(_ time: UnixTime) -> LocalTime {
    var seconds = time_t(time.seconds)
    var parts = unsafe tm()
    // localtime_r need not look at TZ again; a laptop that travels wants it to.
    tzset()
    unsafe localtime_r(&seconds, &parts)
    return unsafe LocalTime(
      weekday: Int(parts.tm_wday), minute: Int(parts.tm_hour) * 60 + Int(parts.tm_min))
  }

  /// The local date as one number, 20261121 for the 21st of November 2026.
  package static func day(_ time: UnixTime) -> Int {
    var seconds = time_t(time.seconds)
    var parts = unsafe tm()
    tzset()
    unsafe localtime_r(&seconds, &parts)
    return unsafe (Int(parts.tm_year) + 1_900) * 10_000 + (Int(parts.tm_mon) + 1) * 100
      + Int(parts.tm_mday)
  }
}
