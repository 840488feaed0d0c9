package import BloomWire

/// Answers what 1,000 machines deliver, beside a published table that claims it.
///
/// Simulated: the real scheduler over the speeds of ``Chip``.
package struct CapacityReport: Sendable {
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

  /// What the machines are and when.
  private struct Scene: Sendable {
    var mix: ChipMix
    var slots: Int
    var hasChurn = false
    var hour: Int?

    var name: String {
      "\(mix.name), \(slots) stream\(slots == 1 ? "" : "s")"
        + (hasChurn ? ", owners come and go" : "") + (hour.map { ", at \($0):00 UTC" } ?? "")
    }
  }

  private struct Row: Sendable {
    let model: SmallModel
    let scene: Scene
    let tokens: Interval
    let sum: Interval

    /// The whole interval is at or above the claim.
    var isReached: Bool { tokens.mean - tokens.half >= model.claim }
  }

  private let seeds: Int
  private let rows: [Row]

  /// Runs every case.
  ///
  /// - Parameters:
  ///   - seeds: Runs of each, 1 or more.
  ///   - nodes: Machines; the published table has 1,000.
  ///   - seconds: What is counted of each run, after a minute.
  package init(seeds: Int, nodes: Int = 1000, seconds: Double = 240) {
    self.seeds = seeds
    var rows: [Row] = []
    for model in SmallModel.all {
      for scene in Self.scenes {
        let results = (1...max(seeds, 1)).map { seed -> CapacityResult in
          var plan = CapacityPlan(seed: UInt64(seed))
          plan.nodes = nodes
          plan.measured = seconds
          plan.mix = scene.mix
          plan.model = model
          plan.slots = scene.slots
          plan.hasChurn = scene.hasChurn
          plan.hour = scene.hour
          plan.load = 1.3
          var run = CapacityRun(plan)
          return run.run()
        }
        rows.append(
          Row(
            model: model, scene: scene, tokens: Interval(results.map(\.tokens)),
            sum: Interval(results.map(\.sum))))
      }
    }
    self.rows = rows
  }

  /// Lines for people.
  package var text: String {
    var lines = [
      "simulated: 1,000 machines, real scheduler, \(seeds) seeds, 95 % confidence interval",
      "speed: 1.07 x bytes / bandwidth + 0.185 ms a layer; batch of n: n / (1 + 0.27 (n - 1))",
    ]
    lines += [ChipMix.allM1, .halfIntel, .mixed].map { "\($0.name): \($0.text)" }
    for model in SmallModel.all {
      lines += ["", "\(model.name): published \(Int(model.claim)) tok/s on 1,000 nodes"]
      lines += rows.filter { $0.model == model }.map {
        "  \($0.scene.name): \(Int($0.tokens.mean)) +- \(Int($0.tokens.half)) tok/s, "
          + "theoretical sum \(Int($0.sum.mean)); \($0.isReached ? "reached" : "refuted")"
      }
    }
    return lines.joined(separator: "\n")
  }

  /// The same for programs; rates in tokens a second.
  package var json: JSONValue {
    .array(
      rows.map { row in
        .members([
          "model": .string(row.model.name), "published": .rounded(row.model.claim),
          "mix": .string(row.scene.mix.name), "streams": .integer(row.scene.slots),
          "owners_come_and_go": .bool(row.scene.hasChurn),
          "hour_utc": row.scene.hour.map { .integer($0) } ?? .null,
          "tokens_per_second": .rounded(row.tokens.mean),
          "confidence_half_width": .rounded(row.tokens.half),
          "theoretical_sum": .rounded(row.sum.mean), "reached": .bool(row.isReached),
          "seeds": .integer(seeds),
        ])
      })
  }

  private static let scenes: [Scene] = [
    Scene(mix: .allM1, slots: 1), Scene(mix: .halfIntel, slots: 1), Scene(mix: .mixed, slots: 1),
    Scene(mix: .mixed, slots: 4), Scene(mix: .mixed, slots: 4, hasChurn: true),
    Scene(mix: .mixed, slots: 4, hour: DayAndNight.extremes.worst),
    Scene(mix: .mixed, slots: 4, hour: DayAndNight.extremes.best),
  ]
}

extension JSONValue {
  /// A number with three decimals.
  package static func rounded(_ value: Double) -> JSONValue {
    JSONNumber((value * 1000).rounded() / 1000).map { .number($0) } ?? .null
  }
}
