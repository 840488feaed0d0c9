/// Percent-encoding, RFC 3986 §2.1.
public enum PercentCoding: Sendable {
  private static let unreserved = ASCIISet("-._~", letters: true, digits: true)
  private static let digits = Array("0123456789ABCDEF".utf8)

  /// Decodes all escapes; `nil` on a bad escape or when the result is not UTF-8.
  ///
  /// - Parameters:
  ///   - text: Encoded text.
  ///   - plusIsSpace: As in `application/x-www-form-urlencoded`.
  /// - Returns: The decoded text.
  public static func decode(_ text: some StringProtocol, plusIsSpace: Bool = false) -> String? {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(text.utf8.count)
    var rest = text.utf8.makeIterator()
    while let byte = rest.next() {
      if byte == 0x25 {
        guard let first = rest.next(), let second = rest.next(), let high = hexValue(first),
          let low = hexValue(second)
        else { return nil }
        bytes.append(high << 4 | low)
      } else {
        bytes.append(plusIsSpace && byte == 0x2b ? 0x20 : byte)
      }
    }
    return String(validating: bytes, as: UTF8.self)
  }

  /// Encodes everything but the unreserved characters of RFC 3986 §2.3.
  public static func encode(_ text: some StringProtocol) -> String {
    var bytes: [UInt8] = []
    for byte in text.utf8 {
      if unreserved.contains(byte) {
        bytes.append(byte)
      } else {
        bytes.append(0x25)
        bytes.append(digits[Int(byte >> 4)])
        bytes.append(digits[Int(byte & 15)])
      }
    }
    return String(decoding: bytes, as: UTF8.self)
  }
}

/// One `name=value` of a query.
public struct QueryItem: Sendable, Equatable {
  /// Decoded.
  public let name: String
  /// Decoded; empty when there was no `=`.
  public let value: String

  /// Wraps a pair.
  public init(name: String, value: String) {
    self.name = name
    self.value = value
  }

  /// Splits at `&` and the first `=`, and decodes.
  ///
  /// - Throws: ``HTTPError`` with `badTarget` on a bad escape.
  public static func parse(_ query: some StringProtocol) throws(HTTPError) -> [QueryItem] {
    var items: [QueryItem] = []
    for pair in query.split(separator: "&") {
      let halves = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      guard let name = PercentCoding.decode(halves[0], plusIsSpace: true),
        let value = PercentCoding.decode(halves.count > 1 ? halves[1] : "", plusIsSpace: true)
      else { throw HTTPError(.badTarget) }
      items.append(QueryItem(name: name, value: value))
    }
    return items
  }
}
