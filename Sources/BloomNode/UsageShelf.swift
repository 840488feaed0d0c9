internal import BloomBase
internal import BloomPlatform
internal import BloomWire

/// Keeps the usage book on the disk; on a thread of its own, since fsync(2) blocks.
actor UsageShelf {
  static let fileName = "usage.json"

  private let executor = ThreadExecutor(name: "usage-shelf")
  private let folder: StateFolder

  nonisolated var unownedExecutor: UnownedSerialExecutor {
    unsafe executor.asUnownedSerialExecutor()
  }

  init(folder: StateFolder) { self.folder = folder }

  deinit { executor.stop() }

  /// What an earlier run kept; an empty book when there is none or it cannot be read.
  func restore() -> UsageBook {
    guard let bytes = try? folder.read(Self.fileName), let json = try? JSONValue(decoding: bytes)
    else { return UsageBook() }
    return UsageBook(json: json)
  }

  /// Replaces what is kept.
  func store(_ book: UsageBook) throws(NodeError) {
    try folder.write(Self.fileName, book.json.encoded)
  }
}
