internal import BloomBase
internal import BloomPlatform

#if canImport(Glibc)
internal import Glibc
#else
internal import Darwin
#endif

/// The few calls on names that the store needs; all return at once.
enum Folder: Sendable {
  static var processID: Int32 { getpid() }

  /// Makes a folder and those above it, mode 0700; an existing one is fine.
  static func make(_ path: String) throws(ModelsError) {
    if unsafe mkdir(path, 0o700) == 0 || errno == EEXIST { return }
    guard errno == ENOENT, let slash = path.lastIndex(of: "/"), slash != path.startIndex else {
      throw FileHandle.failure("make the folder", path)
    }
    try make(String(path[..<slash]))
    guard unsafe mkdir(path, 0o700) == 0 || errno == EEXIST else {
      throw FileHandle.failure("make the folder", path)
    }
  }

  /// The names in a folder, sorted; hidden ones are left out, a missing folder is empty.
  static func names(_ path: String) throws(ModelsError) -> [String] {
    do throws(SystemError) {
      return try FolderNames.visible(in: path)
    } catch {
      if error.code == ENOENT { return [] }
      throw FileHandle.failure("list", path, error.code)
    }
  }

  /// A file's bytes; `nil` when it does not exist.
  static func contents(_ path: String, limitBytes: Int) throws(ModelsError) -> [UInt8]? {
    guard let size = byteCount(path) else { return nil }
    guard size <= UInt64(limitBytes) else { throw ModelsError(.system, "a file is too long") }
    let file = try FileHandle(reading: path)
    var bytes = [UInt8](repeating: 0, count: Int(size))
    if bytes.isEmpty { return bytes }
    let got = try file.read(into: &bytes, at: 0)
    return Array(bytes[..<got])
  }

  static func write(_ bytes: [UInt8], to path: String) throws(ModelsError) {
    let file = try FileHandle(writing: path, truncates: true)
    try file.write(bytes[...], at: 0)
    try file.synchronize()
  }

  static func rename(_ source: String, to target: String) throws(ModelsError) {
    #if canImport(Glibc)
    let code = unsafe Glibc.rename(source, target)
    #else
    let code = unsafe Darwin.rename(source, target)
    #endif
    guard code == 0 else { throw FileHandle.failure("rename", target) }
  }

  /// Makes a symbolic link; a complete file or another link of the same digest stays as it is.
  static func link(_ source: String, at target: String) throws(ModelsError) {
    if byteCount(target) != nil { return }
    remove(target)
    guard unsafe symlink(source, target) == 0 else { throw FileHandle.failure("link", target) }
  }

  /// Removes a name; one that is not there is fine.
  static func remove(_ path: String) { _ = unsafe unlink(path) }

  /// Bytes of a regular file, through links; `nil` for anything else.
  static func byteCount(_ path: String) -> UInt64? {
    var facts = stat()
    guard unsafe stat(path, &facts) == 0, facts.st_mode & S_IFMT == S_IFREG else { return nil }
    return UInt64(max(0, facts.st_size))
  }

  static func isLink(_ path: String) -> Bool {
    var facts = stat()
    return unsafe lstat(path, &facts) == 0 && facts.st_mode & S_IFMT == S_IFLNK
  }

  /// The path without links and relative parts.
  ///
  /// realpath(3).
  static func absolute(_ path: String) throws(ModelsError) -> String {
    guard let resolved = unsafe realpath(path, nil) else { throw FileHandle.failure("find", path) }
    defer { unsafe free(resolved) }
    return unsafe String(cString: resolved)
  }

  static func lastPart(_ path: String) -> String {
    path.split(separator: "/").last.map(String.init) ?? path
  }
}
