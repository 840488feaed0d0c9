internal import BloomBase

#if canImport(Glibc)
internal import Glibc
#else
internal import Darwin
#endif

/// Holds the folder of `darkbloom up` for one process; given back at its end, also after `kill -9`.
///
/// flock(2).
final class UpLock: Sendable {
  private let descriptor: Int32

  /// Takes the lock.
  ///
  /// - Throws: ``UsageError`` when another `up` has it.
  init(folder: String) throws(UsageError) {
    descriptor = unsafe open("\(folder)/lock", O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { throw UsageError("\(folder)/lock cannot be made") }
    guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
      close(descriptor)
      throw UsageError(
        "darkbloom up runs already with this data folder: use it (darkbloom env), stop it, or "
          + "choose another folder and port: darkbloom up --data DIR --port N")
    }
  }

  deinit { close(descriptor) }

  /// Whether an `up` has the folder now.
  static func isHeld(folder: String) -> Bool {
    let descriptor = unsafe open("\(folder)/lock", O_RDWR | O_CLOEXEC)
    guard descriptor >= 0 else { return false }
    defer { close(descriptor) }
    return flock(descriptor, LOCK_EX | LOCK_NB) != 0
  }
}
