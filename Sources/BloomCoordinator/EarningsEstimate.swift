internal import BloomBase

/// What a machine might earn: its share of the demand that was settled, less electricity.
///
/// Pure. A range, never a promise: from the weakest to the strongest of the last days, and from a
/// machine that draws power only while it works to one that always does. What is not known is said
/// to be unknown.
struct EarningsEstimate: Equatable, Sendable {
  /// What the person who asks says of the machine.
  struct Machine: Equatable, Sendable {
    /// Tokens a second.
    var rate: Double
    /// Hours a day, 0…24.
    var hours: Double = 24
    /// Watts beyond what it draws anyway, while it serves; `nil` when not told.
    var watts: Double?
    /// Micro-units a kilowatt-hour; `nil` when not told.
    var kilowattHourMicros: Int64?
  }

  /// What owners were paid for one day's answers of a model.
  struct Day: Equatable, Sendable {
    var earned: Micros
    var completionTokens: Int64
  }

  /// Why something is unknown; names for JSON.
  enum Gap: String, Sendable {
    case demand = "no settled demand on three whole days of the last seven"
    case fleet = "fewer than five machines serve this model: figures would show single ones"
    case electricity = "watts and price_per_kwh_micros were not given"
  }

  /// Micro-units a day, from low to high; `nil` is unknown.
  var gross: ClosedRange<Int64>?
  /// As ``gross``.
  var electricity: ClosedRange<Int64>?
  /// As ``gross``; may be below zero.
  var net: ClosedRange<Int64>?
  /// own ÷ (fleet + own); `nil` is unknown.
  var share: Double?
  var gaps: [Gap] = []

  /// Estimates one day.
  ///
  /// - Parameters:
  ///   - machine: The machine.
  ///   - days: Whole days with demand, at most the last seven.
  ///   - fleetRate: Tokens a second of all others together, coarse; `nil` when it is not public.
  init(_ machine: Machine, days: [Day], fleetRate: Int?) {
    let hours = min(24, max(0, machine.hours))
    if fleetRate == nil { gaps.append(.fleet) }
    if days.count < 3 { gaps.append(.demand) }
    var busyHours: ClosedRange<Double>?
    if let fleetRate, machine.rate > 0 {
      let share = machine.rate / (Double(fleetRate) + machine.rate)
      self.share = share
      let part = share * hours / 24
      if days.count >= 3 {
        let sums = days.map { Double($0.earned.rawValue) * part }.sorted()
        gross = Int64(sums[0])...Int64(sums[sums.count - 1])
        let busy = days.map {
          min(hours, Double($0.completionTokens) * part / machine.rate / 3600)
        }.sorted()
        busyHours = busy[0]...busy[busy.count - 1]
      }
    }
    guard let watts = machine.watts, let price = machine.kilowattHourMicros else {
      gaps.append(.electricity)
      return
    }
    let perHour = max(0, watts) / 1000 * Double(max(0, price))
    let least = (busyHours?.lowerBound ?? 0) * perHour
    let electricity = Int64(least)...Int64(max(least, hours * perHour))
    self.electricity = electricity
    if let gross {
      let low = gross.lowerBound - electricity.upperBound
      net = low...(gross.upperBound - electricity.lowerBound)
    }
  }
}
