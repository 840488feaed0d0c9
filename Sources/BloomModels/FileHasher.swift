package import BloomBase
internal import BloomCrypto
internal import BloomPlatform

/// Hashes and copies files on a thread of its own: a large model takes seconds.
package actor FileHasher {
  private let executor = ThreadExecutor(name: "file-hasher")
  private static let pieceBytes = 1 << 20

  /// Jobs run on the hasher's thread.
  package nonisolated var unownedExecutor: UnownedSerialExecutor {
    unsafe executor.asUnownedSerialExecutor()
  }

  /// Starts the thread.
  package init() {}

  deinit { executor.stop() }

  /// The digest and size of a file.
  package func digest(of path: String) throws(ModelsError) -> (Digest, UInt64) {
    let file = try FileHandle(reading: path)
    let size = try file.byteCount()
    return (try Self.digest(of: file, upTo: size), size)
  }

  /// The digest and size of an open file; its position does not change.
  package func digest(ofDescriptor descriptor: Int32) throws(ModelsError) -> (Digest, UInt64) {
    let file = try FileHandle(sharing: descriptor)
    let size = try file.byteCount()
    return (try Self.digest(of: file, upTo: size), size)
  }

  /// Copies a file and gives its digest and size: the bytes are hashed as they are written.
  package func copy(_ source: String, to target: String) throws(ModelsError) -> (Digest, UInt64) {
    let input = try FileHandle(reading: source)
    _ = try input.byteCount()
    let output = try FileHandle(writing: target, truncates: true)
    var state = SHA256()
    var buffer = [UInt8](repeating: 0, count: Self.pieceBytes)
    var offset: UInt64 = 0
    while true {
      let count = try input.read(into: &buffer, at: offset)
      if count == 0 { break }
      state.update(buffer[..<count])
      try output.write(buffer[..<count], at: offset)
      offset += UInt64(count)
    }
    try output.synchronize()
    return (state.digest(), offset)
  }

  /// The header of a model file.
  package func header(of path: String) throws(ModelsError) -> GGUFHeader {
    let file = try FileHandle(reading: path)
    let size = try file.byteCount()
    // Most headers are a few MiB: read more only when the first piece was too short.
    var limit = 8 << 20
    while true {
      let bytes = try Self.prefix(of: file, count: min(limit, Int(clamping: size)))
      do throws(ModelsError) {
        return try GGUFReader.header(bytes, fileBytes: size)
      } catch {
        guard limit < GGUFReader.Limits.headerBytes, UInt64(limit) < size else { throw error }
        limit = GGUFReader.Limits.headerBytes
      }
    }
  }

  static func digest(of file: borrowing FileHandle, upTo end: UInt64) throws(ModelsError) -> Digest
  {
    var state = SHA256()
    var buffer = [UInt8](repeating: 0, count: pieceBytes)
    var offset: UInt64 = 0
    while offset < end {
      let count = try file.read(into: &buffer, at: offset)
      guard count > 0 else {
        throw ModelsError(.system, "the file became shorter while it was read")
      }
      let used = min(count, Int(clamping: end - offset))
      state.update(buffer[..<used])
      offset += UInt64(used)
    }
    return state.digest()
  }

  private static func prefix(
    of file: borrowing FileHandle, count: Int
  ) throws(ModelsError) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    let got = try file.read(into: &bytes, at: 0)
    if got == count { return bytes }
    var done = got
    while done < count {
      var rest = [UInt8](repeating: 0, count: count - done)
      let more = try file.read(into: &rest, at: UInt64(done))
      if more == 0 { break }
      bytes.replaceSubrange(done..<done + more, with: rest[..<more])
      done += more
    }
    return Array(bytes[..<done])
  }
}
