/// A queue that takes turns between scopes, first come first served within one.
///
/// A client that sends a hundred requests delays another client by one of them, not by a hundred.
struct FairQueue<Element> {
  private var lines: [(scope: String, items: [Element])] = []
  private var turn = 0

  /// Elements in all.
  private(set) var count = 0

  /// Adds an element at the end of its scope's line.
  mutating func append(_ element: Element, scope: String) {
    count += 1
    if let line = lines.firstIndex(where: { $0.scope == scope }) {
      lines[line].items.append(element)
    } else {
      lines.append((scope, [element]))
    }
  }

  /// Takes the next element of the scope whose turn it is.
  mutating func popFirst() -> Element? {
    guard !lines.isEmpty else { return nil }
    turn %= lines.count
    let element = lines[turn].items.removeFirst()
    count -= 1
    if lines[turn].items.isEmpty { lines.remove(at: turn) } else { turn += 1 }
    return element
  }

  /// Removes and returns what matches.
  mutating func remove(where matches: (Element) -> Bool) -> [Element] {
    var removed: [Element] = []
    for line in lines.indices {
      removed += lines[line].items.filter(matches)
      lines[line].items.removeAll(where: matches)
    }
    lines.removeAll { $0.items.isEmpty }
    count -= removed.count
    return removed
  }
}
