internal import BloomBase

#if canImport(Glibc)
internal import Glibc
#else
internal import Darwin
#endif

/// An open file that closes itself.
///
/// Calls block: use it from a thread of one's own.
struct FileHandle: ~Copyable {
  let descriptor: Int32

  /// Opens for reading; follows links, as the store's foreign files are links.
  init(reading path: String) throws(ModelsError) {
    descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw FileHandle.failure("open", path) }
  }

  /// Shares an open descriptor, which stays its owner's.
  init(sharing other: Int32) throws(ModelsError) {
    descriptor = dup(other)
    guard descriptor >= 0 else { throw FileHandle.failure("share a descriptor", "") }
  }

  /// Opens for writing; creates the file with mode 0600.
  init(writing path: String, truncates: Bool) throws(ModelsError) {
    let flags = O_WRONLY | O_CREAT | O_CLOEXEC | (truncates ? O_TRUNC : 0)
    descriptor = unsafe open(path, flags, 0o600)
    guard descriptor >= 0 else { throw FileHandle.failure("create", path) }
  }

  deinit { close(descriptor) }

  /// Bytes of a regular file; anything else is refused.
  func byteCount() throws(ModelsError) -> UInt64 {
    var facts = stat()
    guard unsafe fstat(descriptor, &facts) == 0 else { throw FileHandle.failure("examine", "") }
    guard facts.st_mode & S_IFMT == S_IFREG else {
      throw ModelsError(.system, "not a regular file")
    }
    return UInt64(max(0, facts.st_size))
  }

  /// Reads up to the buffer's size at an offset; 0 at the end.
  func read(into buffer: inout [UInt8], at offset: UInt64) throws(ModelsError) -> Int {
    while true {
      let count = unsafe pread(descriptor, &buffer, buffer.count, off_t(offset))
      if count >= 0 { return count }
      guard errno == EINTR else { throw FileHandle.failure("read", "") }
    }
  }

  /// Writes all bytes at an offset.
  func write(_ bytes: ArraySlice<UInt8>, at offset: UInt64) throws(ModelsError) {
    var done = 0
    while done < bytes.count {
      let count = unsafe bytes[(bytes.startIndex + done)...].withUnsafeBytes { memory in
        unsafe pwrite(descriptor, memory.baseAddress, memory.count, off_t(offset) + off_t(done))
      }
      if count > 0 {
        done += count
      } else if errno != EINTR {
        throw FileHandle.failure("write", "")
      }
    }
  }

  /// Empties the file.
  func truncate() throws(ModelsError) {
    guard ftruncate(descriptor, 0) == 0 else { throw FileHandle.failure("empty a file", "") }
  }

  /// Holds the file for this process until it is closed; throws `busy` text when another has it.
  ///
  /// flock(2).
  func lock(_ busy: String) throws(ModelsError) {
    guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else { throw ModelsError(.system, busy) }
  }

  /// Waits until the bytes are on the disk.
  ///
  /// fsync(2).
  func synchronize() throws(ModelsError) {
    guard fsync(descriptor) == 0 else { throw FileHandle.failure("flush", "") }
  }

  /// The error of the last call, with the last part of the path only.
  static func failure(
    _ action: String, _ path: String, _ code: Int32 = errno
  ) -> ModelsError {
    let reason =
      switch code {
      case ENOENT: "it does not exist"
      case EACCES, EPERM: "permission denied"
      case ENOSPC: "the disk is full"
      default: "error \(code)"
      }
    let name = path.split(separator: "/").last.map { " \($0)" } ?? ""
    return ModelsError(.system, "cannot \(action)\(name): \(reason)")
  }
}
