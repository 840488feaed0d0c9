internal import BloomBase
internal import BloomCrypto
internal import BloomPlatform
package import BloomSeal
internal import BloomWire

/// The ends of the logs that this device has seen, kept so that a restart does not forget them.
///
/// A coordinator that shows a device another history could otherwise wait for its next start. One
/// small file a log, named by the log's name and key; safe from any thread.
package struct LogMemory: Sendable {
  /// A file that is there and says nothing that can be used.
  package struct Unreadable: PublicError, Equatable {
    /// The file.
    package let path: String

    /// What to do.
    package var publicDescription: String {
      "\(path) is damaged, so that this device cannot tell whether the coordinator rewrote its "
        + "directory; remove the file to trust what it shows now"
    }
  }

  private let folder: String

  /// Names the folder; it is made with the first log that is kept.
  package init(folder: String) { self.folder = folder }

  /// What was seen of a log; `nil` when this device has never seen it.
  ///
  /// - Throws: ``Unreadable``, or why the file cannot be read.
  package func known(_ origin: String, key: [UInt8]) throws -> KnownLog? {
    let path = path(origin, key)
    guard let bytes = try PrivateFile.read(path, limitBytes: 4096) else { return nil }
    guard let value = try? JSONValue(decoding: bytes),
      let size = value["size"]?.integer, size > 0,
      let root = value["root"]?.string.flatMap({ Hex.decode($0) }).flatMap({ Digest($0) })
    else { throw Unreadable(path: path) }
    return KnownLog(size: UInt64(size), root: root)
  }

  /// Keeps the end of a log, in place of an earlier one.
  ///
  /// - Throws: Why it cannot be written.
  package func keep(_ log: KnownLog, _ origin: String, key: [UInt8]) throws {
    let text = JSONValue.members([
      "origin": .string(origin), "size": .integer(Int(clamping: log.size)),
      "root": .string(log.root.hex),
    ])
    try PrivateFile.makeFolder(folder)
    try PrivateFile.write(text.encoded + [0x0a], to: path(origin, key))
  }

  private func path(_ origin: String, _ key: [UInt8]) -> String {
    let name = SHA256.digest(Array(origin.utf8) + [0] + key).hex.prefix(32)
    return "\(folder)/\(name).log"
  }
}
