internal import BloomBase

/// Everything that a decision needs of one node and one model it serves, side by side in 128 bytes.
///
/// A decision would otherwise wait for memory a dozen times a candidate. What belongs to the node is
/// repeated in each of its offers; ``Scheduler`` writes all of them when it changes.
struct OfferState: Sendable {
  /// The machine.
  var name: NodeID
  /// The worker's present and its previous key; only the first ``keyCount`` count.
  var keys = SIMD2<UInt64>()
  /// The node's number.
  var node: Int32
  /// The model's number.
  var model: Int32
  /// The next offer of the same node, in a ring.
  var sibling: Int32
  /// The newest attempt that occupies a slot of it; the others follow by their links.
  var firstAttempt: Int32 = -1
  /// Tokens its caches hold; 0 when unknown.
  var contextTokens: Int32 = 0
  /// The longest context of one request; 0 when unknown.
  var contextLimit: Int32 = 0
  /// Tokens set aside for what runs.
  var reservedTokens: Float = 0
  /// Round trip and the measured overhead of a first token, seconds.
  var delay: Float = 0
  var prefillRate: Float = 100
  /// Tokens a second of the next stream; 0 when it has to be computed again.
  var decodeRate: Float = 0
  /// Smoothed seconds that a request occupies a slot; 0 before the first.
  var serviceSeconds: Float = 0
  /// Expected share of kept work.
  var reliability: Float = 0
  var score: Float = 0
  /// Lowered when the node refuses as busy; the next report restores it.
  var slots: UInt16 = 0
  var running: UInt16 = 0
  /// Attempts that occupy a slot of any model of the node.
  var nodeRunning: UInt16 = 0
  var keyCount: UInt8 = 0
  var link = NodeState.Link.active
  var tier = Tier.software
  var isAttested = false
  /// Whether somebody may wait for it; the queue knows.
  var mayHaveQueue = false

  var freeSlots: Int { Int(slots) - Int(running) }

  func has(_ key: KeyID) -> Bool {
    (keyCount > 0 && keys[0] == key.rawValue) || (keyCount > 1 && keys[1] == key.rawValue)
  }
}

/// What was learned of one offer; looked at when work ends, not when it is placed.
struct OfferHistory: Sendable {
  var model: ModelID
  var activeBytes = 0
  var rates = MeasuredRates()
}
