package import BloomBase
package import BloomWire

/// What a node did and earned, day by day on the owner's calendar: counts only; pure.
package struct UsageBook: Sendable, Equatable {
  /// One day.
  package struct Day: Sendable, Equatable {
    /// The local date, 20261121 for the 21st of November 2026.
    package var date: Int
    /// Milliseconds in which requests ran.
    package var workedMilliseconds = 0
    /// Answer bytes that left the machine.
    package var uploadedBytes = 0
    /// Requests brought to their end.
    package var jobs = 0
    /// Tokens of their prompts.
    package var promptTokens = 0
    /// Tokens of their answers.
    package var completionTokens = 0
    /// What the coordinator booked.
    package var earned = Micros(0)

    /// An empty day.
    package init(date: Int) { self.date = date }

    /// What the day cost by the owner's figures: electricity beyond idling, and wear.
    package func cost(_ costs: OwnerSettings.Costs) -> (electricity: Micros, wear: Micros) {
      let watts = max(0, costs.busyWatts - costs.idleWatts)
      // Micro-units an hour of work, times hours. Numbers stay far below 2^63: 10^5 W, 10^9 micros.
      let hourly = watts * costs.electricityMicrosPerKilowattHour / 1_000
      return (
        Micros(Int64(Self.share(hourly, workedMilliseconds))),
        Micros(Int64(Self.share(costs.wearMicrosPerHour, workedMilliseconds)))
      )
    }

    private static func share(_ hourly: Int, _ milliseconds: Int) -> Int {
      let (whole, rest) = milliseconds.quotientAndRemainder(dividingBy: 3_600_000)
      return hourly * whole + hourly / 1_000 * rest / 3_600 + hourly % 1_000 * rest / 3_600_000
    }
  }

  /// Days kept; older ones are dropped.
  package static let capacity = 400

  /// Ascending by date.
  package private(set) var days: [Day] = []

  /// An empty book.
  package init() {}

  /// Changes a day's figures; a day that is not there yet is added.
  package mutating func update(_ date: Int, _ change: (inout Day) -> Void) {
    // Clocks that jump back reach an earlier day, which is there or is put in its place.
    let index = days.lastIndex { $0.date <= date }
    if let index, days[index].date == date {
      change(&days[index])
      return
    }
    var day = Day(date: date)
    change(&day)
    days.insert(day, at: index.map { $0 + 1 } ?? 0)
    if days.count > Self.capacity { days.removeFirst() }
  }

  /// A day's figures; zeros for a day without any.
  package func day(_ date: Int) -> Day { days.last { $0.date == date } ?? Day(date: date) }

  /// The book as JSON, one member a day.
  package var json: JSONValue {
    .array(
      days.map { day in
        .members([
          "date": .integer(day.date), "worked_ms": .integer(day.workedMilliseconds),
          "uploaded_bytes": .integer(day.uploadedBytes), "jobs": .integer(day.jobs),
          "prompt_tokens": .integer(day.promptTokens),
          "completion_tokens": .integer(day.completionTokens),
          "earned_micros": .string("\(day.earned.rawValue)"),
        ])
      })
  }

  /// A file may hold anything: no sum of what is read here overflows.
  private static func count(_ value: Int64?, atMost limit: Int64 = 1 << 50) -> Int {
    Int(min(max(0, value ?? 0), limit))
  }

  /// Reads a book; days that cannot be read are left out, so that a damaged file loses no more.
  package init(json: JSONValue) {
    for item in json.items ?? [] {
      guard let date = item["date"]?.integer else { continue }
      update(Int(date)) { day in
        day.workedMilliseconds = Self.count(item["worked_ms"]?.integer, atMost: 90_000_000)
        day.uploadedBytes = Self.count(item["uploaded_bytes"]?.integer)
        day.jobs = Self.count(item["jobs"]?.integer)
        day.promptTokens = Self.count(item["prompt_tokens"]?.integer)
        day.completionTokens = Self.count(item["completion_tokens"]?.integer)
        day.earned = Micros(
          Int64(Self.count(item["earned_micros"]?.string.flatMap { Int64($0) })))
      }
    }
  }
}
