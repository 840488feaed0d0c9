/// A date of the Gregorian calendar, also for the centuries before it was in use.
///
/// Counts in years that begin in March, so that the leap day is a year's last, and in eras of 400
/// years, after which the calendar repeats; Howard Hinnant, "chrono-Compatible Low-Level Date
/// Algorithms".
public struct CivilDate: Hashable, Sendable, CustomStringConvertible {
  /// The year; 0 is the one before the year 1.
  public let year: Int
  /// 1…12.
  public let month: Int
  /// 1…31.
  public let day: Int

  private static let daysOfEra = 146_097
  /// From the first of March of the year 0 to 1970-01-01.
  private static let daysBefore1970 = 719_468

  /// Names a date of the years 0…9999; `nil` when there is none.
  public init?(year: Int, month: Int, day: Int) {
    let isLeap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
    let lengths = [31, isLeap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
    guard (0...9999).contains(year), (1...12).contains(month),
      (1...lengths[month - 1]).contains(day)
    else { return nil }
    self.year = year
    self.month = month
    self.day = day
  }

  /// The date of a day, counted from 1970-01-01; earlier ones are negative.
  public init(daysSince1970 days: Int) {
    let shifted = days + Self.daysBefore1970
    let era = (shifted >= 0 ? shifted : shifted - (Self.daysOfEra - 1)) / Self.daysOfEra
    let dayOfEra = shifted - era * Self.daysOfEra
    let yearOfEra =
      (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / (Self.daysOfEra - 1)) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let monthFromMarch = (5 * dayOfYear + 2) / 153
    day = dayOfYear - (153 * monthFromMarch + 2) / 5 + 1
    month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
    year = yearOfEra + era * 400 + (monthFromMarch < 10 ? 0 : 1)
  }

  /// Days from 1970-01-01 to this one.
  public var daysSince1970: Int {
    let shifted = month > 2 ? year : year - 1
    let era = (shifted >= 0 ? shifted : shifted - 399) / 400
    let yearOfEra = shifted - era * 400
    let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
    let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
    return era * Self.daysOfEra + dayOfEra - Self.daysBefore1970
  }

  /// The date as `YYYY-MM-DD`.
  public var description: String {
    "\(Self.padded(year, 4))-\(Self.padded(month, 2))-\(Self.padded(day, 2))"
  }

  private static func padded(_ number: Int, _ width: Int) -> String {
    let text = "\(number)"
    return String(repeating: "0", count: max(0, width - text.utf8.count)) + text
  }
}

extension UnixTime {
  /// A time of a day of the years 0…9999 in UTC; `nil` when a field is out of range.
  public init?(year: Int, month: Int, day: Int, hour: Int, minute: Int, second: Int) {
    guard let date = CivilDate(year: year, month: month, day: day), (0...23).contains(hour),
      (0...59).contains(minute), (0...59).contains(second)
    else { return nil }
    self.init(Int64(date.daysSince1970 * 86_400 + hour * 3_600 + minute * 60 + second))
  }

  /// Whole days from 1970-01-01 in UTC, rounded down.
  public var daysSince1970: Int {
    let days = seconds / 86_400
    return Int(seconds % 86_400 < 0 ? days - 1 : days)
  }
}
