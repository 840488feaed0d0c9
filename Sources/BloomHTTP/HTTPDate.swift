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
    let day = UnixTime(seconds).daysSince1970
    let second = Int(seconds) - day * 86_400
    let date = CivilDate(daysSince1970: day)
    let weekday = (day % 7 + 11) % 7
    var text: [UInt8] = []
    text.reserveCapacity(29)
    text += days[weekday]
    text += [0x2c, 0x20]
    appendTwo(date.day, to: &text)
    text.append(0x20)
    text += months[date.month - 1]
    text.append(0x20)
    appendTwo(date.year / 100, to: &text)
    appendTwo(date.year % 100, to: &text)
    text.append(0x20)
    appendTwo(second / 3600, to: &text)
    text.append(0x3a)
    appendTwo(second / 60 % 60, to: &text)
    text.append(0x3a)
    appendTwo(second % 60, to: &text)
    text += [0x20, 0x47, 0x4d, 0x54]
    return text
  }

  /// Reads such a text; `nil` for any other.
  public static func time(_ text: String) -> UnixTime? {
    let words = text.split { $0 == " " || $0 == ":" || $0 == "," }
    guard words.count == 8, let day = Int(words[1]),
      let month = months.firstIndex(of: Array(words[2].utf8)), let year = Int(words[3]),
      let hour = Int(words[4]), let minute = Int(words[5]), let second = Int(words[6]),
      let time = UnixTime(
        year: year, month: month + 1, day: day, hour: hour, minute: minute, second: second),
      // A time has one text, so all that was not read above is right as well.
      bytes(time) == Array(text.utf8)
    else { return nil }
    return time
  }

  private static func appendTwo(_ value: Int, to text: inout [UInt8]) {
    text.append(0x30 + UInt8(truncatingIfNeeded: value / 10))
    text.append(0x30 + UInt8(truncatingIfNeeded: value % 10))
  }
}
