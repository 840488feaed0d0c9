/// How often each reason was met in each of the last 24 hours.
///
/// Only reasons that were met take memory: most nodes meet a handful.
package struct ReasonCounts: Equatable, Sendable {
  private struct Count: Equatable, Sendable {
    var hour: UInt32
    /// The reason's number; ``named`` for a request that named the node.
    var reason: UInt8
    var count: UInt32
  }

  private static let hours: UInt32 = 24
  private static let named = UInt8.max

  /// Ordered by hour.
  private var entries: [Count] = []

  /// Counts nothing yet, and takes no memory.
  package init() {}

  /// Counts a reason, or with `nil` a request that named the node, whatever came of it.
  mutating func add(_ reason: ReasonCode?, hour: UInt64) {
    add(reason?.rawValue ?? Self.named, hour)
  }

  /// The counts of the last hours.
  ///
  /// - Parameters:
  ///   - hours: 1…24, the present one included.
  ///   - now: The present hour, counted from the clock's start.
  /// - Returns: Only reasons that were met.
  package func counts(hours: Int, now: UInt64) -> [ReasonCode: Int] {
    var result: [ReasonCode: Int] = [:]
    for entry in window(hours, now) {
      if let reason = ReasonCode(rawValue: entry.reason) {
        result[reason, default: 0] += Int(entry.count)
      }
    }
    return result
  }

  /// Requests that named the node in the last hours.
  package func namedCount(hours: Int, now: UInt64) -> Int {
    window(hours, now).reduce(0) { $0 + ($1.reason == Self.named ? Int($1.count) : 0) }
  }

  private func window(_ hours: Int, _ now: UInt64) -> [Count] {
    let width = UInt64(min(max(hours, 1), Int(Self.hours)))
    return entries.filter { UInt64($0.hour) + width > now }
  }

  private mutating func add(_ reason: UInt8, _ now: UInt64) {
    // Counts are written with a delay: an hour is never reopened, its stragglers count in the last.
    let hour = max(UInt32(truncatingIfNeeded: now), entries.last?.hour ?? 0)
    // The present hour's entries are at the end, one for each reason met in it.
    var index = entries.count - 1
    while index >= 0, entries[index].hour == hour {
      if entries[index].reason == reason {
        entries[index].count &+= 1
        return
      }
      index -= 1
    }
    if let last = entries.last, last.hour != hour {
      entries.removeAll { $0.hour &+ Self.hours <= hour }
    }
    entries.append(Count(hour: hour, reason: reason, count: 1))
  }
}
