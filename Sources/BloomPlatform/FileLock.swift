#if canImport(Glibc)
internal import Glibc
#else
internal import Darwin
#endif

/// A file that one process holds; given back at its end, also after `kill -9`.
///
/// flock(2).
package final class FileLock: Sendable {
  /// Why the file cannot be opened.
  package struct Failure: Error, Sendable, Equatable {
    /// errno(3).
    package let code: Int32
  }

  private let descriptor: Int32

  /// Takes the lock; `nil` when another process has it.
  ///
  /// Makes the file, mode 0600, when there is none.
  package init?(_ path: String) throws(Failure) {
    let file = unsafe open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
    guard file >= 0 else { throw Failure(code: errno) }
    guard flock(file, LOCK_EX | LOCK_NB) == 0 else {
      close(file)
      return nil
    }
    descriptor = file
  }

  deinit { close(descriptor) }

  /// Whether a process has the lock now; it is taken for a moment to see.
  package static func isHeld(_ path: String) -> Bool {
    let file = unsafe open(path, O_RDWR | O_CLOEXEC)
    guard file >= 0 else { return false }
    defer { close(file) }
    return flock(file, LOCK_EX | LOCK_NB) != 0
  }
}
