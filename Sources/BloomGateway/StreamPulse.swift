internal import BloomBase
internal import BloomNet

/// Sends a sign of life whenever a stream was silent for a while.
///
/// Ends by itself when sending fails: the stream's own writer sees that too.
final class StreamPulse: Sendable {
  private let task: Task<Void, Never>?
  private let hasMoved = Locked(false)

  /// Starts; `nil` as the pause sends nothing ever.
  init(
    every pause: Duration?, loop: EventLoop?, send: @escaping @Sendable () async throws -> Void
  ) {
    guard let pause else {
      task = nil
      return
    }
    let hasMoved = hasMoved
    task = Task(executorPreference: loop) {
      do {
        while true {
          try await AnswerReader.sleep(pause, on: loop)
          let isSilent = hasMoved.withLock { moved in
            defer { moved = false }
            return !moved
          }
          // Its own task: what is being written must not be cut by the end of this one.
          if isSilent { try await Task(executorPreference: loop) { try await send() }.value }
        }
      } catch {
        return
      }
    }
  }

  /// Something was sent: the silence begins anew.
  func beat() {
    if task != nil { hasMoved.withLock { $0 = true } }
  }

  /// Nothing more is sent.
  func stop() { task?.cancel() }
}
