package import BloomBase
package import BloomLedger

/// A signed key statement as it came: with it a kept receipt proves which machine signed.
///
/// One for all receipts of an hour of a machine. Lies in the table of receipts, beside them.
package struct KeyStatementRecord: StoredRecord {
  /// SHA-256 of the bytes.
  package var digest: Digest
  /// The signed statement.
  package var bytes: [UInt8]
  /// When it may be deleted; `nil` for never.
  package var expires: UnixTime?

  /// Creates a statement's row.
  package init(digest: Digest, bytes: [UInt8], expires: UnixTime?) {
    self.digest = digest
    self.bytes = bytes
    self.expires = expires
  }

  /// The row's name for a statement's digest.
  package static func id(_ digest: Digest) -> String { "statement-" + digest.hex }

  package static var kind: RecordKind { .receipt }
  package var id: String { Self.id(digest) }
  package var group: String { "" }
  package var packed: [UInt8] {
    var to = PackedWriter(version: 1)
    to.put(digest)
    to.put(bytes)
    return to.bytes
  }
  package init(packed: [UInt8], expires: UnixTime?) throws(PackedError) {
    var from = try PackedReader(packed, version: 1)
    self.init(digest: try from.digest(), bytes: try from.array(), expires: expires)
  }
}
