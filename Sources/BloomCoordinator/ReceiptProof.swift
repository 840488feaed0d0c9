package import BloomBase
package import BloomCrypto
package import BloomLedger
package import BloomRecords
internal import BloomWire

/// What the coordinator keeps of a settled line: the signed receipt and the key that verifies it.
///
/// A CBOR array `[receipt, P-256 point]`. The key was stated by the machine when the receipt came.
package struct ReceiptProof: Sendable, Hashable {
  /// The signed receipt.
  package let receipt: [UInt8]
  /// The receipt key's point.
  package let key: [UInt8]

  /// Joins a verified receipt with its key.
  package init(_ receipt: Receipt, key: VerifyingKey) {
    self.receipt = receipt.encoded
    self.key = key.bytes
  }

  /// The stored form.
  package var encoded: [UInt8] {
    var encoder = CBOREncoder(capacity: receipt.count + 80)
    encoder.array(2)
    encoder.byteString(receipt)
    encoder.byteString(key)
    return encoder.bytes
  }

  /// Verifies a kept receipt again and compares it with the line that it settled.
  ///
  /// - Parameters:
  ///   - line: From the settlement.
  ///   - answer: The settlement's.
  ///   - proof: ``encoded``.
  /// - Returns: What is wrong; `nil` when the receipt bears the line out.
  package static func objection(
    _ line: SettlementLine, _ answer: AnswerID, _ proof: [UInt8]
  ) -> String? {
    do {
      var reader = try CBORReader(proof)
      try reader.array("proof", count: 2)
      let bytes = try reader.byteString("receipt", 1...Limits.receipt)
      let point = try reader.byteString("key", count: 65)
      try reader.finish()
      let receipt = try Receipt(verifying: bytes, key: VerifyingKey(.p256, point))
      return objection(line, answer, receipt)
    } catch {
      return "its receipt cannot be verified: \(error.safeDescription)"
    }
  }

  private static func objection(
    _ line: SettlementLine, _ answer: AnswerID, _ receipt: Receipt
  ) -> String? {
    let claims = receipt.claims
    if receipt.digest != line.receipt { return "another receipt is kept" }
    if claims.node != line.node { return "its receipt is another machine's" }
    if claims.answer != answer || claims.part != line.part {
      return "its receipt is of another part"
    }
    if line.promptTokens > claims.promptTokens { return "more prompt tokens than its receipt has" }
    if line.completionTokens + line.duplicateTokens > claims.completionTokens {
      return "more tokens than its receipt has"
    }
    if line.replayedTokens > claims.replayedTokens + claims.promptTokens {
      return "more replayed tokens than its receipt has"
    }
    return nil
  }
}
