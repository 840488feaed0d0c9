package import BloomBase

/// Token buckets by key in bounded memory: who was quiet for long enough has a full one.
///
/// Pure. A bucket that was not asked for lately is forgotten when the table is full, and a forgotten
/// one is full again; so a key that is in use keeps its state however many others come and go once.
package struct TokenBuckets<Key: Hashable & Sendable>: Sendable {
  private struct Bucket: Sendable {
    var tokens: Double
    var at: Instant
  }

  private let perSecond: Double
  private let burst: Double
  private let capacity: Int
  /// Two generations: a key that is asked for moves to the young one, the old one is dropped whole.
  private var young: [Key: Bucket] = [:]
  private var old: [Key: Bucket] = [:]

  /// Creates an empty table.
  ///
  /// - Parameters:
  ///   - perSecond: Tokens that come back each second, above 0.
  ///   - burst: Tokens of a full bucket, 1 or more.
  ///   - capacity: Keys of each of two generations.
  package init(perSecond: Double, burst: Double, capacity: Int = 65_536) {
    invariant(perSecond > 0 && burst >= 1 && capacity > 0, "a bucket must fill")
    self.perSecond = perSecond
    self.burst = burst
    self.capacity = capacity
  }

  /// Keys that are remembered: at most twice the capacity.
  package var count: Int { young.count + old.count }

  /// Takes tokens of a key.
  ///
  /// - Parameters:
  ///   - cost: How many; a cost above the burst is taken from a full bucket.
  ///   - key: Whose.
  ///   - now: The time.
  /// - Returns: `nil` when there were enough, else how long until there are; nothing was taken then.
  package mutating func take(_ cost: Double = 1, from key: Key, now: Instant) -> Duration? {
    var bucket = refilled(key, now)
    let cost = min(cost, burst)
    defer { keep(bucket, key) }
    guard bucket.tokens >= cost else {
      return .milliseconds(Int64(((cost - bucket.tokens) / perSecond * 1000).rounded(.up)))
    }
    bucket.tokens -= cost
    return nil
  }

  /// Takes tokens that the key may not have: it waits until the debt is paid.
  ///
  /// A debt is at most one full bucket.
  package mutating func charge(_ cost: Double, to key: Key, now: Instant) {
    var bucket = refilled(key, now)
    bucket.tokens = max(bucket.tokens - cost, -burst)
    keep(bucket, key)
  }

  private func refilled(_ key: Key, _ now: Instant) -> Bucket {
    guard var bucket = young[key] ?? old[key] else { return Bucket(tokens: burst, at: now) }
    let seconds = Double(max(0, (now - bucket.at).wholeNanoseconds)) / 1e9
    bucket.tokens = min(burst, bucket.tokens + seconds * perSecond)
    bucket.at = max(bucket.at, now)
    return bucket
  }

  private mutating func keep(_ bucket: Bucket, _ key: Key) {
    if young[key] == nil, young.count >= capacity {
      old = young
      young = [:]
    }
    old[key] = nil
    young[key] = bucket
  }
}
