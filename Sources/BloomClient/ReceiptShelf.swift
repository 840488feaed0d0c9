internal import BloomBase
internal import BloomPlatform
internal import BloomSeal

/// Receipts of the user's own answers, one file a part, so that they can be verified later.
///
/// `ANSWER-PART.receipt` holds a ``ReceiptFile``; with the user's consent `ANSWER-PART.request` and
/// `ANSWER-PART.response` hold its content. The newest ``limit`` parts are kept. Safe from any
/// thread.
package final class ReceiptShelf: Sendable {
  /// Parts kept: at most about 100 MiB of receipts and records.
  package static let limit = 10_000

  /// The folder.
  package let folder: String
  private let limit: Int
  private let names: Locked<[String]>

  /// Opens a folder, making it when needed.
  ///
  /// - Throws: When the folder cannot be made.
  package init(folder: String, limit: Int = ReceiptShelf.limit) throws {
    try PrivateFile.makeFolder(folder)
    self.folder = folder
    self.limit = limit
    names = Locked(Self.stems(in: folder))
  }

  /// The parts in a folder, oldest first, as `ANSWER-PART`.
  package static func stems(in folder: String) -> [String] {
    PrivateFile.names(in: folder).filter { $0.hasSuffix(".receipt") }.map { String($0.dropLast(8)) }
  }

  /// Keeps a verified receipt; a full disk loses the receipt, not the answer.
  package func keep(_ receipt: SealedPartRunner.KeptReceipt) {
    let stem = "\(receipt.answer)-\(receipt.part)"
    let path = "\(folder)/\(stem)"
    // The answer matters more than its receipt.
    try? PrivateFile.write(receipt.file.encoded, to: path + ".receipt")
    if let content = receipt.content {
      try? PrivateFile.write(content.request, to: path + ".request")
      try? PrivateFile.write(content.response, to: path + ".response")
    }
    let surplus = names.withLock { names in
      names.append(stem)
      let surplus = names.prefix(max(0, names.count - limit))
      names.removeFirst(surplus.count)
      return Array(surplus)
    }
    for stem in surplus {
      for suffix in ["receipt", "request", "response"] {
        PrivateFile.remove("\(folder)/\(stem).\(suffix)")
      }
    }
  }
}
