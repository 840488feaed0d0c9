/// Finds what a person probably meant.
public enum NearestName: Sendable {
  /// The candidate with the fewest edits; `nil` when none is near enough to be worth naming.
  public static func find(_ text: String, in candidates: some Sequence<String>) -> String? {
    let limit = max(1, text.count / 3)
    let ranked = candidates.map { (name: $0, distance: distance(Array(text), Array($0))) }
    return ranked.filter { $0.distance <= limit }.min { $0.distance < $1.distance }?.name
  }

  /// Insertions, deletions, replacements and swaps of neighbours (optimal string alignment).
  static func distance(_ a: [Character], _ b: [Character]) -> Int {
    var before: [Int] = []
    var previous = Array(0...b.count)
    for (row, left) in a.enumerated() {
      var current = [row + 1]
      for (column, right) in b.enumerated() {
        var best = min(
          previous[column + 1] + 1, current[column] + 1, previous[column] + (left == right ? 0 : 1))
        if row > 0, column > 0, left == b[column - 1], a[row - 1] == right {
          best = min(best, before[column - 1] + 1)
        }
        current.append(best)
      }
      before = previous
      previous = current
    }
    return previous[b.count]
  }
}
