internal import BloomBase

#if canImport(Glibc)
internal import Glibc
#else
internal import Darwin
#endif

/// SIGINT and SIGTERM: the first asks to drain, the second ends the process at once.
public final class ShutdownSignal: Sendable {
  private struct State: Sendable {
    var received: Int32?
    var waiters: [CheckedContinuation<Void, Never>] = []
  }

  private let state = Locked(State())
  private let loop: EventLoop

  /// Takes the two signals over for the process; make one.
  ///
  /// - Parameter group: One of its loops watches.
  public init(group: EventLoopGroup = .shared) {
    loop = group.loops[0]
    loop.execute { [self] in
      for number in [SIGINT, SIGTERM] {
        _ = SignalWatch(loop, number) { self.received(number) }
      }
    }
  }

  /// Suspends until the first signal, or until the task is cancelled.
  public func wait() async {
    await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        let isDone = state.withLock { state in
          if state.received != nil || Task.isCancelled { return true }
          state.waiters.append(continuation)
          return false
        }
        if isDone { continuation.resume() }
      }
    } onCancel: {
      wake()
    }
  }

  /// Runs a service until it ends, or cancels it at the first signal and waits for its drain.
  ///
  /// - Throws: What the service throws; nothing when it ended through the signal.
  public func run(_ service: @escaping @Sendable () async throws -> Void) async throws {
    let task = Task { try await service() }
    let watcher = Task {
      await self.wait()
      if self.state.withLock({ $0.received }) != nil { task.cancel() }
    }
    defer { watcher.cancel() }
    do {
      try await withTaskCancellationHandler {
        try await task.value
      } onCancel: {
        task.cancel()
      }
    } catch is CancellationError {
      return
    }
  }

  private func received(_ number: Int32) {
    let isSecond = state.withLock { state in
      defer { state.received = number }
      return state.received != nil
    }
    if isSecond { _exit(128 + number) }
    wake()
  }

  private func wake() {
    let waiters = state.withLock { state in
      defer { state.waiters = [] }
      return state.waiters
    }
    for waiter in waiters { waiter.resume() }
  }
}
