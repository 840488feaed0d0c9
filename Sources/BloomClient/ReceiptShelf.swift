internal import BloomBase
internal import BloomPlatform

/// Receipts of the user's own answers, one file each, so that they can be verified later.
///
/// Named by answer and part; the newest ``limit`` are kept.
package struct ReceiptShelf: Sendable {
  private let folder: String

  /// Opens a folder, making it when needed.
  ///
  /// - Throws: When the folder cannot be made.
  package init(folder: String) throws {
    try PrivateFile.makeFolder(folder)
    self.folder = folder
  }

  /// Keeps a verified receipt; a full disk loses the receipt, not the answer.
  package func keep(_ receipt: SealedPartRunner.KeptReceipt) {
    let path = "\(folder)/\(receipt.answer)-\(receipt.part).receipt"
    try? PrivateFile.write(receipt.receipt, to: path)  // the answer matters more
  }
}
