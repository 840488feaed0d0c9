package import BloomBase
internal import BloomCrypto
internal import BloomLedger
package import BloomRecords
internal import BloomStore
internal import BloomWire

/// What is kept of a receipt that was booked: the receipt and the statement that vouches for its key.
///
/// Counts and commitments only; nothing of what was said can be told from it.
package enum ReceiptProof: Sendable {
  /// How long proofs are kept: longer than a line may be disputed.
  static let keptSeconds: Int64 = 400 * 86400
  private static let version: UInt8 = 1

  /// The rows to write for a receipt.
  ///
  /// - Returns: `nil` when the record holds no statement, which no checked record does.
  static func rows(
    _ receipt: Receipt, of record: NodeRecord, now: UnixTime
  ) -> (receipt: ReceiptRecord, statement: KeyStatementRecord)? {
    guard let statement = signedStatement(of: record) else { return nil }
    let digest = SHA256.digest(statement)
    let expires = now + keptSeconds
    return (
      ReceiptRecord(
        digest: receipt.digest, answer: receipt.claims.answer,
        bytes: [version] + digest.bytes + receipt.encoded, expires: expires),
      KeyStatementRecord(digest: digest, bytes: statement, expires: expires)
    )
  }

  /// The parts of a kept receipt; `nil` when its bytes are of another version or damaged.
  package static func read(_ bytes: [UInt8]) -> (statement: Digest, receipt: [UInt8])? {
    guard bytes.first == version, bytes.count > 1 + Digest.byteCount,
      let digest = Digest(bytes[1..<1 + Digest.byteCount])
    else { return nil }
    return (digest, Array(bytes[(1 + Digest.byteCount)...]))
  }

  /// The signed statement within a record.
  package static func signedStatement(of record: NodeRecord) -> [UInt8]? {
    do {
      var reader = try CBORReader(record.encoded)
      try reader.array("node record", count: 2)
      return try reader.byteString("statement", 1...Limits.record)
    } catch {
      return nil  // the record was read before: this does not happen
    }
  }
}
