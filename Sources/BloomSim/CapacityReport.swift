/// Answers what 1,000 machines deliver, beside a published table that claims it.
package enum CapacityReport: Sendable {
  /// A mean with its 95 % confidence interval over seeds.
  package struct Interval: Equatable, Sendable {
    /// The mean.
    package let mean: Double
    /// Half the width; 0 for one sample.
    package let half: Double

    /// Computes both, with Student's t for up to ten samples.
    package init(_ samples: [Double]) {
      let count = Double(samples.count)
      let average = samples.reduce(0, +) / max(count, 1)
      mean = average
      let sumOfSquares = samples.reduce(0) { $0 + ($1 - average) * ($1 - average) }
      let quantiles = [12.71, 4.30, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26]
      guard samples.count > 1 else {
        half = 0
        return
      }
      let quantile = quantiles[min(samples.count - 2, quantiles.count - 1)]
      half = quantile * (sumOfSquares / (count - 1) / count).squareRoot()
    }
  }

  /// The whole report as text; marked as simulated.
  ///
  /// - Parameter seeds: Runs of each case, 1 or more.
  /// - Returns: Lines for people.
  package static func text(seeds: Int) -> String {
    var lines = [
      "simulated: 1,000 machines, real scheduler, \(seeds) seeds, 95 % confidence interval",
      "speed: 1.07 x bytes / bandwidth + 0.185 ms a layer; batch of n: n / (1 + 0.27 (n - 1))",
    ]
    for model in SmallModel.all {
      lines.append("")
      lines.append("\(model.name): published \(Int(model.claim)) tok/s on 1,000 nodes")
      for (mix, slots, churn, hour) in cases {
        let results = (1...max(seeds, 1)).map { seed -> CapacityResult in
          var plan = CapacityPlan(seed: UInt64(seed))
          plan.mix = mix
          plan.model = model
          plan.slots = slots
          plan.hasChurn = churn
          plan.hour = hour
          plan.load = 1.3
          var run = CapacityRun(plan)
          return run.run()
        }
        let tokens = Interval(results.map(\.tokens))
        let sum = Interval(results.map(\.sum))
        let verdict = tokens.mean - tokens.half >= model.claim ? "reached" : "refuted"
        lines.append(
          "  \(mix.name), \(slots) stream\(slots == 1 ? "" : "s")\(churn ? ", owners come and go" : "")"
            + (hour.map { ", at \($0):00 UTC" } ?? "") + ": "
            + "\(Int(tokens.mean)) +- \(Int(tokens.half)) tok/s, theoretical sum \(Int(sum.mean)); "
            + verdict)
      }
    }
    return lines.joined(separator: "\n")
  }

  private static let cases: [(ChipMix, slots: Int, churn: Bool, hour: Int?)] = [
    (.allM1, 1, false, nil), (.halfIntel, 1, false, nil), (.mixed, 1, false, nil),
    (.mixed, 4, false, nil), (.mixed, 4, true, nil),
    (.mixed, 4, false, DayAndNight.extremes.worst), (.mixed, 4, false, DayAndNight.extremes.best),
  ]
}
