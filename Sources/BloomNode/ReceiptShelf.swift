internal import BloomBase
internal import BloomCrypto
internal import BloomPlatform

/// Final receipts that the coordinator has not acknowledged, one file each.
///
/// A receipt is money: it is on the disk before it is sent, and it outlives crashes. Runs on a
/// thread of its own, since fsync(2) blocks.
actor ReceiptShelf {
  /// Files kept; beyond it the ones that were found first are dropped.
  static let capacity = 4_096

  private let executor = ThreadExecutor(name: "receipt-shelf")
  private let folder: StateFolder
  private var kept: [Digest] = []

  nonisolated var unownedExecutor: UnownedSerialExecutor {
    unsafe executor.asUnownedSerialExecutor()
  }

  /// Opens the shelf inside a data folder.
  init(folder path: String) throws(NodeError) {
    folder = try StateFolder(creating: "\(path)/receipts")
  }

  deinit { executor.stop() }

  /// What an earlier run left; files that are not what their name says are removed.
  func restore() -> [(digest: Digest, receipt: [UInt8])] {
    var found: [(Digest, [UInt8])] = []
    for name in folder.names() {
      // What is not named like ours is a gateway's that shares the folder; a file that cannot be
      // read now is left for the next start.
      guard let digest = Hex.decode(name).flatMap({ Digest($0) }),
        let bytes = try? folder.read(name)
      else { continue }
      guard SHA256.digest(bytes) == digest else {
        folder.remove(name)
        continue
      }
      found.append((digest, bytes))
    }
    kept = found.map(\.0)
    return found
  }

  /// Puts a receipt on the disk.
  func store(_ receipt: [UInt8], _ digest: Digest) throws(NodeError) {
    if kept.contains(digest) { return }
    if kept.count >= Self.capacity { folder.remove(kept.removeFirst().hex) }
    try folder.write(digest.hex, receipt)
    kept.append(digest)
  }

  /// Drops a receipt that the coordinator has.
  func forget(_ digest: Digest) {
    kept.removeAll { $0 == digest }
    folder.remove(digest.hex)
  }
}
