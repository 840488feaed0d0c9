internal import BloomBase
internal import BloomPlatform

/// Holds the folder of `darkbloom up` for one process.
final class UpLock: Sendable {
  private let lock: FileLock

  /// Takes the lock.
  ///
  /// - Throws: ``UsageError`` when another `up` has it.
  init(folder: String) throws(UsageError) {
    let path = Self.path(folder)
    let taken: FileLock?
    do throws(FileLock.Failure) {
      taken = try FileLock(path)
    } catch {
      throw UsageError(
        "\(path) cannot be made: choose a folder that this user may write, with --data DIR")
    }
    guard let taken else {
      throw UsageError(
        "darkbloom up runs already with this data folder: use it (darkbloom env), stop it, or "
          + "choose another folder and port: darkbloom up --data DIR --port N")
    }
    lock = taken
  }

  /// Whether an `up` has the folder now.
  static func isHeld(folder: String) -> Bool { FileLock.isHeld(path(folder)) }

  private static func path(_ folder: String) -> String { "\(folder)/lock" }
}
