package import BloomBase

/// How often a node keeps its word: a beta distribution that forgets (Jøsang & Ismail, 2002).
package struct Reliability: Equatable, Sendable {
  /// After this long a result counts half.
  package static let halfLife = Duration.seconds(7 * 86400)

  private var kept = 0.0
  private var broken = 0.0
  private var updated = Instant(nanoseconds: 0)
  private let priorKept: Double
  private let priorBroken = 1.0

  /// Starts with a prior: hardware evidence is worth three kept promises more.
  package init(tier: Tier) { priorKept = tier == .hardware ? 4 : 1 }

  /// Adds a result.
  ///
  /// - Parameters:
  ///   - weight: 1 for usual work; a wrong answer counts 50.
  ///   - isKept: Whether the promise was kept.
  ///   - now: When; must not go back.
  package mutating func add(weight: Double, isKept: Bool, now: Instant) {
    let seconds = Double((now - updated).wholeNanoseconds) / 1e9
    if seconds > 0 {
      let decay = Logarithm.exp2(-seconds / Double(Self.halfLife.wholeNanoseconds) * 1e9)
      kept *= decay
      broken *= decay
      updated = now
    }
    if isKept { kept += weight } else { broken += weight }
  }

  /// The expected share of kept promises, 0…1.
  package var mean: Double {
    (kept + priorKept) / (kept + priorKept + broken + priorBroken)
  }

  /// The 5 % lower bound, `mean − 1.645 σ`, 0…1.
  package var lowerBound: Double {
    let a = kept + priorKept
    let b = broken + priorBroken
    let variance = a * b / ((a + b) * (a + b) * (a + b + 1))
    return max(0, mean - 1.645 * variance.squareRoot())
  }
}
