internal import BloomBase

/// Lets one task wait for calls of ``wake()``; a call before the wait is not lost.
package final class Wakeup: Sendable {
  private struct State {
    var isSet = false
    var waiter: CheckedContinuation<Void, Never>?
  }
  private let state = Locked(State())

  /// Creates a signal that is not set.
  package init() {}

  /// Sets the signal; safe from any thread.
  package func wake() {
    let waiter = state.withLock { state -> CheckedContinuation<Void, Never>? in
      let waiter = state.waiter
      state.waiter = nil
      if waiter == nil { state.isSet = true }
      return waiter
    }
    waiter?.resume()
  }

  /// Waits for the signal and clears it; one waiter at a time.
  package func wait() async {
    await withCheckedContinuation { continuation in
      let isSet = state.withLock { state in
        if state.isSet {
          state.isSet = false
          return true
        }
        state.waiter = continuation
        return false
      }
      if isSet { continuation.resume() }
    }
  }
}
