/// When owners leave their machines to the network: by the hour where they live.
///
/// An assumption until there is a network to count: most machines idle at night, a third by day.
package enum DayAndNight: Sendable {
  /// Hours from UTC and share of the machines.
  package static let regions: [(offset: Int, weight: Double)] = [(-8, 0.4), (1, 0.4), (8, 0.2)]

  /// The share of machines that are there, for each local hour from midnight.
  package static let idle = [
    0.85, 0.88, 0.90, 0.90, 0.90, 0.88, 0.80, 0.65, 0.50, 0.42, 0.38, 0.36,
    0.36, 0.36, 0.36, 0.37, 0.40, 0.42, 0.42, 0.42, 0.45, 0.55, 0.68, 0.78,
  ]

  /// How likely a machine is there.
  ///
  /// - Parameters:
  ///   - hour: UTC, 0…8760.
  ///   - ticket: 0…1, draws the region.
  package static func share(at hour: Int, ticket: Double) -> Double {
    var left = ticket
    for region in regions {
      left -= region.weight
      if left < 0 { return idle[(hour + region.offset + 24) % 24] }
    }
    return idle[(hour + regions[regions.count - 1].offset) % 24]
  }

  /// The share over all regions.
  package static func share(at hour: Int) -> Double {
    regions.reduce(0) { $0 + $1.weight * idle[(hour + $1.offset + 24) % 24] }
  }

  /// The hours with the fewest and the most machines.
  package static var extremes: (worst: Int, best: Int) {
    let hours = (0..<24).sorted { (share(at: $0), $0) < (share(at: $1), $1) }
    return (hours[0], hours[23])
  }
}
