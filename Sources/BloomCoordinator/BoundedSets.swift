internal import BloomBase
internal import BloomSchedule

/// Digests that were seen lately: two generations, the older dropped whole when the younger is full.
struct KnownDigests {
  private var young: Set<Digest> = []
  private var old: Set<Digest> = []
  private let capacity = 20_000

  /// Remembers a digest; `false` when it was known.
  mutating func insert(_ digest: Digest) -> Bool {
    if young.contains(digest) || old.contains(digest) { return false }
    if young.count >= capacity {
      old = young
      young = []
    }
    young.insert(digest)
    return true
  }
}

/// Whose tokens were the answer of each recent part: only that machine's receipts are booked.
///
/// Two generations as ``KnownDigests``; parts of an earlier process are in none.
struct ServedParts {
  /// What is known of a part.
  enum Server: Equatable {
    /// This machine's tokens went to the gateway.
    case node(NodeID)
    /// The part ended before any token came.
    case nobody
  }

  private var young: [RequestID: Server] = [:]
  private var old: [RequestID: Server] = [:]
  private let capacity = 50_000

  mutating func insert(_ part: RequestID, _ server: Server) {
    if young.count >= capacity {
      old = young
      young = [:]
    }
    young[part] = server
  }

  /// Who served a part; `nil` when it is not known.
  subscript(part: RequestID) -> Server? { young[part] ?? old[part] }
}

/// Which machines which payers have questioned today: each question counts once a day.
///
/// A client that questions everything it pays costs a machine no more than one that does so once.
struct QuestionedNodes {
  private struct Pair: Hashable {
    let payer: AccountID
    let node: NodeID
  }

  private var pairs: Set<Pair> = []
  private var day: Int64 = 0
  private let capacity = 50_000

  /// Whether this question is the first of its pair today.
  mutating func insert(_ payer: AccountID, _ node: NodeID, at now: UnixTime) -> Bool {
    let today = now.seconds / 86400
    if today != day {
      day = today
      pairs = []
    }
    guard pairs.count < capacity else { return false }
    return pairs.insert(Pair(payer: payer, node: node)).inserted
  }
}
