internal import BloomBase
internal import BloomStore

/// Whole days of a statement, both ends included, UTC.
struct MoneyPeriod: Equatable, Sendable {
  /// The most days of one question: a year and a month.
  static let daysMax: Int32 = 400

  let first: CivilDay
  let last: CivilDay

  /// Reads two days; without them the last thirty.
  ///
  /// - Parameters:
  ///   - from: `YYYY-MM-DD`; 29 days before `to` when `nil`.
  ///   - to: `YYYY-MM-DD`; today when `nil`.
  ///   - now: The time.
  /// - Throws: ``AccountError`` `invalid`.
  init(from: String?, to: String?, now: UnixTime) throws(AccountError) {
    let last = try Self.day(to, "to") ?? CivilDay(Int32(clamping: now.seconds / 86_400))
    let first = try Self.day(from, "from") ?? CivilDay(max(0, last.number - 29))
    guard first <= last else { throw AccountError(.invalid, "from must not be after to") }
    guard last.number - first.number < Self.daysMax else {
      throw AccountError(.invalid, "a period has at most \(Self.daysMax) days; ask in pieces")
    }
    self.first = first
    self.last = last
  }

  private static func day(_ text: String?, _ name: String) throws(AccountError) -> CivilDay? {
    guard let text else { return nil }
    guard let day = CivilDay(text) else {
      throw AccountError(.invalid, "\(name) must be a day such as 2026-11-21")
    }
    return day
  }

  /// Days since 1970-01-01.
  var days: ClosedRange<Int32> { first.number...last.number }

  /// From the first second to before the first one after.
  var seconds: Range<UnixTime> {
    UnixTime(Int64(first.number) * 86_400)..<UnixTime((Int64(last.number) + 1) * 86_400)
  }
}
