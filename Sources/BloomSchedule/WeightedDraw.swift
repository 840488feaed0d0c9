/// Draws different records by weight in constant time: a client's draw of candidates.
///
/// Vose's alias method (1991): O(n) once for a directory, then O(1) a draw whatever its size.
package struct WeightedDraw: Sendable {
  private var threshold: [UInt32] = []
  private var alias: [UInt32] = []

  /// Prepares the tables.
  ///
  /// Weights that are not positive and finite are never drawn.
  ///
  /// - Complexity: O(n).
  package init(weights: [Double]) {
    let clean = weights.map { $0 > 0 && $0.isFinite ? $0 : 0 }
    let sum = clean.reduce(0, +)
    guard sum > 0, sum.isFinite, clean.count < Int(UInt32.max) else { return }
    var scaled = clean.map { $0 * Double(clean.count) / sum }
    threshold = Array(repeating: .max, count: clean.count)
    alias = (0..<UInt32(clean.count)).map { $0 }
    var small: [Int] = []
    var large: [Int] = []
    for index in scaled.indices {
      if scaled[index] < 1 { small.append(index) } else { large.append(index) }
    }
    while let low = small.popLast() {
      guard let high = large.last else {
        // Rounding left these at almost one; a weight of zero must still never be drawn.
        if clean[low] == 0, let any = clean.firstIndex(where: { $0 > 0 }) {
          threshold[low] = 0
          alias[low] = UInt32(any)
        }
        continue
      }
      threshold[low] = UInt32(min(scaled[low] * 4_294_967_296, 4_294_967_295))
      alias[low] = UInt32(high)
      scaled[high] -= 1 - scaled[low]
      if scaled[high] < 1 {
        large.removeLast()
        small.append(high)
      }
    }
  }

  /// One index by weight; `nil` when nothing has weight.
  package func next(using generator: inout some RandomNumberGenerator) -> Int? {
    guard !alias.isEmpty else { return nil }
    let random: UInt64 = generator.next()
    let place = Int((random >> 32).multipliedReportingOverflow(by: UInt64(alias.count)).0 >> 32)
    let isSelf = UInt32(truncatingIfNeeded: random) < threshold[place]
    return isSelf ? place : Int(alias[place])
  }

  /// Up to four different indexes; fewer when 64 tries find no more.
  package func draw(
    _ count: Int, using generator: inout some RandomNumberGenerator
  ) -> UpToFour<Int> {
    var drawn: UpToFour<Int> = []
    for _ in 0..<64 where drawn.count < min(count, UpToFour<Int>.capacity) {
      guard let index = next(using: &generator) else { break }
      if !drawn.contains(index) { drawn.append(index) }
    }
    return drawn
  }
}
