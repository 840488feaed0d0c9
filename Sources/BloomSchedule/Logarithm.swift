/// Base-2 logarithm and power with the same bits on every platform, as the simulator's replay needs.
package enum Logarithm: Sendable {
  private static let ln2 = 0.693_147_180_559_945_3

  /// log2 of a positive finite number; relative error below 1e-12.
  ///
  /// Others give 0.
  package static func log2(_ value: Double) -> Double {
    guard value > 0, value.isFinite, value.isNormal else { return 0 }
    var exponent = Double(value.exponent)
    var significand = value.significand
    if significand > 1.414_213_562_373_095 {
      significand /= 2
      exponent += 1
    }
    // ln s = 2 atanh((s − 1) / (s + 1)); the argument is at most 0.1716.
    let ratio = (significand - 1) / (significand + 1)
    let square = ratio * ratio
    var power = ratio
    var sum = 0.0
    for divisor in stride(from: 1.0, through: 19.0, by: 2.0) {
      sum += power / divisor
      power *= square
    }
    return exponent + 2 * sum / ln2
  }

  /// 2 to the given power, clamped to ±1000; relative error below 1e-12.
  package static func exp2(_ exponent: Double) -> Double {
    let clamped = min(max(exponent, -1000), 1000)
    let whole = clamped.rounded()
    let argument = (clamped - whole) * ln2
    var term = 1.0
    var sum = 1.0
    for index in stride(from: 1.0, through: 13.0, by: 1.0) {
      term *= argument / index
      sum += term
    }
    return Double(sign: .plus, exponent: Int(whole), significand: sum)
  }

  /// e to the given power.
  package static func exp(_ exponent: Double) -> Double { exp2(exponent / ln2) }
}
