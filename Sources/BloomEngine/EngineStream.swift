internal import BloomBase

/// The engine's end of one answer: a bounded queue to one reading task.
///
/// The engine never waits for a reader: it asks ``hasRoom`` before it computes the next token and
/// lets the choice pause while the reader is slow.
public final class EngineOutlet: Sendable {
  private struct State: Sendable {
    var buffer: [EngineEvent] = []
    var reader: CheckedContinuation<EngineEvent?, Never>?
    var isFinished = false
    var isCancelled = false
    var wantsRoom = false
  }

  private let state = Locked(State())
  private let capacity: Int
  private let onChange: @Sendable () -> Void

  /// Creates the queue; engines do, not their users.
  ///
  /// - Parameters:
  ///   - capacity: Events buffered before the engine pauses the request.
  ///   - onChange: Called from any thread when the reader cancels, or drains a queue that was full.
  public init(capacity: Int = 64, onChange: @escaping @Sendable () -> Void) {
    self.capacity = capacity
    self.onChange = onChange
  }

  fileprivate func next() async -> EngineEvent? {
    await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        let (event, isReady, drained) = state.withLock { state -> (EngineEvent?, Bool, Bool) in
          invariant(state.reader == nil, "one reader at a time")
          if !state.buffer.isEmpty {
            let first = state.buffer.removeFirst()
            let drained = state.wantsRoom && state.buffer.count <= capacity / 2
            if drained { state.wantsRoom = false }
            return (first, true, drained)
          }
          if state.isFinished || state.isCancelled { return (nil, true, false) }
          state.reader = continuation
          return (nil, false, false)
        }
        if isReady { continuation.resume(returning: event) }
        if drained { onChange() }
      }
    } onCancel: {
      cancel()
    }
  }

  fileprivate func cancel() {
    let reader = state.withLock { state in
      state.isCancelled = true
      let reader = state.reader
      state.reader = nil
      return reader
    }
    reader?.resume(returning: nil)
    onChange()
  }

  /// Whether the reader has given up.
  public var isCancelled: Bool { state.withLock { $0.isCancelled } }

  /// Whether the engine may produce more; when not, `onChange` tells as soon as it may.
  public var hasRoom: Bool {
    state.withLock { state in
      if state.buffer.count < capacity { return true }
      state.wantsRoom = true
      return false
    }
  }

  /// Adds an event; for the engine.
  ///
  /// Terminal events end the stream. Never waits.
  public func emit(_ event: EngineEvent) {
    let reader = state.withLock { state -> CheckedContinuation<EngineEvent?, Never>? in
      invariant(!state.isFinished, "an event after the last one")
      switch event {
      case .done, .failed: state.isFinished = true
      case .admitted, .tokens, .finished, .embeddings: break
      }
      guard let reader = state.reader else {
        state.buffer.append(event)
        return nil
      }
      state.reader = nil
      return reader
    }
    reader?.resume(returning: event)
  }
}

/// The reader's end of one answer.
///
/// One reader at a time; dropping it cancels the request.
public final class EngineStream: Sendable, AsyncSequence {
  /// The elements.
  public typealias Element = EngineEvent
  /// The sequence never throws; failures are events.
  public typealias Failure = Never

  private let outlet: EngineOutlet

  /// Wraps the engine's end; engines call this, not their users.
  public init(_ outlet: EngineOutlet) { self.outlet = outlet }

  deinit { outlet.cancel() }

  /// The next event; `nil` after the last one, and at once when the reading task is cancelled.
  public func next() async -> EngineEvent? { await outlet.next() }

  /// Stops the work within one step; events already queued may still be read.
  public func cancel() { outlet.cancel() }

  /// Iterates over ``next()``.
  public struct Iterator: AsyncIteratorProtocol, Sendable {
    let stream: EngineStream
    /// The next event.
    public mutating func next() async -> EngineEvent? { await stream.next() }
    /// The next event, whatever the caller's isolation.
    public mutating func next(
      isolation actor: isolated (any Actor)?
    ) async -> EngineEvent? { await stream.next() }
  }

  /// Starts iterating; one iterator at a time.
  public func makeAsyncIterator() -> Iterator { Iterator(stream: self) }
}
