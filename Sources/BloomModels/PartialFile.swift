internal import BloomBase
internal import BloomCrypto
internal import BloomPlatform

/// A download on its way: written and hashed in order on a thread of its own.
///
/// The file is held for one process, so that two pulls never write over each other.
actor PartialFile {
  private let executor = ThreadExecutor(name: "model-writer")
  private let path: String
  private let file: ModelManifest.File
  private let output: FileHandle
  private var state = SHA256()
  private var offset: UInt64 = 0

  nonisolated var unownedExecutor: UnownedSerialExecutor {
    unsafe executor.asUnownedSerialExecutor()
  }

  init(_ path: String, file: ModelManifest.File) throws(ModelsError) {
    self.path = path
    self.file = file
    let opened = try FileHandle(writing: path, truncates: false)
    try opened.lock("another pull is fetching \(file.name)")
    output = opened
  }

  deinit { executor.stop() }

  /// Hashes what an earlier attempt left and gives the offset to go on from.
  func resume() throws(ModelsError) -> UInt64 {
    (state, offset) = (SHA256(), 0)
    guard let size = Folder.byteCount(path), size > 0 else { return 0 }
    guard size <= file.byteCount else {
      try output.truncate()
      return 0
    }
    let existing = try FileHandle(reading: path)
    var buffer = [UInt8](repeating: 0, count: ModelPuller.Limits.pieceBytes)
    while offset < size {
      let count = try existing.read(into: &buffer, at: offset)
      if count == 0 { break }
      state.update(buffer[..<count])
      offset += UInt64(count)
    }
    return offset
  }

  /// Writes the next bytes and gives the count on disk.
  func append(_ piece: ArraySlice<UInt8>) throws(ModelsError) -> UInt64 {
    guard UInt64(piece.count) <= file.byteCount - offset else {
      throw ModelsError(.badSource, "\(file.name) is longer than its manifest says")
    }
    try output.write(piece, at: offset)
    state.update(piece)
    offset += UInt64(piece.count)
    return offset
  }

  /// Leaves no empty file behind when nothing came.
  func removeIfEmpty() {
    if Folder.byteCount(path) == 0 { Folder.remove(path) }
  }

  /// Checks size and digest; a wrong file is emptied, since nobody knows which byte is wrong.
  func finish() throws(ModelsError) {
    guard offset == file.byteCount else {
      throw ModelsError(.badSource, "\(file.name) ended after \(offset) bytes")
    }
    guard state.digest() == file.sha256 else {
      try output.truncate()
      throw ModelsError(.digestMismatch, file.name)
    }
    try output.synchronize()
  }
}
