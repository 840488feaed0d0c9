package import BloomBase
internal import BloomCrypto

/// What one key of an organisation's gateway may do; `nil` sets no limit.
package struct KeyLimits: Sendable, Hashable {
  /// Requests a minute, with as many at once; at least 1.
  package var requestsPerMinute: Int?
  /// Tokens of prompts and answers together, a day of UTC.
  package var tokensPerDay: Int?
  /// What the network may book for it, a day of UTC.
  package var spendPerDay: Micros?
  /// The names of the models it may ask.
  package var models: Set<String>?

  /// Sets the limits.
  package init(
    requestsPerMinute: Int? = nil, tokensPerDay: Int? = nil, spendPerDay: Micros? = nil,
    models: Set<String>? = nil
  ) {
    self.requestsPerMinute = requestsPerMinute
    self.tokensPerDay = tokensPerDay
    self.spendPerDay = spendPerDay
    self.models = models
  }
}

/// One person's or program's key of an organisation's own gateway: the token's digest, never it.
package struct AccessKey: Sendable, Hashable {
  /// Who it is given to, `nil` for the device's own; may go to logs, the token never.
  package let name: ShortName?
  /// SHA-256 of the bearer token, which has 192 random bits.
  package let digest: Digest
  /// What it may do.
  package let limits: KeyLimits

  /// Creates a key from its digest.
  package init(name: ShortName?, digest: Digest, limits: KeyLimits = KeyLimits()) {
    self.name = name
    self.digest = digest
    self.limits = limits
  }

  /// Creates a key from its token, which is not kept.
  package init(name: ShortName?, token: String, limits: KeyLimits = KeyLimits()) {
    self.init(name: name, digest: Self.digest(of: token), limits: limits)
  }

  /// What is kept of a token.
  package static func digest(of token: String) -> Digest { SHA256.digest(Array(token.utf8)) }
}

/// The keys of a gateway and what each has used.
///
/// Safe from any thread. Tokens are found by their digest, so that the time of a look-up tells
/// nothing of them.
package final class AccessKeys: Sendable {
  /// What a token is good for.
  package enum Admission: Sendable, Hashable {
    /// No key has this token.
    case unknown
    /// The request may go on.
    case allowed(AccessKey)
    /// The key's limit is reached; whole seconds until the next request, 1 or more.
    case limited(retryAfterSeconds: Int)
  }

  /// Why a key may not ask a model now.
  package enum Refusal: Sendable, Hashable {
    /// The key is for other models.
    case model
    /// The day's tokens or money are used up; seconds until midnight UTC.
    case quota(retryAfterSeconds: Int)
  }

  /// A bucket that fills evenly: what is left, and when that was counted.
  private struct Bucket: Sendable {
    var left: Double
    var at: Instant
  }

  private struct State: Sendable {
    var keys: [Digest: AccessKey] = [:]
    var buckets: [Digest: Bucket] = [:]
    var usage = KeyUsage()
    /// The keys of answers whose cost is not booked yet, oldest first.
    var answers: [String: Digest] = [:]
    var order: [String] = []
  }

  /// Answers whose cost is waited for at most; older ones are not charged.
  private static let openAnswers = 4096
  private let time: any TimeSource
  private let state: Locked<State>

  /// Creates the list; each key begins with its whole minute.
  package init(_ keys: [AccessKey], usage: KeyUsage = KeyUsage(), time: any TimeSource) {
    self.time = time
    state = Locked(State(usage: usage))
    replace(keys)
  }

  /// Takes another list; keys that stay keep what they have used.
  package func replace(_ keys: [AccessKey]) {
    state.withLock { state in
      state.keys = Dictionary(keys.map { ($0.digest, $0) }) { $1 }
      state.buckets = state.buckets.filter { state.keys[$0.key] != nil }
    }
  }

  /// What was used today, for keeping.
  package var usage: KeyUsage {
    let day = today
    return state.withLock { state in
      state.usage.begin(day: day)
      return state.usage
    }
  }

  /// Counts one request of a token.
  package func admit(_ token: String) -> Admission {
    let digest = AccessKey.digest(of: token)
    let now = time.now()
    return state.withLock { state in
      guard let key = state.keys[digest] else { return .unknown }
      guard let limit = key.limits.requestsPerMinute.map({ Double(max(1, $0)) }) else {
        return .allowed(key)
      }
      let bucket = state.buckets[digest] ?? Bucket(left: limit, at: now)
      let elapsed = Double((now - bucket.at).wholeNanoseconds) / 1e9
      let left = min(limit, bucket.left + max(0, elapsed) * limit / 60)
      guard left >= 1 else {
        state.buckets[digest] = Bucket(left: left, at: now)
        let wait = ((1 - left) / (limit / 60)).rounded(.up)
        return .limited(retryAfterSeconds: max(1, Int(wait)))
      }
      state.buckets[digest] = Bucket(left: left - 1, at: now)
      return .allowed(key)
    }
  }

  /// Whether a key may ask a model now; `nil` when it may.
  ///
  /// An answer under way may pass the day's limit: the next one is refused.
  package func refusal(_ key: AccessKey, model: String) -> Refusal? {
    if let models = key.limits.models, !models.contains(model) { return .model }
    let seconds = time.unixTime().seconds
    let day = today
    let used = state.withLock { state in
      state.usage.begin(day: day)
      return state.usage.of(key.digest)
    }
    let isSpent =
      key.limits.tokensPerDay.map { used.tokens >= $0 } ?? false
      || key.limits.spendPerDay.map { used.spent >= $0 } ?? false
    return isSpent ? .quota(retryAfterSeconds: Int(86_400 - seconds % 86_400)) : nil
  }

  /// An answer was begun for a key: its cost will be booked on it.
  package func began(_ answer: String, for key: AccessKey) {
    state.withLock { state in
      if state.answers.updateValue(key.digest, forKey: answer) == nil { state.order.append(answer) }
      if state.order.count > Self.openAnswers {
        state.answers[state.order.removeFirst()] = nil
      }
    }
  }

  /// Tokens of prompt and answer were delivered to a key.
  package func delivered(_ tokens: Int, to key: AccessKey) {
    let day = today
    state.withLock { state in
      state.usage.begin(day: day)
      state.usage.add(key.digest, tokens: tokens, spent: Micros(0))
    }
  }

  /// The network booked an answer's part; answers of nobody known are passed over.
  package func booked(_ cost: Micros, answer: String) {
    let day = today
    state.withLock { state in
      guard let digest = state.answers[answer] else { return }
      state.usage.begin(day: day)
      state.usage.add(digest, tokens: 0, spent: cost)
    }
  }

  private var today: Int64 { time.unixTime().seconds / 86_400 }
}
