internal import BloomBase
internal import BloomClient
internal import BloomNet

/// The one reader of a streamed answer; its first step may come before or after the response began.
///
/// An answer whose reader is dropped before its end is left, so that its machine stops: a program
/// may go away between the head and the body of its response.
final class AnswerReader: Sendable {
  /// What is there in time.
  enum First: Sendable {
    /// The first step; `nil` when the answer ended without one.
    case step(AnswerOutput?)
    /// Nothing yet.
    case late
  }

  private struct State: Sendable {
    var first: Task<AnswerOutput?, Never>?
    var isOver = false
  }

  private let answer: any RunningAnswer
  private let state: Locked<State>
  /// The loop of the connection, where the waits live.
  let loop: EventLoop?

  init(_ answer: any RunningAnswer, loop: EventLoop?) {
    self.answer = answer
    self.loop = loop
    state = Locked(State(first: Task(executorPreference: loop) { await answer.next() }))
  }

  deinit {
    let (first, isOver) = state.withLock { ($0.first, $0.isOver) }
    if isOver { return }
    first?.cancel()
    let answer = answer
    Task { await answer.leave() }
  }

  /// Waits for the first step, which stays the next one to be read.
  ///
  /// - Parameter limit: How long at most; `nil` for as long as it takes.
  /// - Returns: The step, or that it is late.
  func first(within limit: Duration?) async -> First {
    guard let task = state.withLock({ $0.first }) else { return .step(nil) }
    return await withTaskCancellationHandler {
      guard let limit else { return .step(await task.value) }
      let outcome = FirstOutcome()
      Task(executorPreference: loop) { outcome.set(.step(await task.value)) }
      let alarm = Task(executorPreference: loop) {
        try? await Self.sleep(limit, on: self.loop)  // a cancelled alarm comes too late anyway
        outcome.set(.late)
      }
      defer { alarm.cancel() }
      return await outcome.value
    } onCancel: {
      task.cancel()
    }
  }

  /// The next step; `nil` after the last.
  func next() async -> AnswerOutput? {
    let first = state.withLock { state in
      defer { state.first = nil }
      return state.first
    }
    let step: AnswerOutput?
    if let first {
      step = await withTaskCancellationHandler {
        await first.value
      } onCancel: {
        first.cancel()
      }
    } else {
      step = await answer.next()
    }
    switch step {
    case .finished, .failed, nil: state.withLock { $0.isOver = true }
    case .tokens, .embedding, .json: break
    }
    return step
  }

  /// The program has left.
  func leave() async {
    state.withLock { $0.isOver = true }
    await answer.leave()
  }

  static func sleep(_ duration: Duration, on loop: EventLoop?) async throws {
    if let loop { try await loop.sleep(for: duration) } else { try await Task.sleep(for: duration) }
  }
}

/// One value that is waited for by one task; the first of several counts.
private final class FirstOutcome: Sendable {
  private struct State: Sendable {
    var value: AnswerReader.First?
    var waiter: CheckedContinuation<AnswerReader.First, Never>?
  }

  private let state = Locked(State())

  func set(_ value: AnswerReader.First) {
    let waiter = state.withLock { state in
      let waiter = state.waiter
      if state.value == nil { state.value = value }
      state.waiter = nil
      return waiter
    }
    waiter?.resume(returning: value)
  }

  var value: AnswerReader.First {
    get async {
      await withCheckedContinuation { continuation in
        let known = state.withLock { state in
          if state.value == nil { state.waiter = continuation }
          return state.value
        }
        if let known { continuation.resume(returning: known) }
      }
    }
  }
}
