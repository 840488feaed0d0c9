package import BloomBase
package import BloomPlatform

/// The leaf hashes of the directory's log on disk, 32 bytes each, oldest first.
///
/// A leaf is kept before its snapshot is shown to anybody: a restart never takes history back.
package actor LeafLog {
  private nonisolated let executor = ThreadExecutor(name: "directory-log")
  private let folder: PrivateFolder
  /// The file of the network's own directory.
  package static let networkFile = "directory.log"

  /// Runs on a thread of its own, since disks block.
  nonisolated package var unownedExecutor: UnownedSerialExecutor {
    unsafe executor.asUnownedSerialExecutor()
  }

  /// Keeps the log in a folder.
  package init(_ folder: PrivateFolder) { self.folder = folder }

  deinit { executor.stop() }

  /// All leaves; what a crash cut off was never shown and is dropped.
  ///
  /// - Throws: `PrivateFolderError` when the file cannot be read.
  package func load(_ file: String = LeafLog.networkFile) throws -> [Digest] {
    let bytes = try folder.read(file, limitBytes: 1 << 30) ?? []
    let whole = bytes.count - bytes.count % Digest.byteCount
    if whole != bytes.count { try folder.replace(file, with: Array(bytes[..<whole])) }
    return stride(from: 0, to: whole, by: Digest.byteCount).compactMap {
      Digest(bytes[$0..<$0 + Digest.byteCount])
    }
  }

  /// Adds a leaf and returns when it survives a power loss.
  ///
  /// - Throws: `PrivateFolderError` when it was not kept.
  package func append(_ leaf: Digest, to file: String = LeafLog.networkFile) throws {
    try folder.append(file, leaf.bytes)
  }

  /// The file of a pool's directory; the name is a pool's, so it is a file's.
  static func file(ofPool name: String) -> String { "pool-\(name).log" }
}
