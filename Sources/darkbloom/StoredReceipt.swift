internal import BloomBase
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
    guard let stored = try Self.existing(path) else {
      throw UsageError("\(path) does not exist; list receipts with: darkbloom receipts list")
    }
    self = stored
  }

  /// The receipt of a path; `nil` when there is none any more.
  private static func existing(_ path: String) throws -> StoredReceipt? {
    guard let bytes = try PrivateFile.read(path, limitBytes: 1 << 17) else { return nil }
    return try StoredReceipt(path, bytes)
  }

  private init(_ path: String, _ bytes: [UInt8]) throws {
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
    var found: [(seconds: Int, nanoseconds: Int, path: String)] = []
    for folder in ["\(context.dataFolder)/receipts", "\(context.dataFolder)/up/receipts"] {
      for file in PrivateFile.dated(in: folder) where file.name.hasSuffix(".receipt") {
        found.append((file.seconds, file.nanoseconds, "\(folder)/\(file.name)"))
      }
    }
    return found.sorted { $0 < $1 }.map(\.path)
  }

  /// Reads receipts one by one: what was removed meanwhile is passed over, what cannot be read is
  /// named on standard error.
  ///
  /// - Parameters:
  ///   - paths: The receipts.
  ///   - take: Gets each; what it throws makes the receipt one that cannot be read.
  /// - Returns: How many cannot be read.
  static func each(_ paths: [String], _ take: (StoredReceipt) throws -> Void) -> Int {
    var damaged = 0
    for path in paths {
      do {
        if let stored = try existing(path) { try take(stored) }
      } catch {
        damaged += 1
        let reason = (error as? PrivateFile.Failure)?.description
        ProcessEnvironment.complain("darkbloom: \(reason ?? "\(path): \(error.safeDescription)")")
      }
    }
    return damaged
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
