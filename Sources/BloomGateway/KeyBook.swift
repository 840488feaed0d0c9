package import BloomBase
internal import BloomWire

/// The keys of an organisation's gateway as a file: names, digests and limits.
///
/// A token is shown once, when it is made, and kept nowhere.
package struct KeyBook: Sendable, Equatable {
  /// One key and when it was made.
  package struct Entry: Sendable, Equatable {
    /// The key.
    package let key: AccessKey
    /// When it was made.
    package let created: UnixTime
  }

  /// Keys at most.
  package static let limit = 10_000
  /// In the order they were made; names are unique.
  package private(set) var entries: [Entry] = []

  /// No keys.
  package init() {}

  /// The keys alone.
  package var keys: [AccessKey] { entries.map(\.key) }

  /// Adds a key.
  ///
  /// - Throws: ``UsageError`` when the name is taken or the book is full.
  package mutating func add(_ key: AccessKey, at now: UnixTime) throws(UsageError) {
    guard let name = key.name else { throw UsageError("a key needs a name") }
    guard !entries.contains(where: { $0.key.name == name }) else {
      throw UsageError(
        "there is a key \(name) already; revoke it first: darkbloom gateway keys revoke \(name)")
    }
    guard entries.count < Self.limit else {
      throw UsageError("a gateway takes at most \(Self.limit) keys")
    }
    entries.append(Entry(key: key, created: now))
  }

  /// Removes a key.
  ///
  /// - Throws: ``UsageError`` that names the nearest key when there is none of this name.
  package mutating func revoke(_ name: String) throws(UsageError) {
    guard let index = entries.firstIndex(where: { $0.key.name?.text == name }) else {
      let nearest = NearestName.find(name, in: entries.compactMap(\.key.name?.text))
      throw UsageError(
        "there is no key \(name)" + (nearest.map { ", did you mean \($0)?" } ?? ""))
    }
    entries.remove(at: index)
  }

  /// The file's text.
  package var encoded: [UInt8] {
    let keys = entries.map { entry in
      let limits = entry.key.limits
      var members: [JSONValue.Member] = [
        .init("name", .string(entry.key.name?.text ?? "")),
        .init("digest", .string(entry.key.digest.hex)),
        .init("created", .integer(entry.created.seconds)),
      ]
      if let limit = limits.requestsPerMinute {
        members.append(.init("requests_per_minute", .integer(limit)))
      }
      if let limit = limits.tokensPerDay {
        members.append(.init("tokens_per_day", .integer(limit)))
      }
      if let limit = limits.spendPerDay {
        members.append(.init("micros_per_day", .integer(limit.rawValue)))
      }
      if let models = limits.models {
        members.append(.init("models", .array(models.sorted().map { .string($0) })))
      }
      return JSONValue.object(members)
    }
    return JSONValue.members(["version": .integer(1), "keys": .array(keys)]).encoded
  }

  /// Reads the file.
  ///
  /// - Throws: ``ConfigurationError``: a damaged list of keys must not open the gateway.
  package init(decoding bytes: [UInt8]) throws(ConfigurationError) {
    guard let value = try? JSONValue(decoding: bytes), value["version"]?.integer == 1,
      let items = value["keys"]?.items
    else { throw Self.damaged }
    for item in items {
      guard let name = item["name"]?.string.flatMap({ ShortName($0) }),
        let digest = item["digest"]?.string.flatMap({ Digest(Hex.decode($0) ?? []) }),
        let created = item["created"]?.integer
      else { throw Self.damaged }
      var limits = KeyLimits()
      limits.requestsPerMinute = try Self.number(item, "requests_per_minute")
      limits.tokensPerDay = try Self.number(item, "tokens_per_day")
      limits.spendPerDay = try Self.number(item, "micros_per_day").map { Micros(Int64($0)) }
      if let models = item["models"] {
        guard let names = models.items else { throw Self.damaged }
        limits.models = Set(names.compactMap(\.string))
        guard limits.models?.count == names.count else { throw Self.damaged }
      }
      entries.append(
        Entry(
          key: AccessKey(name: name, digest: digest, limits: limits), created: UnixTime(created)))
    }
  }

  private static let damaged = ConfigurationError(
    "the gateway's list of keys is damaged; remove gateway-keys.json and add the keys again")

  private static func number(
    _ item: JSONValue, _ name: String
  ) throws(ConfigurationError) -> Int? {
    guard let value = item[name] else { return nil }
    guard let number = value.integer, number >= 0 else { throw damaged }
    return Int(number)
  }
}
