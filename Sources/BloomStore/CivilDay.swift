internal import BloomBase

/// A day of the Gregorian calendar in UTC, as statements show it: `2026-11-21`.
package struct CivilDay: Hashable, Sendable, Comparable, CustomStringConvertible {
  /// Days since 1970-01-01.
  package let number: Int32

  /// Wraps a number of days since 1970-01-01.
  package init(_ number: Int32) { self.number = number }

  /// Reads `YYYY-MM-DD` of the years 1970…9999; `nil` for another form and days that do not exist.
  package init?(_ text: some StringProtocol) {
    let parts = text.split(separator: "-", omittingEmptySubsequences: false)
    guard parts.map(\.utf8.count) == [4, 2, 2],
      parts.allSatisfy({ $0.utf8.allSatisfy { (48...57).contains($0) } }),
      let year = Int(parts[0]), let month = Int(parts[1]), let day = Int(parts[2]),
      (1970...9999).contains(year), let date = CivilDate(year: year, month: month, day: day)
    else { return nil }
    self.init(Int32(date.daysSince1970))
  }

  /// The day as `YYYY-MM-DD`.
  package var description: String { CivilDate(daysSince1970: Int(number)).description }

  /// Orders days by time.
  package static func < (a: CivilDay, b: CivilDay) -> Bool { a.number < b.number }
}
