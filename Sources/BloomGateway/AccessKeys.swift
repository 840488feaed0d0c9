package import BloomBase

/// One person's or program's key of an organisation's own gateway.
package struct AccessKey: Sendable {
  /// Who it is given to, `nil` for the device's own; may go to logs, the token never.
  package let name: ShortName?
  /// The bearer token.
  let token: [UInt8]
  /// Requests a minute, with as many at once; `nil` for no limit.
  package let requestsPerMinute: Int?

  /// Creates a key; a limit below 1 counts as 1.
  package init(name: ShortName?, token: String, requestsPerMinute: Int? = nil) {
    self.name = name
    self.token = Array(token.utf8)
    self.requestsPerMinute = requestsPerMinute.map { max(1, $0) }
  }
}

/// The keys of a gateway and what each has used.
///
/// Safe from any thread.
package final class AccessKeys: Sendable {
  /// What a token is good for.
  package enum Admission: Sendable, Hashable {
    /// No key has this token.
    case unknown
    /// The request may go on.
    case allowed
    /// The key's limit is reached; whole seconds until the next request, 1 or more.
    case limited(retryAfterSeconds: Int)
  }

  /// A bucket that fills evenly: what is left, and when that was counted.
  private struct Bucket: Sendable {
    var left: Double
    var at: Instant
  }

  private let keys: [AccessKey]
  private let time: any TimeSource
  private let buckets: Locked<[Bucket]>

  /// Creates the list; each key begins with its whole minute.
  package init(_ keys: [AccessKey], time: any TimeSource) {
    self.keys = keys
    self.time = time
    let now = time.now()
    buckets = Locked(keys.map { Bucket(left: Double($0.requestsPerMinute ?? 0), at: now) })
  }

  /// Counts one request of a token.
  ///
  /// Compares with every key, each in constant time for tokens of its length.
  package func admit(_ token: String) -> Admission {
    let given = Array(token.utf8)
    var found: Int?
    for (index, key) in keys.enumerated() where Self.equal(given, key.token) { found = index }
    guard let found else { return .unknown }
    guard let limit = keys[found].requestsPerMinute else { return .allowed }
    let now = time.now()
    let perSecond = Double(limit) / 60
    return buckets.withLock { buckets in
      let elapsed = Double((now - buckets[found].at).wholeNanoseconds) / 1e9
      let left = min(Double(limit), buckets[found].left + max(0, elapsed) * perSecond)
      guard left >= 1 else {
        buckets[found] = Bucket(left: left, at: now)
        return .limited(retryAfterSeconds: max(1, Int(((1 - left) / perSecond).rounded(.up))))
      }
      buckets[found] = Bucket(left: left - 1, at: now)
      return .allowed
    }
  }

  private static func equal(_ a: [UInt8], _ b: [UInt8]) -> Bool {
    guard !a.isEmpty, a.count == b.count else { return false }
    return zip(a, b).reduce(0) { $0 | ($1.0 ^ $1.1) } == 0
  }
}
