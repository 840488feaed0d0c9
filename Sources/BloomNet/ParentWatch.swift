#if canImport(Glibc)
internal import Glibc
#else
internal import Darwin
#endif

/// Ends a child process when the process that started it is gone, however that ended.
///
/// The parent keeps the other end of descriptor 3 open and sets `DARKBLOOM_PARENT=1`; the end of the
/// stream is the portable sign of its death.
public enum ParentWatch: Sendable {
  /// Watches when the environment says that there is a parent to watch; returns at once.
  ///
  /// - Parameters:
  ///   - environment: The process's variables.
  ///   - ended: Called once when the parent is gone, on any thread; asks the service to end.
  public static func start(
    _ environment: [String: String], ended: @escaping @Sendable () -> Void
  ) {
    guard environment["DARKBLOOM_PARENT"] == "1" else { return }
    Task {
      // Without the channel there is nothing to watch: the program was started by hand.
      guard let channel = try? await ParentChannel.open() else { return }
      while let bytes = try? await channel.receive(), !bytes.isEmpty {}
      ended()
    }
  }

  /// The environment of a child that watches this process, as ``Subprocess/Options`` takes it.
  ///
  /// - Parameters:
  ///   - current: The variables of this process.
  ///   - keepsSettings: Whether `DARKBLOOM_…` variables reach the child; without them its command
  ///     line and its files alone set it.
  /// - Returns: `NAME=value` of each variable, sorted.
  public static func childEnvironment(
    _ current: [String: String], keepsSettings: Bool = true
  ) -> [String] {
    let kept = current.filter { name, _ in
      name != "DARKBLOOM_PARENT" && (keepsSettings || !name.hasPrefix("DARKBLOOM_"))
    }
    return kept.map { "\($0.key)=\($0.value)" }.sorted() + ["DARKBLOOM_PARENT=1"]
  }

  /// Ends this process as SIGTERM would: services drain first.
  public static func terminate() { kill(getpid(), SIGTERM) }
}
