internal import BloomBase
internal import BloomPlatform

#if canImport(Glibc)
internal import Glibc
#else
internal import Darwin
#endif

/// A folder of small private files that are written whole or not at all.
///
/// Calls block on the disk: use it at the start, or from a thread of one's own.
struct StateFolder: Sendable {
  /// Bytes of one file at most.
  static let fileBytes = 1 << 20

  let path: String

  /// Opens the folder; makes it, and those above it, with mode 0700.
  init(creating path: String) throws(NodeError) {
    self.path = path
    var made = ""
    for part in path.split(separator: "/", omittingEmptySubsequences: true) {
      made += (made.isEmpty && !path.hasPrefix("/") ? "" : "/") + part
      guard unsafe mkdir(made, 0o700) == 0 || errno == EEXIST || errno == EACCES || errno == EROFS
      else { throw Self.failure("create", made) }
    }
    guard unsafe access(path, R_OK | W_OK | X_OK) == 0 else { throw Self.failure("use", path) }
  }

  /// Names a folder that somebody else made.
  init(existing path: String) { self.path = path }

  /// A file's bytes; `nil` when there is none.
  func read(_ name: String) throws(NodeError) -> [UInt8]? {
    do throws(SystemError) {
      return try SmallFile.bytes("\(path)/\(name)", limitBytes: Self.fileBytes)
    } catch {
      if error.code == ENOENT { return nil }
      throw Self.failure("read", name, error.code)
    }
  }

  /// The permission bits of a file; `nil` when there is none.
  func mode(of name: String) -> UInt32? {
    var facts = stat()
    guard unsafe stat("\(path)/\(name)", &facts) == 0 else { return nil }
    return UInt32(facts.st_mode) & 0o777
  }

  /// Replaces a file: after a crash there is the old one or the new one.
  func write(_ name: String, _ bytes: [UInt8]) throws(NodeError) {
    let draft = try writeDraft(name, bytes)
    guard unsafe rename(draft, "\(path)/\(name)") == 0 else {
      let failure = Self.failure("replace", name)
      unsafe unlink(draft)
      throw failure
    }
    synchronize()
  }

  /// Creates a file unless there is one; says whether it did.
  func create(_ name: String, _ bytes: [UInt8]) throws(NodeError) -> Bool {
    let draft = try writeDraft(name, bytes)
    defer { unsafe unlink(draft) }
    // link(2), unlike rename(2), never replaces.
    if unsafe link(draft, "\(path)/\(name)") != 0 {
      if errno == EEXIST { return false }
      throw Self.failure("create", name)
    }
    synchronize()
    return true
  }

  /// Removes a file; one that is not there is no error.
  func remove(_ name: String) {
    unsafe unlink("\(path)/\(name)")
  }

  /// The names of all files, ascending; drafts of interrupted writes are removed on the way.
  func names() -> [String] {
    SystemFolder.names(path).filter { name in
      guard name.hasSuffix(Self.draftSuffix) else { return true }
      remove(name)
      return false
    }
  }

  private static let draftSuffix = ".draft"

  private func writeDraft(_ name: String, _ bytes: [UInt8]) throws(NodeError) -> String {
    let draft = "\(path)/\(name).\(getpid())\(Self.draftSuffix)"
    let file = unsafe open(draft, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
    guard file >= 0 else { throw Self.failure("create", name) }
    defer { close(file) }
    var done = 0
    while done < bytes.count {
      let count = unsafe bytes[done...].withUnsafeBytes { memory in
        unsafe systemWrite(file, memory.baseAddress, memory.count)
      }
      if count > 0 {
        done += count
      } else if errno != EINTR {
        let failure = Self.failure("write", name)
        unsafe unlink(draft)
        throw failure
      }
    }
    guard fsync(file) == 0 else {
      let failure = Self.failure("flush", name)
      unsafe unlink(draft)
      throw failure
    }
    return draft
  }

  /// Makes a new or renamed name last: fsync(2) on the folder.
  private func synchronize() {
    let folder = unsafe open(path, O_RDONLY | O_CLOEXEC)
    guard folder >= 0 else { return }
    // A file system that cannot do it keeps names in order by itself.
    _ = fsync(folder)
    close(folder)
  }

  static func failure(_ action: String, _ path: String, _ code: Int32 = errno) -> NodeError {
    let reason =
      switch code {
      case ENOENT: "it does not exist"
      case EACCES, EPERM: "permission denied"
      case ENOSPC: "the disk is full"
      case EFBIG: "it is too long"
      default: "error \(code)"
      }
    let name = path.split(separator: "/").last.map { " \($0)" } ?? ""
    return NodeError(.storage, "cannot \(action)\(name): \(reason)")
  }
}

private func systemWrite(_ file: Int32, _ bytes: UnsafeRawPointer?, _ count: Int) -> Int {
  #if canImport(Glibc)
  unsafe Glibc.write(file, bytes, count)
  #else
  unsafe Darwin.write(file, bytes, count)
  #endif
}

/// Holds a data folder for one process.
final class FolderLock: Sendable {
  private let lock: FileLock

  init(_ folder: StateFolder) throws(NodeError) {
    let taken: FileLock?
    do throws(FileLock.Failure) {
      taken = try FileLock("\(folder.path)/lock")
    } catch {
      throw StateFolder.failure("create", "lock", error.code)
    }
    guard let taken else {
      throw NodeError(
        .alreadyRunning, "another node uses this data folder; run: darkbloom node status")
    }
    lock = taken
  }
}
