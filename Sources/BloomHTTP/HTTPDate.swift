public import BloomBase

/// The date format of HTTP, RFC 9110 §5.6.7 (IMF-fixdate).
public enum HTTPDate: Sendable {
  private static let days = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"].map { Array($0.utf8) }
  private static let months = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
  ].map { Array($0.utf8) }

  /// 29 bytes, for example `Sun, 06 Nov 1994 08:49:37 GMT`; years outside 0…9999 are clamped.
  public static func bytes(_ time: UnixTime) -> [UInt8] {
    let seconds = min(max(time.seconds, -62_167_219_200), 253_402_300_799)
    let day = seconds.flooredDivision(by: 86_400)
    let second = Int(seconds - day * 86_400)
    let (year, month, dayOfMonth) = civil(Int(day))
    let weekday = (Int(day) % 7 + 11) % 7
    var text: [UInt8] = []
    text.reserveCapacity(29)
    text += days[weekday]
    text += [0x2c, 0x20]
    appendTwo(dayOfMonth, to: &text)
    text.append(0x20)
    text += months[month - 1]
    text.append(0x20)
    appendTwo(year / 100, to: &text)
    appendTwo(year % 100, to: &text)
    text.append(0x20)
    appendTwo(second / 3600, to: &text)
    text.append(0x3a)
    appendTwo(second / 60 % 60, to: &text)
    text.append(0x3a)
    appendTwo(second % 60, to: &text)
    text += [0x20, 0x47, 0x4d, 0x54]
    return text
  }

  private static func appendTwo(_ value: Int, to text: inout [UInt8]) {
    text.append(0x30 + UInt8(truncatingIfNeeded: value / 10))
    text.append(0x30 + UInt8(truncatingIfNeeded: value % 10))
  }

  /// Year, month and day of a day number since 1970-01-01: days counted from a March in 400-year
  /// cycles, so that the leap day is the last of its year.
  private static func civil(_ day: Int) -> (year: Int, month: Int, day: Int) {
    let shifted = day + 719_468
    let era = Int(Int64(shifted).flooredDivision(by: 146_097))
    let dayOfEra = shifted - era * 146_097
    let yearOfEra =
      (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let monthFromMarch = (5 * dayOfYear + 2) / 153
    let dayOfMonth = dayOfYear - (153 * monthFromMarch + 2) / 5 + 1
    let month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
    return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, dayOfMonth)
  }
}

extension Int64 {
  fileprivate func flooredDivision(by divisor: Int64) -> Int64 {
    let quotient = self / divisor
    return self % divisor < 0 ? quotient - 1 : quotient
  }
}
