/// Messages that wait for one writer: control never waits behind data.
///
/// Many producers, one consumer. Bounded in bytes; when full, the link is over: a peer that lets
/// this much control pile up does not read, and data is bounded by credit before it comes here.
public final class TwoLaneQueue: Sendable {
  fileprivate struct State: Sendable {
    var control: [[UInt8]] = []
    var data: [[UInt8]] = []
    var byteCount = 0
    var isFinished = false
    var consumer: CheckedContinuation<Void, Never>?
  }

  /// Data that one call of ``next()`` gives at most, unless a single message is longer.
  public static let dataBytes = 16_384

  private let state = Locked(State())
  private let byteLimit: Int

  /// Creates an empty queue.
  ///
  /// - Parameter byteLimit: Bytes of both lanes together.
  public init(byteLimit: Int) { self.byteLimit = byteLimit }

  /// Bytes that wait in both lanes.
  public var byteCount: Int { state.withLock { $0.byteCount } }

  /// Adds a message; safe from any thread.
  ///
  /// - Returns: `false` when the queue is finished or has just overflowed, which finishes it.
  @discardableResult
  public func push(_ message: [UInt8], isControl: Bool) -> Bool {
    let (isTaken, consumer) = state.withLock {
      state -> (Bool, CheckedContinuation<Void, Never>?) in
      guard !state.isFinished else { return (false, nil) }
      guard state.byteCount + message.count <= byteLimit else {
        state.isFinished = true
        state.control = []
        state.data = []
        state.byteCount = 0
        return (false, state.awaken())
      }
      if isControl { state.control.append(message) } else { state.data.append(message) }
      state.byteCount += message.count
      return (true, state.awaken())
    }
    consumer?.resume()
    return isTaken
  }

  /// All control messages and some data behind them; empty once finished and drained.
  ///
  /// Data by ``dataBytes`` at a time, or one message: what control that comes next waits for.
  /// Taken when the caller runs again, not when it is woken: what comes between goes along.
  public func next() async -> [[UInt8]] {
    await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        let consumer = state.withLock { state in
          invariant(state.consumer == nil, "one consumer at a time")
          state.consumer = continuation
          return state.awaken()
        }
        consumer?.resume()
      }
    } onCancel: {
      finish(dropping: true)
    }
    return state.withLock { $0.take() }
  }

  /// Ends the queue; what waits is still delivered unless it is dropped.
  public func finish(dropping: Bool = false) {
    let consumer = state.withLock { state in
      state.isFinished = true
      if dropping {
        state.control = []
        state.data = []
        state.byteCount = 0
      }
      return state.awaken()
    }
    consumer?.resume()
  }
}

extension TwoLaneQueue.State {
  /// The consumer, when there is something for it.
  fileprivate mutating func awaken() -> CheckedContinuation<Void, Never>? {
    guard isFinished || !control.isEmpty || !data.isEmpty else { return nil }
    defer { consumer = nil }
    return consumer
  }

  fileprivate mutating func take() -> [[UInt8]] {
    var batch: [[UInt8]] = []
    swap(&batch, &control)
    var count = 0
    var taken = 0
    while taken < data.count, taken == 0 || count + data[taken].count <= TwoLaneQueue.dataBytes {
      count += data[taken].count
      taken += 1
    }
    batch += data[..<taken]
    data.removeFirst(taken)
    byteCount -= batch.reduce(0) { $0 + $1.count }
    return batch
  }
}
