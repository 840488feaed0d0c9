#if canImport(Glibc)
internal import Glibc
#else
internal import Darwin
#endif

/// Reads which names a folder has.
package enum FolderNames: Sendable {
  /// All names but `.` and `..`, in the system's own order.
  ///
  /// opendir(3), readdir(3).
  ///
  /// - Parameter folder: Its path; a link to it is followed.
  /// - Returns: The names; bytes that are no UTF-8 are replaced.
  /// - Throws: ``SystemError``: `ENOENT` when there is no such folder, `ENOTDIR` when it is a file.
  package static func all(in folder: String) throws(SystemError) -> [String] {
    guard let stream = unsafe opendir(folder) else { throw SystemError(errno) }
    defer { unsafe closedir(stream) }
    var names: [String] = []
    while true {
      errno = 0  // alone tells an error from the end
      guard let entry = unsafe readdir(stream) else {
        let code = errno
        guard code == 0 else { throw SystemError(code) }
        return names
      }
      let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) { pointer in
        unsafe String(cString: UnsafeRawPointer(pointer).assumingMemoryBound(to: CChar.self))
      }
      if name != ".", name != ".." { names.append(name) }
    }
  }

  /// The names that begin with no dot, ascending.
  ///
  /// - Parameter folder: As for ``all(in:)``.
  /// - Returns: The names.
  /// - Throws: As ``all(in:)``.
  package static func visible(in folder: String) throws(SystemError) -> [String] {
    try all(in: folder).filter { !$0.hasPrefix(".") }.sorted()
  }
}
