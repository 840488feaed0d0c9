internal import BloomBase

/// Answer bytes that may be sent: the sender suspends until the agent has room, or it is closed.
package final class CreditGate: Sendable {
  private struct State: Sendable {
    var credit: Int
    var isClosed = false
    var waiting: CheckedContinuation<Bool, Never>?
  }

  private let state: Locked<State>

  /// Whether the answer was stopped: nothing more is sent.
  package var isClosed: Bool { state.withLock { $0.isClosed } }

  /// Starts with some credit, in bytes.
  package init(credit: Int) { state = Locked(State(credit: credit)) }

  /// Adds credit; safe from any thread.
  package func add(_ byteCount: Int) {
    let waiting = state.withLock { state -> CheckedContinuation<Bool, Never>? in
      state.credit += byteCount
      guard state.credit > 0 else { return nil }
      defer { state.waiting = nil }
      return state.waiting
    }
    waiting?.resume(returning: true)
  }

  /// Ends all waiting; later waits give false.
  package func close() {
    let waiting = state.withLock { state -> CheckedContinuation<Bool, Never>? in
      state.isClosed = true
      defer { state.waiting = nil }
      return state.waiting
    }
    waiting?.resume(returning: false)
  }

  /// Waits until there is any credit.
  ///
  /// The credit may then become negative by one message, so that a message larger than the window
  /// cannot wait for ever.
  ///
  /// - Returns: False once the gate is closed.
  package func waitForCredit() async -> Bool {
    await withCheckedContinuation { continuation in
      let answer = state.withLock { state -> Bool? in
        if state.isClosed { return false }
        if state.credit > 0 { return true }
        invariant(state.waiting == nil, "one sender a stream")
        state.waiting = continuation
        return nil
      }
      if let answer { continuation.resume(returning: answer) }
    }
  }

  /// Takes credit for bytes that are sent now.
  package func spend(_ byteCount: Int) { state.withLock { $0.credit -= byteCount } }
}
