import BloomBase
import Testing

@Suite struct CivilDateTests {
  @Test(arguments: [
    ("1970-01-01", 0), ("1969-12-31", -1), ("1972-02-29", 789), ("2000-02-29", 11_016),
    ("2000-03-01", 11_017), ("2024-02-29", 19_782), ("2026-11-21", 20_778),
    ("2100-02-28", 47_540), ("2100-03-01", 47_541), ("9999-12-31", 2_932_896),
    ("0000-01-01", -719_528), ("0000-02-29", -719_469), ("0000-03-01", -719_468),
  ])
  func `days have the calendar's dates and dates their days`(text: String, days: Int) {
    let date = CivilDate(daysSince1970: days)
    #expect(date.description == text)
    #expect(date.daysSince1970 == days)
    #expect(CivilDate(year: date.year, month: date.month, day: date.day) == date)
  }

  @Test func `every day of two eras follows the one before`() {
    var before = CivilDate(daysSince1970: -146_098)
    for days in -146_097...146_097 {
      let date = CivilDate(daysSince1970: days)
      let months = (date.year - before.year) * 12 + date.month - before.month
      let isNextDay = months == 0 && date.day == before.day + 1
      let isNextMonth = months == 1 && date.day == 1 && before.day >= 28
      guard isNextDay || isNextMonth, date.daysSince1970 == days else {
        Issue.record("\(before), \(date)")
        return
      }
      before = date
    }
  }

  @Test(arguments: [
    (2100, 2, 29), (1900, 2, 29), (2026, 2, 29), (2026, 4, 31), (2026, 0, 1), (2026, 13, 1),
    (2026, 1, 0), (2026, 1, 32), (-1, 1, 1), (10_000, 1, 1),
  ])
  func `what is no date is refused`(year: Int, month: Int, day: Int) {
    #expect(CivilDate(year: year, month: month, day: day) == nil)
  }

  @Test func `times follow the calendar`() {
    func seconds(_ year: Int, _ month: Int, _ day: Int) -> Int64? {
      UnixTime(year: year, month: month, day: day, hour: 0, minute: 0, second: 0)?.seconds
    }
    #expect(seconds(1970, 1, 1) == 0)
    #expect(seconds(1969, 12, 31) == -86_400)
    #expect(seconds(2000, 2, 29) == 951_782_400)
    #expect(seconds(2000, 3, 1) == 951_868_800)
    #expect(seconds(2026, 11, 21) == 1_795_219_200)
    #expect(seconds(9999, 12, 31) == 253_402_214_400)
    #expect(seconds(2100, 2, 29) == nil)
    #expect(seconds(2026, 13, 1) == nil)
    #expect(UnixTime(year: 2026, month: 1, day: 1, hour: 24, minute: 0, second: 0) == nil)
    #expect(UnixTime(86_399).daysSince1970 == 0)
    #expect(UnixTime(86_400).daysSince1970 == 1)
    #expect(UnixTime(-1).daysSince1970 == -1)
    #expect(UnixTime(-86_400).daysSince1970 == -1)
    #expect(UnixTime(-86_401).daysSince1970 == -2)
  }
}
