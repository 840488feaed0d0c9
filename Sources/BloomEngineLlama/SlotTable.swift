internal import BloomEngine

/// Within what prompt prefixes are shared.
struct CacheScope: Hashable, Sendable {
  var epoch = ""
  var salt = ""
}

extension EngineRequest {
  var cacheScope: CacheScope { CacheScope(epoch: epoch, salt: salt) }
}

/// Which tokens each slot of the model's memory holds, and who may reuse them.
///
/// Pure.
///
/// A slot keeps its tokens after its answer ended, until the least recently used one must make
/// room. Tokens are shared only between requests of one salt, so nobody can learn from timing what
/// another user asked. What was computed under an epoch is forgotten with it: no slot is reused,
/// and ``needsClearing`` stays true until the memory itself was overwritten.
struct SlotTable {
  /// What a slot holds.
  struct Slot {
    var scope = CacheScope()
    var tokens: [Int32] = []
    /// Leading tokens computed at the profile's borders, by a prompt's own calls.
    var canonicalCount = 0
    var isBusy = false
    /// Its epoch has ended while its answer ran.
    var isForgotten = false
    var lastUse = 0
  }

  /// Epochs that are remembered as ended; two end an hour.
  static let endedEpochs = 64

  /// Where a new sequence goes, and what it finds there.
  struct Placement: Equatable {
    var slot: Int
    /// The slot whose tokens are copied first; `nil` when they are in place already.
    var copiesFrom: Int?
    /// Tokens that need not be computed.
    var reused: Int
  }

  private(set) var slots: [Slot]
  private let piece: Int
  private let keepsPrefixes: Bool
  private var clock = 0
  /// Epochs whose tokens may stand in the memory, as live ones or as remains.
  private var written: Set<String> = []
  private var ended: [String] = []
  /// Whether remains of an ended epoch may stand in the memory.
  private(set) var needsClearing = false

  /// Creates empty slots.
  init(count: Int, piece: Int, keepsPrefixes: Bool) {
    slots = Array(repeating: Slot(), count: count)
    self.piece = piece
    self.keepsPrefixes = keepsPrefixes
  }

  /// Slots in use.
  var busyCount: Int { slots.count { $0.isBusy } }

  /// Takes a slot for a prompt.
  ///
  /// - Parameters:
  ///   - prompt: The tokens to be computed in pieces.
  ///   - scope: The scope of sharing.
  ///   - isExact: Whether only tokens computed at the profile's borders may be reused.
  /// - Returns: `nil` when all slots are in use.
  mutating func place(_ prompt: [Int32], scope: CacheScope, isExact: Bool)
    -> Placement?
  {
    let free = slots.indices.filter { !slots[$0].isBusy }
    guard let oldest = free.min(by: { slots[$0].lastUse < slots[$1].lastUse }) else { return nil }
    var best = Placement(slot: oldest, copiesFrom: nil, reused: 0)
    if keepsPrefixes {
      for index in slots.indices {
        let reused = reusable(slots[index], prompt, scope: scope, isExact: isExact)
        guard reused > best.reused else { continue }
        best.reused = reused
        best.copiesFrom = index
      }
    }
    if let source = best.copiesFrom {
      // A free slot is continued in place when little of it is lost, or there is no other.
      let isContinued = best.reused * 2 >= slots[source].tokens.count || free.count == 1
      if !slots[source].isBusy && isContinued {
        best = Placement(slot: source, copiesFrom: nil, reused: best.reused)
      } else if oldest == source,
        let other = free.filter({ $0 != source }).min(by: {
          slots[$0].lastUse < slots[$1].lastUse
        })
      {
        best.slot = other
      }
    }
    let donor = best.copiesFrom ?? best.slot
    let kept = Array(slots[donor].tokens.prefix(best.reused))
    // A cut inside a piece: what follows is computed in a shorter call, so it is not canonical.
    let canonical = min(slots[donor].canonicalCount, best.reused) / piece * piece
    let isForgotten = ended.contains(scope.epoch)
    slots[best.slot] = Slot(
      scope: scope, tokens: kept, canonicalCount: canonical, isBusy: true, isForgotten: isForgotten)
    written.insert(scope.epoch)
    touch(best.slot)
    return best
  }

  /// Notes tokens computed in a slot.
  mutating func append(_ tokens: some Sequence<Int32>, to slot: Int, isCanonical: Bool) {
    let wasCanonical = slots[slot].canonicalCount == slots[slot].tokens.count
    slots[slot].tokens.append(contentsOf: tokens)
    if isCanonical && wasCanonical { slots[slot].canonicalCount = slots[slot].tokens.count }
  }

  /// Gives a slot back; its tokens stay for the next request of the salt.
  mutating func release(_ slot: Int, forgets: Bool) {
    slots[slot].isBusy = false
    touch(slot)
    if slots[slot].isForgotten { needsClearing = true }
    if forgets || !keepsPrefixes || slots[slot].isForgotten { slots[slot] = Slot(lastUse: 0) }
  }

  /// An epoch has ended: nothing of it is reused any more.
  ///
  /// - Returns: The slots that hold nothing now.
  mutating func forget(epoch: String) -> [Int] {
    if !ended.contains(epoch) { ended = ended.suffix(Self.endedEpochs - 1) + [epoch] }
    if written.remove(epoch) != nil { needsClearing = true }
    var emptied: [Int] = []
    for index in slots.indices where slots[index].scope.epoch == epoch {
      if slots[index].isBusy {
        slots[index].isForgotten = true
      } else if !slots[index].tokens.isEmpty {
        slots[index] = Slot(lastUse: 0)
        emptied.append(index)
      }
    }
    return emptied
  }

  /// The whole memory was overwritten, while no slot was in use.
  mutating func cleared() {
    slots = Array(repeating: Slot(), count: slots.count)
    written = []
    needsClearing = false
  }

  /// Notes that a slot in use holds nothing after all.
  mutating func clear(_ slot: Int) {
    slots[slot].tokens = []
    slots[slot].canonicalCount = 0
  }

  private mutating func touch(_ slot: Int) {
    clock += 1
    slots[slot].lastUse = clock
  }

  /// The last token is always computed again, because its logits are needed; with exact reuse the
  /// piece it stands in is.
  private func reusable(
    _ slot: Slot, _ prompt: [Int32], scope: CacheScope, isExact: Bool
  ) -> Int {
    guard slot.scope == scope, !slot.isForgotten, !slot.tokens.isEmpty, !prompt.isEmpty else {
      return 0
    }
    var common = 0
    let limit = min(prompt.count - 1, isExact ? slot.canonicalCount : slot.tokens.count)
    while common < limit, slot.tokens[common] == prompt[common] { common += 1 }
    return isExact ? common / piece * piece : common
  }
}
