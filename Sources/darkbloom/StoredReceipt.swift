internal import BloomBase
internal import BloomClient
internal import BloomPlatform
internal import BloomRecords
internal import BloomSeal

/// A receipt on this device: a file of the gateway, or a bare signed receipt from elsewhere.
struct StoredReceipt {
  /// Where it is.
  let path: String
  /// The signed receipt.
  let receipt: [UInt8]
  /// Record and commitment key; `nil` for a bare receipt.
  let file: ReceiptFile?

  init(path: String) throws {
    guard let bytes = try PrivateFile.read(path, limitBytes: 1 << 17) else {
      throw UsageError("\(path) does not exist; list receipts with: darkbloom receipts list")
    }
    self.path = path
    // A CBOR array is a bare COSE message, a map is the gateway's file.
    if bytes.first.map({ $0 >> 5 == 4 }) ?? false {
      receipt = bytes
      file = nil
    } else {
      let file = try ReceiptFile(decoding: bytes)
      receipt = file.receipt
      self.file = file
    }
  }

  /// Finds a receipt by its path, or by an answer's id with or without part.
  static func find(_ name: String, _ context: CommandContext) throws -> StoredReceipt {
    if name.contains("/") || name.hasSuffix(".receipt") { return try StoredReceipt(path: name) }
    for path in paths(context) {
      let stem = path.split(separator: "/").last.map(String.init) ?? ""
      if stem == "\(name).receipt" || stem.hasPrefix("\(name)-") {
        return try StoredReceipt(path: path)
      }
    }
    return try StoredReceipt(path: name)
  }

  /// Every receipt of this device, oldest first: the gateway's, and those of `darkbloom up`.
  static func paths(_ context: CommandContext) -> [String] {
    ["\(context.dataFolder)/receipts", "\(context.dataFolder)/up/receipts"].flatMap { folder in
      ReceiptShelf.stems(in: folder).map { "\(folder)/\($0).receipt" }
    }
  }

  /// What it claims; nothing is checked.
  func claims() throws -> ReceiptClaims { try Receipt(unverified: receipt).claims }

  /// Checks it against content, given or kept beside it.
  func report(request: String?, response: String?) throws -> ReceiptReport {
    let stem = path.hasSuffix(".receipt") ? String(path.dropLast(8)) : path
    let requestBytes = try content(request, beside: stem + ".request")
    let responseBytes = try content(response, beside: stem + ".response")
    return ReceiptReport(
      receipt: receipt, record: file?.record, commitKey: file?.commitKey, request: requestBytes,
      frames: try responseBytes.map { try ReceiptContent.frames($0) })
  }

  private func content(_ named: String?, beside path: String) throws -> [UInt8]? {
    let bytes = try PrivateFile.read(named ?? path, limitBytes: 1 << 26)
    if let named, bytes == nil { throw UsageError("\(named) does not exist") }
    return bytes
  }
}
