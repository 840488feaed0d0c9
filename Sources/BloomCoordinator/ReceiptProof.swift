package import BloomBase
internal import BloomCrypto
internal import BloomLedger
internal import BloomRecords
internal import BloomStore
internal import BloomWire

/// What is kept of a receipt that was booked: the receipt and the statement that vouches for its key.
///
/// The ledger keeps `1 | statement digest | receipt` with the settled line; the statement, one for all
/// receipts of an hour of a machine, is a row of its own. Counts and commitments only; nothing of what
/// was said can be told from them.
package enum ReceiptProof: Sendable {
  private static let version: UInt8 = 1

  /// What the ledger keeps, ``BloomLedger/ReceiptFacts/proof``.
  static func bytes(_ receipt: Receipt, statement: Digest) -> [UInt8] {
    [version] + statement.bytes + receipt.encoded
  }

  /// The statement's row, kept a day longer than any receipt it vouches for.
  ///
  /// - Parameters:
  ///   - record: A node record.
  ///   - now: The coordinator's clock.
  /// - Returns: `nil` when the record holds no statement, which no checked one does.
  static func statementRow(of record: [UInt8], now: UnixTime) -> KeyStatementRecord? {
    guard let signed = signedStatement(of: record) else { return nil }
    return KeyStatementRecord(
      digest: SHA256.digest(signed), bytes: signed,
      expires: now + (LedgerLimits.proofSeconds + 86400))
  }

  /// The parts of a kept receipt; `nil` when its bytes are of another version or damaged.
  package static func read(_ bytes: [UInt8]) -> (statement: Digest, receipt: [UInt8])? {
    guard bytes.first == version, bytes.count > 1 + Digest.byteCount,
      let digest = Digest(bytes[1..<1 + Digest.byteCount])
    else { return nil }
    return (digest, Array(bytes[(1 + Digest.byteCount)...]))
  }

  /// The signed statement within a record.
  package static func signedStatement(of record: [UInt8]) -> [UInt8]? {
    do {
      var reader = try CBORReader(record)
      try reader.array("node record", count: 2)
      return try reader.byteString("statement", 1...Limits.record)
    } catch {
      return nil  // the record was read before: this does not happen
    }
  }
}
