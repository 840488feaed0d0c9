internal import BloomBase

/// Asks a service to end; one task waits for it.
final class StopSignal: Sendable {
  private struct State: Sendable {
    var isSet = false
    var waiter: CheckedContinuation<Void, Never>?
  }

  private let state = Locked(State())

  /// Asks; a second time says nothing more.
  func set() {
    let waiter = state.withLock { state -> CheckedContinuation<Void, Never>? in
      defer { state.waiter = nil }
      state.isSet = true
      return state.waiter
    }
    waiter?.resume()
  }

  /// Waits until the service is asked, or until the task is cancelled.
  func wait() async {
    await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        let isSet = state.withLock { state in
          if state.isSet { return true }
          state.waiter = continuation
          return false
        }
        if isSet { continuation.resume() }
      }
    } onCancel: {
      set()
    }
  }
}
