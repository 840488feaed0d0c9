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
    var consumer: CheckedContinuation<[[UInt8]], Never>?
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
    let (isTaken, waiting) = state.withLock {
      state -> (Bool, (CheckedContinuation<[[UInt8]], Never>, [[UInt8]])?) in
      guard !state.isFinished else { return (false, nil) }
      guard state.byteCount + message.count <= byteLimit else {
        state.isFinished = true
        state.control = []
        state.data = []
        state.byteCount = 0
        return (false, state.takeConsumer())
      }
      if isControl { state.control.append(message) } else { state.data.append(message) }
      state.byteCount += message.count
      return (true, state.takeConsumer())
    }
    if let (consumer, batch) = waiting { consumer.resume(returning: batch) }
    return isTaken
  }

  /// All control messages and some data behind them; empty once finished and drained.
  ///
  /// Data by ``dataBytes`` at a time, or one message: what control that comes next waits for.
  public func next() async -> [[UInt8]] {
    await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        let batch: [[UInt8]]? = state.withLock { state in
          invariant(state.consumer == nil, "one consumer at a time")
          state.consumer = continuation
          return state.takeConsumer()?.1
        }
        if let batch { continuation.resume(returning: batch) }
      }
    } onCancel: {
      finish(dropping: true)
    }
  }

  /// Ends the queue; what waits is still delivered unless it is dropped.
  public func finish(dropping: Bool = false) {
    let waiting = state.withLock { state in
      state.isFinished = true
      if dropping {
        state.control = []
        state.data = []
        state.byteCount = 0
      }
      return state.takeConsumer()
    }
    if let (consumer, batch) = waiting { consumer.resume(returning: batch) }
  }
}

extension TwoLaneQueue.State {
  /// The consumer and what it gets, when there is both a consumer and something to tell it.
  fileprivate mutating func takeConsumer()
    -> (CheckedContinuation<[[UInt8]], Never>, [[UInt8]])?
  {
    guard let consumer else { return nil }
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
    if batch.isEmpty, !isFinished { return nil }
    byteCount -= batch.reduce(0) { $0 + $1.count }
    self.consumer = nil
    return (consumer, batch)
  }
}
