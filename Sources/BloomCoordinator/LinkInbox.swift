internal import BloomBase

/// Messages of one link on their way to the hub: what one read brought is handled in one go.
///
/// A read of a busy link holds a hundred chunks. Given to the hub together they cost one entry
/// into the actor instead of a hundred, and each gateway's chunks leave in one write. Safe from any
/// thread; one reader pushes.
package final class LinkInbox: Sendable {
  /// What the reader does after a message.
  enum Next: Equatable {
    /// Nothing: the hub knows that messages wait.
    case go
    /// Tell the hub, and read on.
    case announce
    /// Wait until the hub has taken what is there: it is behind.
    case wait
  }

  private struct State: Sendable {
    var messages: [[UInt8]] = []
    var byteCount = 0
    var isAnnounced = false
  }

  private static let byteLimit = 256 << 10
  private let state = Locked(State())

  /// Adds a message.
  func push(_ message: [UInt8]) -> Next {
    state.withLock { state in
      state.messages.append(message)
      state.byteCount += message.count
      if state.byteCount >= Self.byteLimit { return .wait }
      defer { state.isAnnounced = true }
      return state.isAnnounced ? .go : .announce
    }
  }

  /// All that waits, oldest first.
  func take() -> [[UInt8]] {
    state.withLock { state in
      defer { state = State() }
      return state.messages
    }
  }
}
