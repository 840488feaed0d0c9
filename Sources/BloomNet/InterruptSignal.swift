#if canImport(Glibc)
internal import Glibc
#else
internal import Darwin
#endif

/// SIGINT as an event: for programs where Ctrl-C stops what runs and not the program.
///
/// Takes the signal over for the rest of the process's life; make one, and no ``ShutdownSignal``
/// beside it. signal(7).
public final class InterruptSignal: Sendable {
  /// Starts to watch.
  ///
  /// - Parameters:
  ///   - group: One of its loops watches.
  ///   - received: Called on that loop for each signal; must not block.
  public init(group: EventLoopGroup = .shared, received: @escaping @Sendable () -> Void) {
    let loop = group.loops[0]
    loop.execute { _ = SignalWatch(loop, SIGINT, received) }
  }
}
