#if canImport(Glibc)
internal import Glibc
#else
internal import Darwin
#endif

/// Small files that only this user may read: keys, tokens, settings.
package enum PrivateFile: Sendable {
  /// Why a file could not be written or read.
  package struct Failure: Error, Sendable, CustomStringConvertible {
    /// The path, the system's words and what to do.
    package let description: String
  }

  /// Replaces a file at once: written beside it with mode 0600, synced, renamed, the name synced.
  package static func write(_ bytes: [UInt8], to path: String) throws(Failure) {
    let slash = path.lastIndex(of: "/")
    let folder = slash.map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
    let name = slash.map { String(path[path.index(after: $0)...]) } ?? path
    do throws(PrivateFolderError) {
      try PrivateFolder(existing: folder).replace(name, with: bytes)
    } catch {
      throw Failure(description: "\(path): \(error.publicDescription)")
    }
  }

  /// The bytes of a file; `nil` when there is none.
  ///
  /// - Parameters:
  ///   - path: The file.
  ///   - limitBytes: Longer files are an error.
  /// - Returns: All of it.
  /// - Throws: ``Failure`` when the file is there and cannot be read.
  package static func read(_ path: String, limitBytes: Int = 1 << 20) throws(Failure) -> [UInt8]? {
    do throws(SystemError) {
      return try SmallFile.bytes(path, limitBytes: limitBytes)
    } catch {
      switch error.code {
      case ENOENT: return nil
      case EFBIG: throw Failure(description: "\(path) is longer than \(limitBytes) bytes")
      default: throw failure(path, error.code)
      }
    }
  }

  /// The names in a folder, oldest change first; none when there is no such folder.
  package static func names(in folder: String) -> [String] {
    dated(in: folder).sorted { $0 < $1 }.map(\.name)
  }

  /// The files in a folder with the times of their last changes, in no order; none when there is
  /// no such folder.
  package static func dated(
    in folder: String
  ) -> [(seconds: Int, nanoseconds: Int, name: String)] {
    var found: [(seconds: Int, nanoseconds: Int, name: String)] = []
    for name in (try? FolderNames.all(in: folder)) ?? [] {
      var facts = stat()
      guard unsafe lstat("\(folder)/\(name)", &facts) == 0, facts.st_mode & S_IFMT == S_IFREG
      else { continue }
      #if canImport(Glibc)
      let time = facts.st_mtim
      #else
      let time = facts.st_mtimespec
      #endif
      found.append((time.tv_sec, time.tv_nsec, name))
    }
    return found
  }

  /// Takes everybody's rights but the owner's from a file; makes an empty one if there is none.
  ///
  /// For files that a library will write: it must find them with mode 0600.
  package static func claim(_ path: String) throws(Failure) {
    let file = unsafe open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
    guard file >= 0 else { throw failure(path) }
    defer { close(file) }
    guard fchmod(file, 0o600) == 0 else { throw failure(path) }
  }

  /// Takes everybody's rights but the owner's from a file; one that is missing stays so.
  package static func restrict(_ path: String) { unsafe chmod(path, 0o600) }

  /// Removes a file; one that is gone already is as well.
  package static func remove(_ path: String) { unsafe unlink(path) }

  /// Makes a folder and those above it, mode 0700; existing ones stay as they are.
  package static func makeFolder(_ path: String) throws(Failure) {
    for end in path.indices.dropFirst() where path[end] == "/" {
      unsafe mkdir(String(path[..<end]), 0o700)
    }
    if unsafe mkdir(path, 0o700) != 0, errno != EEXIST { throw failure(path) }
  }

  private static func failure(_ path: String, _ code: Int32 = errno) -> Failure {
    let reason = unsafe strerror(code).map { unsafe String(cString: $0) } ?? "unknown error"
    return Failure(description: "\(path): \(reason)\(PrivateFolderError.advice(code))")
  }
}
