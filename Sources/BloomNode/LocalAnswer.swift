internal import BloomBase
internal import BloomWire

/// Outer records on their way to this machine's own gateway.
///
/// Bounded: above ``highWater`` bytes the worker gets no more credit until they are read.
final class LocalAnswer: Sendable {
  /// Bytes that wait before the worker is held back.
  static let highWater = 1 << 20

  private struct State: Sendable {
    var bytes: [UInt8] = []
    var isFinished = false
    var isHeld = false
    var consumer: CheckedContinuation<[UInt8]?, Never>?
  }

  /// What it was asked for.
  let model: ModelID
  /// Whether the machine asked itself, and not its owner's gateway.
  let isSelfTest: Bool
  private let state = Locked(State())
  private let aliveAt = Locked(Instant(nanoseconds: 0))

  init(model: ModelID, isSelfTest: Bool) {
    self.model = model
    self.isSelfTest = isSelfTest
  }

  /// Adds a record; `true` when the worker must be held back from now on.
  func push(_ record: OuterRecord) -> Bool {
    add { record.append(attempt: 0, to: &$0) }
  }

  /// Adds sealed bytes; `true` when the worker must be held back from now on.
  func push(sealed bytes: [UInt8]) -> Bool {
    add { output in
      for start in stride(from: 0, to: bytes.count, by: OuterRecord.maximumPayload) {
        let end = min(start + OuterRecord.maximumPayload, bytes.count)
        OuterRecord.appendSealed(bytes[start..<end], attempt: 0, to: &output)
      }
    }
  }

  /// A sign of life, at most one in 100 ms.
  func alive(_ now: Instant) {
    let isDue = aliveAt.withLock { last in
      guard now - last >= .milliseconds(100) else { return false }
      last = now
      return true
    }
    if isDue { _ = push(.alive) }
  }

  /// Ends it; what waits is still read.
  func finish() {
    let waiting = state.withLock { state in
      state.isFinished = true
      return Self.take(&state)
    }
    if let (consumer, bytes) = waiting { consumer.resume(returning: bytes) }
  }

  /// Everything that waits, and whether the worker may go on now; `nil` at the end.
  func next() async -> (bytes: [UInt8], resumes: Bool)? {
    let bytes = await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        let waiting = state.withLock { state in
          state.consumer = continuation
          return Self.take(&state)
        }
        if let (consumer, bytes) = waiting { consumer.resume(returning: bytes) }
      }
    } onCancel: {
      finish()
    }
    guard let bytes else { return nil }
    let resumes = state.withLock { state in
      defer { state.isHeld = false }
      return state.isHeld
    }
    return (bytes, resumes)
  }

  private func add(_ append: (inout [UInt8]) -> Void) -> Bool {
    let (waiting, isFull) = state.withLock { state in
      guard !state.isFinished else { return (nil as Waiting?, false) }
      append(&state.bytes)
      let waiting = Self.take(&state)
      let isFull = !state.isHeld && state.bytes.count >= Self.highWater
      if isFull { state.isHeld = true }
      return (waiting, isFull)
    }
    if let (consumer, bytes) = waiting { consumer.resume(returning: bytes) }
    return isFull
  }

  private typealias Waiting = (CheckedContinuation<[UInt8]?, Never>, [UInt8]?)

  private static func take(_ state: inout State) -> Waiting? {
    guard let consumer = state.consumer, state.isFinished || !state.bytes.isEmpty else {
      return nil
    }
    state.consumer = nil
    guard !state.bytes.isEmpty else { return (consumer, nil) }
    defer { state.bytes = [] }
    return (consumer, state.bytes)
  }
}
