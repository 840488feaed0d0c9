internal import BloomBase
internal import BloomPlatform

#if canImport(Glibc)
internal import Glibc
#else
internal import Darwin
#endif

/// A file that is read or written from its beginning to its end; closes itself.
///
/// Calls block for as long as the disk takes. open(2), read(2), write(2), fsync(2).
struct ByteFile: ~Copyable {
  private let descriptor: Int32

  /// Opens for reading.
  init(reading path: String) throws(BackupError) {
    descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
    guard descriptor >= 0 else { throw .system("open \(Self.name(path))", errno) }
  }

  /// Makes a new file of mode 0600; one that is there already is an error.
  init(making path: String) throws(BackupError) {
    descriptor = unsafe open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
    guard descriptor >= 0 else { throw .system("make \(Self.name(path))", errno) }
  }

  deinit { close(descriptor) }

  /// Bytes of the file.
  func byteCount() throws(BackupError) -> Int {
    var facts = stat()
    guard unsafe fstat(descriptor, &facts) == 0 else { throw .system("examine a file", errno) }
    return Int(facts.st_size)
  }

  /// The next bytes, as many as asked for unless the file ends.
  func read(_ count: Int) throws(BackupError) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    var done = 0
    while done < count {
      let got = unsafe bytes.withUnsafeMutableBytes { memory in
        #if canImport(Glibc)
        unsafe Glibc.read(descriptor, memory.baseAddress?.advanced(by: done), count - done)
        #else
        unsafe Darwin.read(descriptor, memory.baseAddress?.advanced(by: done), count - done)
        #endif
      }
      if got < 0, errno == EINTR { continue }
      guard got >= 0 else { throw .system("read a file", errno) }
      if got == 0 { break }
      done += got
    }
    if done < count { bytes.removeLast(count - done) }
    return bytes
  }

  /// Adds bytes.
  func write(_ bytes: [UInt8]) throws(BackupError) {
    var done = 0
    while done < bytes.count {
      let put = unsafe bytes.withUnsafeBytes { memory in
        #if canImport(Glibc)
        unsafe Glibc.write(descriptor, memory.baseAddress?.advanced(by: done), bytes.count - done)
        #else
        unsafe Darwin.write(descriptor, memory.baseAddress?.advanced(by: done), bytes.count - done)
        #endif
      }
      if put < 0, errno == EINTR { continue }
      guard put > 0 else { throw .system("write a file", errno) }
      done += put
    }
  }

  /// Returns when the bytes survive a power loss.
  func synchronize() throws(BackupError) {
    guard fsync(descriptor) == 0 else { throw .system("keep a file", errno) }
  }

  private static func name(_ path: String) -> String {
    path.split(separator: "/").last.map(String.init) ?? path
  }

  /// Gives a file another name; the old file of that name is replaced. rename(2)
  static func move(_ path: String, to target: String) throws(BackupError) {
    #if canImport(Glibc)
    let code = unsafe Glibc.rename(path, target)
    #else
    let code = unsafe Darwin.rename(path, target)
    #endif
    guard code == 0 else { throw .system("move \(name(path))", errno) }
  }

  /// What is free for ordinary users where a path lies, in bytes. statvfs(3)
  static func freeBytes(at path: String) -> Int? {
    var facts = statvfs()
    guard unsafe statvfs(path, &facts) == 0 else { return nil }
    return Int(clamping: UInt64(facts.f_bavail) * UInt64(facts.f_frsize))
  }

  /// The permission bits of a path; `nil` when there is no such file. stat(2)
  static func mode(of path: String) -> Int? {
    var facts = stat()
    guard unsafe stat(path, &facts) == 0 else { return nil }
    return Int(facts.st_mode & 0o777)
  }
}

/// Why a backup could not be made or used.
package struct BackupError: PublicError, Equatable {
  /// What is wrong and what to do.
  package let publicDescription: String

  init(_ publicDescription: String) { self.publicDescription = publicDescription }

  static func system(_ what: String, _ code: Int32) -> BackupError {
    BackupError("cannot \(what): \(unsafe String(cString: strerror(code)))")
  }
}

/// Holds a data folder for one process.
final class FolderLock: Sendable {
  private let lock: FileLock

  /// Takes the lock; `nil` when another process has it.
  init?(folder: String) throws(BackupError) {
    let taken: FileLock?
    do throws(FileLock.Failure) {
      taken = try FileLock("\(folder)/serving.lock")
    } catch {
      throw BackupError.system("open the folder's lock", error.code)
    }
    guard let taken else { return nil }
    lock = taken
  }
}
