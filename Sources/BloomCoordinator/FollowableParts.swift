package import BloomSchedule

/// The parts of recent answers that failed, fell silent or are over: only then may the next begin.
///
/// Bounded; the oldest are forgotten first.
package struct FollowableParts {
  private var known: Set<RequestID> = []
  private var order: [RequestID] = []
  private var start = 0
  private let limit = 100_000

  /// Knows of none.
  package init() {}

  /// Takes a part that may be followed by the next.
  package mutating func insert(_ id: RequestID) {
    guard known.insert(id).inserted else { return }
    order.append(id)
    guard order.count - start > limit else { return }
    known.remove(order[start])
    start += 1
    if start > limit {
      order.removeFirst(start)
      start = 0
    }
  }

  /// Whether the next part may begin.
  package func contains(_ id: RequestID) -> Bool { known.contains(id) }
}
