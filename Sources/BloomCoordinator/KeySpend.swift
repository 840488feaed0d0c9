internal import BloomBase
internal import BloomStore

/// What a key spends by day and month; pure.
enum KeySpend {
  /// The row as it is at a time: sums of days and months that are over are gone.
  static func current(_ row: KeySpendRecord?, _ hash: Digest, _ now: UnixTime) -> KeySpendRecord {
    let day = now.daysSince1970
    let month = month(ofDay: day)
    guard var row else { return KeySpendRecord(hash: hash, day: day, month: month) }
    if row.day != day { (row.day, row.daySpent) = (day, .zero) }
    if row.month != month { (row.month, row.monthSpent) = (month, .zero) }
    return row
  }

  /// Whether an answer of this worst case stays within the limits.
  static func covers(_ limits: KeyLimits, _ row: KeySpendRecord, worst: Micros) -> Bool {
    if let bound = limits.perDay, row.daySpent + row.pending + worst > bound { return false }
    if let bound = limits.perMonth, row.monthSpent + row.pending + worst > bound { return false }
    return true
  }

  /// After a restart nobody knows what became of running answers: their worst case counts.
  static func recovered(_ row: KeySpendRecord) -> KeySpendRecord {
    var row = row
    row.daySpent = row.daySpent + row.pending
    row.monthSpent = row.monthSpent + row.pending
    row.pending = .zero
    return row
  }

  /// Months since the year 0 in the Gregorian calendar, from days since 1970-01-01.
  static func month(ofDay day: Int) -> Int {
    let date = CivilDate(daysSince1970: day)
    return date.year * 12 + date.month - 1
  }
}

/// How many answers each key has begun lately: a bucket that holds a minute's worth.
///
/// Bounded; keys that were not used for a minute are forgotten first.
struct KeyRates {
  private struct Bucket {
    var left: Double
    var at: Instant
  }

  private static let keysMax = 100_000
  private var buckets: [Digest: Bucket] = [:]

  /// How long a key must wait; `nil` when an answer may begin now.
  func wait(_ key: Digest, perMinute: Int, now: Instant) -> Duration? {
    let left = level(key, perMinute, now)
    guard left < 1 else { return nil }
    return .milliseconds(Int64((1 - left) * 60_000 / Double(max(1, perMinute))) + 1)
  }

  /// An answer began.
  mutating func take(_ key: Digest, perMinute: Int, now: Instant) {
    if buckets.count >= Self.keysMax, buckets[key] == nil {
      buckets = buckets.filter { now - $0.value.at < .seconds(60) }
      if buckets.count >= Self.keysMax { buckets.removeAll() }
    }
    buckets[key] = Bucket(left: max(0, level(key, perMinute, now) - 1), at: now)
  }

  private func level(_ key: Digest, _ perMinute: Int, _ now: Instant) -> Double {
    guard let bucket = buckets[key] else { return Double(perMinute) }
    let seconds = max(0, Double((now - bucket.at).wholeNanoseconds) / 1e9)
    return min(Double(perMinute), bucket.left + seconds * Double(perMinute) / 60)
  }
}
