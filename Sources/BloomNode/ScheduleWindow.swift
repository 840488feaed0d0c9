/// A point of the week on the owner's wall clock.
package struct LocalTime: Sendable, Equatable {
  /// 0…6 from Sunday, as in `struct tm`.
  package var weekday: Int
  /// 0…1,439 from midnight.
  package var minute: Int

  /// Sets both; values outside are wrapped.
  package init(weekday: Int, minute: Int) {
    self.weekday = ((weekday % 7) + 7) % 7
    self.minute = ((minute % 1_440) + 1_440) % 1_440
  }
}

/// Hours in which a machine serves, by the owner's wall clock.
///
/// A window that ends at or before its start goes over midnight; the day it starts on owns it. Wall
/// time decides, so a night with a changed clock is an hour shorter or longer, as the owner's is.
package struct ScheduleWindow: Sendable, Equatable, CustomStringConvertible {
  /// Days on which it starts, 0…6 from Sunday.
  package let weekdays: Set<Int>
  /// First minute, 0…1,439.
  package let start: Int
  /// The minute after the last, 0…1,440.
  package let end: Int

  /// Sets every field; `nil` when a value is out of range or there is no day.
  package init?(weekdays: Set<Int>, start: Int, end: Int) {
    guard !weekdays.isEmpty, weekdays.allSatisfy({ (0...6).contains($0) }),
      (0..<1_440).contains(start), (0...1_440).contains(end)
    else { return nil }
    self.weekdays = weekdays
    self.start = start
    self.end = end
  }

  /// Reads `mon-fri 22:00-07:00`, `sat,sun 00:00-24:00` or `daily 20:00-08:00`.
  ///
  /// - Throws: ``NodeError`` `badConfiguration` that shows the right form.
  package init(_ text: String) throws(NodeError) {
    let parts = text.split(separator: " ")
    let times = parts.count == 2 ? parts[1].split(separator: "-").compactMap(Self.minute) : []
    guard times.count == 2, let days = Self.weekdays(parts[0]),
      let window = ScheduleWindow(weekdays: days, start: times[0], end: times[1])
    else {
      throw NodeError(
        .badConfiguration, "a schedule window looks like: mon-fri 22:00-07:00, or daily 20:00-08:00"
      )
    }
    self = window
  }

  /// Whether a time lies in the window.
  package func contains(_ time: LocalTime) -> Bool {
    let isToday = weekdays.contains(time.weekday)
    if start < end { return isToday && (start..<end).contains(time.minute) }
    let isFromYesterday = weekdays.contains((time.weekday + 6) % 7)
    return isToday && time.minute >= start || isFromYesterday && time.minute < end
  }

  /// The form that ``init(_:)`` reads.
  package var description: String {
    let days =
      weekdays.count == 7
      ? "daily" : weekdays.sorted().map { Self.names[$0] }.joined(separator: ",")
    return "\(days) \(Self.clock(start))-\(Self.clock(end))"
  }

  private static func clock(_ minute: Int) -> String {
    let (hours, minutes) = (minute / 60, minute % 60)
    return "\(hours < 10 ? "0" : "")\(hours):\(minutes < 10 ? "0" : "")\(minutes)"
  }

  private static let names = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]

  private static func weekdays(_ text: Substring) -> Set<Int>? {
    if text == "daily" { return Set(0...6) }
    var days: Set<Int> = []
    for part in text.split(separator: ",") {
      let ends = part.split(separator: "-").map { names.firstIndex(of: String($0)) }
      guard let first = ends.first ?? nil, let last = ends.last ?? nil, ends.count <= 2 else {
        return nil
      }
      var day = first
      days.insert(day)
      while day != last {
        day = (day + 1) % 7
        days.insert(day)
      }
    }
    return days.isEmpty ? nil : days
  }

  private static func minute(_ text: Substring) -> Int? {
    let parts = text.split(separator: ":").compactMap { Int($0) }
    guard parts.count == 2, (0...24).contains(parts[0]), (0..<60).contains(parts[1]) else {
      return nil
    }
    let minute = parts[0] * 60 + parts[1]
    return minute <= 1_440 ? minute : nil
  }
}
