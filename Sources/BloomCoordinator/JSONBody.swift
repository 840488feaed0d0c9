internal import BloomBase
internal import BloomHTTP
internal import BloomNet
internal import BloomRecords
internal import BloomStore
internal import BloomWire

extension Request {
  /// A small body, whole in time: who sends it a byte at a time holds nothing for long.
  ///
  /// - Parameters:
  ///   - limit: Bytes at most.
  ///   - duration: From now to its last byte.
  /// - Returns: All bytes.
  /// - Throws: `NetError` beyond the limit or the time, and any transport error.
  func smallBody(upTo limit: Int, within duration: Duration = .seconds(10)) async throws -> [UInt8]
  {
    let body = body
    guard let loop = connection.loop else { return try await body.collect(upTo: limit) }
    return try await loop.withTimeout(duration, "the request body does not end") {
      try await body.collect(upTo: limit)
    }
  }
}

/// The members of a small JSON request, checked as they are taken.
struct JSONBody {
  private static let byteLimit = 65_536
  private let value: JSONValue

  /// Reads a body; an empty one has no members.
  ///
  /// - Throws: ``AccountError`` `invalid`.
  init(_ request: Request) async throws {
    let bytes = try await request.smallBody(upTo: Self.byteLimit)
    if bytes.isEmpty {
      value = .object([])
    } else {
      guard let decoded = try? JSONValue(decoding: bytes), decoded.members != nil else {
        throw AccountError(.invalid, "the body is not a JSON object")
      }
      value = decoded
    }
  }

  /// A text; `nil` when absent or null.
  func text(_ name: String, upTo limit: Int = 4_096) throws(AccountError) -> String? {
    guard let member = value[name], member != .null else { return nil }
    guard let text = member.string, text.utf8.count <= limit else { throw wrong(name, "a text") }
    return text
  }

  /// A text that must be there.
  func needed(_ name: String) throws(AccountError) -> String {
    guard let text = try text(name) else { throw wrong(name, "a text") }
    return text
  }

  /// A whole number in a range; `nil` when absent.
  func integer(_ name: String, in range: ClosedRange<Int64>) throws(AccountError) -> Int64? {
    guard let member = value[name], member != .null else { return nil }
    guard let number = member.integer, range.contains(number) else {
      throw wrong(name, "a whole number in \(range.lowerBound)…\(range.upperBound)")
    }
    return number
  }

  /// Yes or no; `nil` when absent.
  func flag(_ name: String) throws(AccountError) -> Bool? {
    guard let member = value[name], member != .null else { return nil }
    guard let flag = member.bool else { throw wrong(name, "true or false") }
    return flag
  }

  /// A list of texts; `nil` when absent.
  func texts(_ name: String, atMost limit: Int = 1_000) throws(AccountError) -> [String]? {
    guard let member = value[name], member != .null else { return nil }
    guard let items = member.items, items.count <= limit else {
      throw wrong(name, "a list of texts")
    }
    var texts: [String] = []
    for item in items {
      guard let text = item.string else { throw wrong(name, "a list of texts") }
      texts.append(text)
    }
    return texts
  }

  /// Bytes in hexadecimal that must be there.
  func bytes(_ name: String) throws(AccountError) -> [UInt8] {
    guard let bytes = Hex.decode(try needed(name)) else { throw wrong(name, "hexadecimal") }
    return bytes
  }

  private func wrong(_ name: String, _ wanted: String) -> AccountError {
    AccountError(.invalid, "\(name) must be \(wanted)")
  }
}

extension JSONBody {
  /// The limits of a key; what is absent limits nothing.
  func limits() throws -> KeyLimits {
    let sums: ClosedRange<Int64> = 0...1_000_000_000_000_000
    var limits = KeyLimits()
    limits.perDay = try integer("micros_per_day", in: sums).map { Micros($0) }
    limits.perMonth = try integer("micros_per_month", in: sums).map { Micros($0) }
    limits.requestsPerMinute = try integer("requests_per_minute", in: 1...1_000_000).map { Int($0) }
    limits.models = try models() ?? []
    limits.pool = try text("pool", upTo: 32)
    limits.region = try region()
    limits.minimumTier = try tier() ?? 0
    limits.expires = try integer("expires", in: 0...253_402_300_799).map { UnixTime($0) }
    return limits
  }

  /// The weakest tier by its name; `nil` when absent.
  func tier() throws -> UInt8? {
    guard let name = try text("tier") else { return nil }
    guard let tier = Tier.allCases.first(where: { "\($0)" == name }) else {
      throw AccountError(.invalid, "tier must be software, paired, measured or hardware")
    }
    return tier.rawValue
  }

  /// A region's name; `nil` when absent.
  func region() throws -> String? {
    guard let region = try text("region"), !region.isEmpty else { return nil }
    guard ShortName(region) != nil else {
      throw AccountError(.invalid, "a region has 1 to 48 characters of a-z A-Z 0-9 . _ : / -")
    }
    return region
  }

  /// Models by the digests of their manifests; `nil` when absent.
  func models() throws -> [ModelID]? {
    try texts("models")?.map { text in
      guard let digest = Hex.decode(text).flatMap({ Digest($0) }) else {
        throw AccountError(
          .invalid,
          "a model is named by its digest, 64 hexadecimal digits: darkbloom models list --json")
      }
      return ModelID(digest)
    }
  }
}
