/// How often each reason was met: in each of the last 24 hours, and in all.
package struct ReasonCounts: Equatable, Sendable {
  private static let hours = 24
  private static let reasons = ReasonCode.allCases.count

  private var totals: [UInt32] = []
  private var ring: [UInt32] = []
  private var hour: UInt64 = 0

  /// Counts nothing yet, and takes no memory.
  package init() {}

  mutating func add(_ reason: ReasonCode, hour now: UInt64) {
    if totals.isEmpty {
      totals = Array(repeating: 0, count: Self.reasons)
      ring = Array(repeating: 0, count: Self.reasons * Self.hours)
      hour = now
    }
    if now > hour { advance(to: now) }
    let place = Int(reason.rawValue)
    totals[place] &+= 1
    ring[Int(now % UInt64(Self.hours)) * Self.reasons + place] &+= 1
  }

  /// The counts of the last hours; O(hours × reasons).
  ///
  /// - Parameters:
  ///   - hours: 1…24, the present one included.
  ///   - now: The present hour, counted from the clock's start.
  /// - Returns: Only reasons that were met.
  package func counts(hours: Int, now: UInt64) -> [ReasonCode: Int] {
    guard !totals.isEmpty else { return [:] }
    var result: [ReasonCode: Int] = [:]
    for age in 0..<UInt64(min(max(hours, 1), Self.hours)) where now >= age {
      let wanted = now - age
      // Hours after the last count are empty; the ring still holds older ones in their places.
      guard wanted <= hour, hour - wanted < UInt64(Self.hours) else { continue }
      let start = Int(wanted % UInt64(Self.hours)) * Self.reasons
      for reason in ReasonCode.allCases {
        let count = ring[start + Int(reason.rawValue)]
        if count > 0 { result[reason, default: 0] += Int(count) }
      }
    }
    return result
  }

  /// The counts since the node was first seen.
  package var all: [ReasonCode: Int] {
    var result: [ReasonCode: Int] = [:]
    for reason in ReasonCode.allCases where !totals.isEmpty {
      let count = totals[Int(reason.rawValue)]
      if count > 0 { result[reason] = Int(count) }
    }
    return result
  }

  private mutating func advance(to now: UInt64) {
    for step in 1...min(now - hour, UInt64(Self.hours)) {
      let start = Int((hour + step) % UInt64(Self.hours)) * Self.reasons
      for place in start..<start + Self.reasons { ring[place] = 0 }
    }
    hour = now
  }
}
