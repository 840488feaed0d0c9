package import BloomBase
package import BloomCrypto
internal import BloomRecords
package import BloomWire

/// What a user keeps of one answered part: enough to verify its receipt offline, years later.
///
/// A CBOR map `{1: 1, 2: receipt, 3: node record, 4: commitment key, 5: micros booked}`; 5 is left
/// out when the coordinator did not say. The commitment key shows nothing of the content by itself:
/// it lets whoever has the content prove that it is this one.
package struct ReceiptFile: Sendable {
  /// The signed receipt.
  package let receipt: [UInt8]
  /// The node record that was in force.
  package let record: [UInt8]
  /// The key of the commitments.
  package let commitKey: SecretBytes
  /// What the coordinator booked.
  package let cost: Micros?

  /// Joins the parts.
  package init(receipt: [UInt8], record: [UInt8], commitKey: SecretBytes, cost: Micros?) {
    self.receipt = receipt
    self.record = record
    self.commitKey = commitKey
    self.cost = cost
  }

  /// The file's bytes; they hold the commitment key.
  package var encoded: [UInt8] {
    var encoder = CBOREncoder(capacity: receipt.count + record.count + 64)
    encoder.map(cost == nil ? 4 : 5)
    encoder.unsigned(1)
    encoder.unsigned(1)
    encoder.unsigned(2)
    encoder.byteString(receipt)
    encoder.unsigned(3)
    encoder.byteString(record)
    encoder.unsigned(4)
    encoder.byteString(commitKey.exposed())
    if let cost {
      encoder.unsigned(5)
      encoder.integer(cost.rawValue)
    }
    return encoder.bytes
  }

  /// Reads a file; nothing in it is verified yet.
  ///
  /// - Throws: `wire` when it is not of this form.
  package init(decoding bytes: [UInt8]) throws(SealError) {
    let parts = try reading { () throws(WireError) in try Parts(bytes) }
    receipt = parts.receipt
    record = parts.record
    commitKey = try checking { () throws(CryptoError) in try SecretBytes(parts.commitKey) }
    cost = parts.cost
  }

  private struct Parts: Sendable {
    var receipt: [UInt8] = []
    var record: [UInt8] = []
    var commitKey: [UInt8] = []
    var cost: Micros?

    init(_ bytes: [UInt8]) throws(WireError) {
      var reader = try CBORReader(bytes)
      var fields = try CBORFields(&reader, "receipt file")
      guard try fields.next(&reader) == 1 else { throw .missingField("version") }
      let version = try reader.unsigned("version")
      guard version == 1 else { throw .unknownVersion(version) }
      while let key = try fields.next(&reader) {
        switch key {
        case 2: receipt = try reader.byteString("receipt", 1...Limits.receipt)
        case 3: record = try reader.byteString("record", 1...Limits.record)
        case 4: commitKey = try reader.byteString("commitment key", count: 32)
        case 5: cost = Micros(try reader.integer("cost"))
        default: throw .unknownField(key)
        }
      }
      try reader.finish()
      guard !receipt.isEmpty, !record.isEmpty, !commitKey.isEmpty else {
        throw .missingField("receipt, record or commitment key")
      }
    }
  }
}

/// The content of one answered part as files: what a receipt's two commitments are about.
package struct ReceiptContent: Sendable, Equatable {
  /// More than this of frames is not kept, in bytes.
  package static let maximumByteCount = 16 << 20

  /// The canonical request's bytes, without padding: the whole request file.
  package var request: [UInt8]
  /// `varint(length) | frame` for each frame in order, receipts left out: the whole response file.
  package var response: [UInt8]

  /// Starts with a request.
  package init(request: [UInt8]) {
    self.request = request
    response = []
  }

  /// Adds a frame.
  package mutating func append(_ frame: Frame) {
    FrameDecoder.append(frame: frame.encoded, to: &response)
  }

  /// What the newest receipt speaks of, when it came after so many bytes of frames.
  ///
  /// A part that broke off has frames after its last receipt, which nobody signed.
  package consuming func receipted(byteCount: Int) -> ReceiptContent {
    response.removeLast(max(0, response.count - byteCount))
    return self
  }

  /// The frames of a response file.
  ///
  /// - Throws: `wire` when it is cut or not of this form.
  package static func frames(_ response: [UInt8]) throws(SealError) -> [[UInt8]] {
    try reading { () throws(WireError) in
      var decoder = FrameDecoder()
      let frames = try decoder.append(response[...])
      guard decoder.isAtBoundary else { throw WireError.truncated }
      return frames
    }
  }
}
