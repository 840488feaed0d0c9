package import BloomBase
internal import BloomPlatform
internal import BloomSeal

/// Receipts of the user's own answers, one file a part, so that they can be verified later.
///
/// `ANSWER-PART.receipt` holds a ``ReceiptFile``; with the user's consent `ANSWER-PART.request` and
/// `ANSWER-PART.response` hold its content. The newest ``limit`` parts are kept. Files are written
/// on a thread of its own, since fsync(2) blocks and callers live on event loops. At most
/// ``queueLimit`` receipts wait for the disk; beyond, the oldest is dropped and the log says so.
/// Safe from any thread.
package final class ReceiptShelf: Sendable {
  /// Parts kept: at most about 100 MiB of receipts and records.
  package static let limit = 10_000
  /// Receipts that wait for the disk at most.
  package static let queueLimit = 64

  /// The folder.
  package let folder: String
  private let log: Log?
  private let waiting: Locked<[SealedPartRunner.KeptReceipt]>
  private let writer: Writer

  /// Opens a folder, making it when needed.
  ///
  /// - Throws: When the folder cannot be made.
  package init(
    folder: String, limit: Int = ReceiptShelf.limit, log: Log? = nil
  ) throws {
    try PrivateFile.makeFolder(folder)
    self.folder = folder
    self.log = log
    let waiting = Locked<[SealedPartRunner.KeptReceipt]>([])
    self.waiting = waiting
    writer = Writer(
      folder: folder, limit: limit, names: Self.stems(in: folder), waiting: waiting, log: log)
  }

  /// The parts in a folder, oldest first, as `ANSWER-PART`.
  package static func stems(in folder: String) -> [String] {
    PrivateFile.names(in: folder).filter { $0.hasSuffix(".receipt") }.map { String($0.dropLast(8)) }
  }

  /// Keeps a verified receipt and returns when it is on the disk, so that whoever waits for the
  /// part's end finds it there; a full disk loses the receipt, not the answer.
  package func keep(_ receipt: SealedPartRunner.KeptReceipt) async {
    enqueue(receipt)
    await drain()
  }

  /// Takes a receipt and returns at once; the next ``drain()`` writes it.
  package func enqueue(_ receipt: SealedPartRunner.KeptReceipt) {
    let isFull = waiting.withLock { waiting in
      let isFull = waiting.count >= Self.queueLimit
      if isFull { waiting.removeFirst() }
      waiting.append(receipt)
      return isFull
    }
    if isFull { log?.warning("the disk is too slow for receipts: the oldest that waits is lost") }
  }

  /// Returns when everything that was enqueued before the call is on the disk or lost.
  package func drain() async { await writer.drain() }

  /// Writes on its own thread, in order.
  private actor Writer {
    private let executor = ThreadExecutor(name: "receipt-shelf")
    private let folder: String
    private let limit: Int
    private var names: [String]
    private let waiting: Locked<[SealedPartRunner.KeptReceipt]>
    private let log: Log?

    nonisolated var unownedExecutor: UnownedSerialExecutor {
      unsafe executor.asUnownedSerialExecutor()
    }

    init(
      folder: String, limit: Int, names: [String],
      waiting: Locked<[SealedPartRunner.KeptReceipt]>, log: Log?
    ) {
      self.folder = folder
      self.limit = limit
      self.names = names
      self.waiting = waiting
      self.log = log
    }

    deinit { executor.stop() }

    func drain() {
      while let receipt = next() { write(receipt) }
    }

    private func next() -> SealedPartRunner.KeptReceipt? {
      waiting.withLock { $0.isEmpty ? nil : $0.removeFirst() }
    }

    private func write(_ receipt: SealedPartRunner.KeptReceipt) {
      let stem = "\(receipt.answer)-\(receipt.part)"
      let path = "\(folder)/\(stem)"
      do {
        try PrivateFile.write(receipt.file.encoded, to: path + ".receipt")
        if let content = receipt.content {
          try PrivateFile.write(content.request, to: path + ".request")
          try PrivateFile.write(content.response, to: path + ".response")
        }
      } catch {
        // The answer matters more than its receipt.
        log?.warning("a receipt cannot be kept", ["reason": .error(error)])
      }
      names.append(stem)
      let surplus = names.prefix(max(0, names.count - limit))
      names.removeFirst(surplus.count)
      for stem in surplus {
        for suffix in ["receipt", "request", "response"] {
          PrivateFile.remove("\(folder)/\(stem).\(suffix)")
        }
      }
    }
  }
}
