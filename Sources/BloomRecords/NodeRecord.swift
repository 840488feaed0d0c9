package import BloomBase
internal import BloomCrypto
internal import BloomWire

/// Proof of what a machine is: formats and their bytes, in ascending order of format.
///
/// Each format binds ``KeyStatement/binding``; reading them is another module's task.
package struct Evidence: Sendable, Hashable {
  /// The formats that have a number.
  package enum Format: UInt64, Sendable {
    /// No proof: tier `software`. Its bytes are empty.
    case none = 0
    /// Apple App Attest, assertion and attestation.
    case appAttest = 1
    /// TPM 2.0 quote, creation data, event log.
    case tpm = 2
    /// AMD SEV-SNP report and certificates.
    case snp = 3
    /// Intel TDX quote and collateral.
    case tdx = 4
    /// NVIDIA confidential-computing report.
    case nvidia = 5
  }

  /// Bytes by format number; unknown formats are kept and prove nothing.
  package let items: [UInt64: [UInt8]]

  /// Collects items.
  package init(items: [UInt64: [UInt8]]) { self.items = items }

  /// The evidence of a machine without proof.
  package static let none = Evidence(items: [Format.none.rawValue: []])

  /// The deterministic map.
  package var encoded: [UInt8] {
    var encoder = CBOREncoder(capacity: 256)
    encoder.map(items.count)
    for (key, value) in items.sorted(by: { $0.key < $1.key }) {
      encoder.unsigned(key)
      encoder.byteString(value)
    }
    return encoder.bytes
  }

  /// What the statement names.
  package var digest: Digest { SHA256.digest(encoded) }

  /// The bytes of a format.
  package subscript(_ format: Format) -> [UInt8]? { items[format.rawValue] }

  /// Reads a map that fills all bytes, without extensions: the signed digest covers every byte.
  package init(decoding bytes: [UInt8]) throws(RecordError) {
    items = try reading { () throws(WireError) in
      var reader = try CBORReader(bytes)
      var fields = try CBORFields(&reader, "evidence", maximum: 16)
      var items: [UInt64: [UInt8]] = [:]
      while let key = try fields.next(&reader) {
        items[key] = try reader.byteString("evidence", 0...Limits.record)
      }
      try reader.finish()
      return items
    }
    guard encoded == bytes else { throw .wire(.notCanonical) }
  }
}

/// What the directory holds of a node: `[key statement, evidence]`.
package struct NodeRecord: Sendable, Hashable {
  /// The checked statement.
  package let statement: KeyStatement
  /// The evidence that the statement names.
  package let evidence: Evidence
  /// The record's bytes.
  package let encoded: [UInt8]

  /// Joins a signed statement and its evidence.
  package init(signedStatement: [UInt8], evidence: Evidence) throws(RecordError) {
    var encoder = CBOREncoder(capacity: signedStatement.count + 256)
    encoder.array(2)
    encoder.byteString(signedStatement)
    encoder.byteString(evidence.encoded)
    try self.init(verifying: encoder.bytes)
  }

  /// Reads a record, checks the statement's signature and that the evidence is the one it names.
  ///
  /// Whether the evidence is worth anything is ``TierPolicy``'s question, time the caller's.
  package init(verifying bytes: [UInt8]) throws(RecordError) {
    let parts = try reading { () throws(WireError) in
      var reader = try CBORReader(bytes)
      try reader.array("node record", count: 2)
      let statement = try reader.byteString("statement", 1...Limits.record)
      let evidence = try reader.byteString("evidence", 1...Limits.record)
      try reader.finish()
      return (statement, evidence)
    }
    statement = try KeyStatement(verifying: parts.0)
    evidence = try Evidence(decoding: parts.1)
    guard evidence.digest == statement.evidence else { throw .evidence }
    encoded = bytes
  }

  /// The leaf that the directory's tree holds.
  package var digest: Digest { SHA256.digest(encoded) }
}
