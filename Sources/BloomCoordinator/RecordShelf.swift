internal import BloomBase
package import BloomPlatform

#if canImport(Glibc)
internal import Glibc
#else
internal import Darwin
#endif

/// Node records on disk instead of in memory: evidence is large and read only when a client fetches it.
///
/// A scratch file of this process: it has no name once it is open, and ends with the process. Places
/// are given back when nobody names them any more. Without a folder records stay in memory, for tests.
/// Reads and writes go through the system's page cache; safe from any thread. unlink(2), pread(2)
package final class RecordShelf: Sendable {
  /// Where one record lies, as long as this lives.
  package final class Place: Sendable {
    private let shelf: RecordShelf
    fileprivate let offset: Int
    fileprivate let byteCount: Int
    fileprivate let memory: [UInt8]

    fileprivate init(_ shelf: RecordShelf, offset: Int, byteCount: Int, memory: [UInt8] = []) {
      self.shelf = shelf
      self.offset = offset
      self.byteCount = byteCount
      self.memory = memory
    }

    /// The record; `nil` when the disk does not give it back.
    package var bytes: [UInt8]? { shelf.read(self) }

    deinit { shelf.giveBack(self) }
  }

  private struct State: Sendable {
    /// Free places by their number of blocks.
    var free: [Int: [Int]] = [:]
    var end = 0
  }

  private static let blockBytes = 1024
  private let descriptor: Int32
  private let state = Locked(State())

  /// Opens a shelf.
  ///
  /// - Parameter folder: Where the scratch file is made; `nil` keeps records in memory.
  package init(folder: PrivateFolder? = nil) {
    guard let folder else {
      descriptor = -1
      return
    }
    let path = folder.path(of: ".records-\(getpid())")
    _ = unsafe unlink(path)
    // Without a scratch file records stay in memory: dearer, and not wrong.
    descriptor = unsafe open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
    _ = unsafe unlink(path)
  }

  deinit { if descriptor >= 0 { close(descriptor) } }

  /// Keeps a record.
  package func keep(_ bytes: [UInt8]) -> Place {
    guard descriptor >= 0 else { return Place(self, offset: 0, byteCount: 0, memory: bytes) }
    let blocks = Self.blocks(bytes.count)
    let offset = state.withLock { state in
      if let known = state.free[blocks]?.popLast() { return known }
      defer { state.end += blocks * Self.blockBytes }
      return state.end
    }
    let place = Place(self, offset: offset, byteCount: bytes.count)
    var done = 0
    while done < bytes.count {
      let count = unsafe bytes.withUnsafeBytes { memory in
        unsafe pwrite(
          descriptor, memory.baseAddress?.advanced(by: done), bytes.count - done,
          off_t(offset + done))
      }
      if count < 0, errno == EINTR { continue }
      // A full disk: this record stays in memory.
      guard count > 0 else { return Place(self, offset: 0, byteCount: 0, memory: bytes) }
      done += count
    }
    return place
  }

  private func read(_ place: Place) -> [UInt8]? {
    guard place.byteCount > 0 else { return place.memory }
    var bytes = [UInt8](repeating: 0, count: place.byteCount)
    var done = 0
    while done < bytes.count {
      let wanted = bytes.count - done
      let count = unsafe bytes.withUnsafeMutableBytes { memory in
        unsafe pread(
          descriptor, memory.baseAddress?.advanced(by: done), wanted, off_t(place.offset + done))
      }
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { return nil }
      done += count
    }
    return bytes
  }

  private func giveBack(_ place: Place) {
    guard place.byteCount > 0 else { return }
    state.withLock { $0.free[Self.blocks(place.byteCount), default: []].append(place.offset) }
  }

  private static func blocks(_ byteCount: Int) -> Int {
    max(1, (byteCount + blockBytes - 1) / blockBytes)
  }
}
