/// The median of the last 15 samples, in 40 bytes: it forgets, and one outlier does not move it.
///
/// Samples are kept as logarithms of 16 bits, 0.07 % apart, from 2^-16 to 2^48.
package struct RollingMedian: Equatable, Sendable {
  /// Samples that the median is taken over at most.
  package static let window = 15

  private var samples = SIMD16<UInt16>()
  private var next: UInt8 = 0
  private var held: UInt8 = 0
  /// The median; 0 before the first sample.
  package private(set) var value: Float = 0

  /// Holds no samples.
  package init() {}

  /// How many samples are held, 0…15.
  package var count: Int { Int(held) }

  /// Adds a sample; what is not positive and finite is ignored.
  package mutating func add(_ sample: Double) {
    guard sample > 0, sample.isFinite else { return }
    let scaled = (Logarithm.log2(sample) + 16) * 1024
    samples[Int(next)] = UInt16(min(max(scaled, 0), 65535))
    next = next == UInt8(Self.window - 1) ? 0 : next + 1
    if held < UInt8(Self.window) { held += 1 }
    value = Float(Logarithm.exp2(Double(medianOfSamples()) / 1024 - 16))
  }

  private func medianOfSamples() -> UInt16 {
    var sorted = samples
    let count = Int(held)
    for index in 1..<max(count, 1) {
      let moving = sorted[index]
      var place = index
      while place > 0, sorted[place - 1] > moving {
        sorted[place] = sorted[place - 1]
        place -= 1
      }
      sorted[place] = moving
    }
    return sorted[(count - 1) / 2]
  }
}
