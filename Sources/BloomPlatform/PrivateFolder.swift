public import BloomBase

#if canImport(Glibc)
internal import Glibc
#else
internal import Darwin
#endif

/// Why a file of a private folder could not be used.
public struct PrivateFolderError: PublicError, Equatable {
  /// What failed, why by errno(3), and what to do; names no path.
  public let publicDescription: String

  init(_ what: String, _ code: Int32) {
    let reason = unsafe String(cString: strerror(code))
    publicDescription = "cannot \(what): \(reason)\(Self.advice(code))"
  }

  /// What to do about an errno(3) of a file; empty where that depends.
  static func advice(_ code: Int32) -> String {
    switch code {
    case EACCES, EPERM: "; give the folder and its files to this user"
    case ENOSPC, EDQUOT: "; free some space"
    case EROFS: "; choose a folder that can be written"
    case ENOENT, ENOTDIR: "; make the folder, or choose another"
    case EMFILE, ENFILE: "; raise the limit of open files with ulimit -n"
    default: ""
    }
  }
}

/// A folder of mode 0700 with small files that only their owner may read.
///
/// Calls block for as long as the disk takes.
public struct PrivateFolder: Sendable {
  /// Where it is.
  public let path: String

  /// Makes the folder and those above it if they are missing.
  ///
  /// - Throws: ``PrivateFolderError`` when that is not possible.
  public init(making path: String) throws(PrivateFolderError) {
    self.path = path
    try Self.make(path)
  }

  /// Names a folder that is there.
  package init(existing path: String) { self.path = path }

  private static func make(_ path: String) throws(PrivateFolderError) {
    if unsafe mkdir(path, 0o700) == 0 || errno == EEXIST { return }
    let code = errno
    guard code == ENOENT, let slash = path.lastIndex(of: "/"), slash != path.startIndex else {
      throw PrivateFolderError("make the folder", code)
    }
    try make(String(path[..<slash]))
    guard unsafe mkdir(path, 0o700) == 0 || errno == EEXIST else {
      throw PrivateFolderError("make the folder", errno)
    }
  }

  /// The full path of a file in it.
  public func path(of name: String) -> String { "\(path)/\(name)" }

  /// Names in the folder with an ending, sorted; hidden ones are left out.
  ///
  /// - Throws: ``PrivateFolderError`` when it cannot be read.
  public func names(endingWith suffix: String = "") throws(PrivateFolderError) -> [String] {
    do throws(SystemError) {
      return try FolderNames.visible(in: path).filter { $0.hasSuffix(suffix) }
    } catch {
      throw PrivateFolderError("list a folder", error.code)
    }
  }

  /// A file's bytes; `nil` when there is none.
  ///
  /// - Throws: ``PrivateFolderError`` when it cannot be read or is longer than the limit.
  public func read(_ name: String, limitBytes: Int) throws(PrivateFolderError) -> [UInt8]? {
    do throws(SystemError) {
      return try SmallFile.bytes(path(of: name), limitBytes: limitBytes)
    } catch {
      if error.code == ENOENT { return nil }
      throw PrivateFolderError("read a file", error.code)
    }
  }

  /// Writes a file of mode 0600 so that a crash leaves the old or the new one, whole.
  ///
  /// - Throws: ``PrivateFolderError`` when it was not kept.
  public func replace(_ name: String, with bytes: [UInt8]) throws(PrivateFolderError) {
    let target = path(of: name)
    let draft = path(of: ".\(name).\(getpid())")
    _ = unsafe unlink(draft)
    do throws(PrivateFolderError) {
      try write(bytes, to: draft, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC)
      #if canImport(Glibc)
      let code = unsafe Glibc.rename(draft, target)
      #else
      let code = unsafe Darwin.rename(draft, target)
      #endif
      guard code == 0 else { throw PrivateFolderError("rename a file", errno) }
    } catch {
      // On a full disk it would take the room that the next try needs.
      _ = unsafe unlink(draft)
      throw error
    }
    synchronizeNames()
  }

  /// Removes a file; one that is not there is none.
  ///
  /// - Throws: ``PrivateFolderError`` when it stays.
  public func remove(_ name: String) throws(PrivateFolderError) {
    guard unsafe unlink(path(of: name)) == 0 || errno == ENOENT else {
      throw PrivateFolderError("remove a file", errno)
    }
    synchronizeNames()
  }

  /// Adds bytes to the end of a file of mode 0600; they survive a power loss.
  ///
  /// - Throws: ``PrivateFolderError`` when they were not kept, or only in part.
  public func append(_ name: String, _ bytes: [UInt8]) throws(PrivateFolderError) {
    // The bytes of a new file survive no longer than its name.
    let isNew = unsafe access(path(of: name), F_OK) != 0
    defer { if isNew { synchronizeNames() } }
    try write(bytes, to: path(of: name), O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC)
  }

  private func write(_ bytes: [UInt8], to path: String, _ flags: Int32) throws(PrivateFolderError) {
    let file = unsafe open(path, flags, 0o600)
    guard file >= 0 else { throw PrivateFolderError("make a file", errno) }
    defer { close(file) }
    var rest = bytes[...]
    while !rest.isEmpty {
      let count = unsafe rest.withUnsafeBytes { bytes in
        #if canImport(Glibc)
        unsafe Glibc.write(file, bytes.baseAddress, bytes.count)
        #else
        unsafe Darwin.write(file, bytes.baseAddress, bytes.count)
        #endif
      }
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { throw PrivateFolderError("write a file", errno) }
      rest = rest.dropFirst(count)
    }
    guard fsync(file) == 0 else { throw PrivateFolderError("keep a file", errno) }
  }

  /// The new name survives a power loss as well; where folders cannot be synced it may not.
  private func synchronizeNames() {
    let folder = unsafe open(path, O_RDONLY | O_CLOEXEC)
    guard folder >= 0 else { return }
    _ = fsync(folder)
    close(folder)
  }
}
