package import BloomBase
internal import BloomWire

/// What the keys of a gateway used on one day of UTC.
package struct KeyUsage: Sendable, Hashable {
  /// One key's sums.
  package struct Sums: Sendable, Hashable {
    /// Tokens of prompts and answers.
    package var tokens = 0
    /// What the network booked.
    package var spent = Micros(0)

    /// Nothing.
    package init() {}
  }

  /// Days since 1970.
  package private(set) var day: Int64 = 0
  private var sums: [Digest: Sums] = [:]

  /// Nothing used.
  package init() {}

  /// Whether nobody used anything.
  package var isEmpty: Bool { sums.isEmpty }

  /// What a key used.
  package func of(_ key: Digest) -> Sums { sums[key] ?? Sums() }

  /// Forgets another day's sums.
  mutating func begin(day: Int64) {
    guard day != self.day else { return }
    self.day = day
    sums = [:]
  }

  mutating func add(_ key: Digest, tokens: Int, spent: Micros) {
    sums[key, default: Sums()].tokens += tokens
    sums[key, default: Sums()].spent += spent
  }

  /// The form that is kept: JSON.
  package var encoded: [UInt8] {
    let keys = sums.sorted { $0.key < $1.key }.map { key, sums in
      JSONValue.members([
        "digest": .string(key.hex), "tokens": .integer(sums.tokens),
        "micros": .integer(sums.spent.rawValue),
      ])
    }
    return JSONValue.members(["day": .integer(day), "keys": .array(keys)]).encoded
  }

  /// Reads what was kept; what cannot be read counts as nothing used.
  package init(decoding bytes: [UInt8]) {
    guard let value = try? JSONValue(decoding: bytes), let day = value["day"]?.integer else {
      return
    }
    self.day = day
    for item in value["keys"]?.items ?? [] {
      guard let hex = item["digest"]?.string, let digest = Digest(Hex.decode(hex) ?? []),
        let tokens = item["tokens"]?.integer, let micros = item["micros"]?.integer
      else { continue }
      add(digest, tokens: Int(Self.bounded(tokens)), spent: Micros(Self.bounded(micros)))
    }
  }

  /// A file may hold anything: no sum of what is read here overflows.
  private static func bounded(_ value: Int64) -> Int64 { min(max(0, value), 1 << 50) }
}
