package import BloomBase

/// The node link's versions.
///
/// 1: first version, 2026-11.
package enum LinkVersion: Sendable {
  /// The versions this program speaks.
  package static let supported: ClosedRange<UInt64> = 1...1

  /// The highest version that both sides speak; throws `unknownVersion` when there is none.
  package static func choose(_ offered: ClosedRange<UInt64>) throws(WireError) -> UInt64 {
    guard offered.overlaps(supported) else { throw .unknownVersion(offered.upperBound) }
    return min(offered.upperBound, supported.upperBound)
  }
}

/// The bytes that HIK signs to open a node link.
package enum LinkProof: Sendable {
  /// `"darkbloom/1 link" | 00 | nonce(32) | binding(1) | exporter(0 or 32) | SHA-256(record)(32)`.
  ///
  /// - Parameters:
  ///   - nonce: The coordinator's challenge.
  ///   - exporter: 32 bytes of `EXPORTER-Channel-Binding` (RFC 9266), or `nil` behind a proxy.
  ///   - record: The digest of the node record that the proof carries.
  /// - Returns: The bytes to sign.
  package static func message(nonce: Digest, exporter: [UInt8]?, record: Digest) -> [UInt8] {
    let binding: ChannelBinding = exporter == nil ? .nonceOnly : .exporter
    return Array("darkbloom/1 link".utf8) + [0] + nonce.bytes + [binding.rawValue]
      + (exporter ?? []) + record.bytes
  }
}

extension CBORLimits {
  /// One message of the node link.
  static let link = CBORLimits(byteCount: Limits.controlMessage, depth: 8, itemCount: 4_096)
}

extension CBOREncoder {
  mutating func message(_ type: UInt64, fields: Int) {
    array(fields + 1)
    unsigned(type)
  }

  mutating func reason(_ reason: Reason?) {
    if let reason { unsigned(UInt64(reason.rawValue)) } else { null() }
  }
}

extension CBORReader {
  mutating func message() throws(WireError) -> (type: UInt64, fields: Int) {
    let items = try array("message", maximum: 16)
    guard items > 0 else { throw .missingField("message type") }
    return (try unsigned("message type", maximum: 65_535), items - 1)
  }

  func fields(_ fields: Int, _ expected: Int) throws(WireError) {
    guard fields == expected else { throw .outOfRange(field: "number of fields") }
  }

  mutating func stream() throws(WireError) -> StreamID {
    StreamID(try unsigned("stream", maximum: 1 << 32))
  }

  mutating func optionalReason(_ field: String) throws(WireError) -> Reason? {
    if try null() { return nil }
    return try reason(field)
  }

  /// Reads an array whose items `body` reads.
  package mutating func list<Item>(
    _ field: String, maximum: Int, _ body: (inout CBORReader) throws(WireError) -> Item
  ) throws(WireError) -> [Item] {
    let count = try array(field, maximum: maximum)
    var items: [Item] = []
    items.reserveCapacity(count)
    for _ in 0..<count { items.append(try body(&self)) }
    return items
  }
}
