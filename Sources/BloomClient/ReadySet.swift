internal import BloomBase
package import BloomSeal
internal import Synchronization

/// Key exchanges with one drawn set of machines, done before the request came; taken once.
package final class ReadySet: Sendable {
  /// The machines, in the order of the envelope.
  package let targets: [SealTarget]
  private let contexts: Mutex<ReadyContexts?>

  /// Does the exchanges: two multiplications a machine.
  ///
  /// - Throws: As `ReadyContexts`.
  package init(_ targets: [SealTarget]) throws {
    self.targets = targets
    contexts = Mutex(try ReadyContexts(targets))
  }

  /// The contexts, the first time; `nil` afterwards, so that no key is ever used twice.
  package func take() -> ReadyContexts? { contexts.withLock { $0.take() } }
}

/// Drawn sets that wait for their requests, a few for each way of drawing.
///
/// Bounded: the way of drawing that was not used for longest is forgotten first.
struct ReadyShelf: Sendable {
  /// What a set was drawn for.
  struct Key: Hashable, Sendable {
    let place: PlacementPolicy.Place
    let model: ModelID
    let preferred: NodeID?
    let count: Int
  }

  /// Sets kept for one key.
  static let depth = 2
  /// Keys kept.
  static let width = 256

  private var sets: [Key: [ReadySet]] = [:]
  private var order: [Key] = []

  /// The next set whose keys are still the newest ones; older sets are dropped.
  mutating func take(_ key: Key, isCurrent: (SealTarget) -> Bool) -> ReadySet? {
    touch(key)
    while let set = sets[key]?.popLast() {
      if set.targets.allSatisfy(isCurrent) { return set }
    }
    return nil
  }

  /// How many more sets the key should have.
  func wanted(_ key: Key) -> Int { Self.depth - (sets[key]?.count ?? 0) }

  mutating func put(_ set: ReadySet, for key: Key) {
    touch(key)
    guard wanted(key) > 0 else { return }
    sets[key, default: []].append(set)
  }

  /// Forgets everything, after keys or machines changed.
  mutating func removeAll() {
    sets = [:]
    order = []
  }

  private mutating func touch(_ key: Key) {
    if order.last == key { return }
    if let place = order.firstIndex(of: key) { order.remove(at: place) }
    order.append(key)
    if order.count > Self.width { sets[order.removeFirst()] = nil }
  }
}
