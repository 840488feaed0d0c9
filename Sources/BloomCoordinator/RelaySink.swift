internal import BloomWire
internal import BloomBase

/// Outer records on their way to one gateway.
///
/// Sealed bytes are bounded by the credit that the node was given, and credit is given back only
/// when the gateway's connection has taken the bytes; other records are small and few.
package final class RelaySink: Sendable {
  /// What the gateway's connection writes next.
  package struct Batch: Sendable {
    /// Encoded outer records; empty at the end.
    package var bytes: [UInt8] = []
    /// How many sealed bytes are in them, for credit.
    package var sealedByteCount = 0
  }

  fileprivate struct State: Sendable {
    var batch = Batch()
    var isFinished = false
    var consumer: CheckedContinuation<Batch?, Never>?
  }

  private let state = Locked(State())

  /// Creates an empty sink.
  package init() {}

  /// Adds a record.
  func push(_ record: OuterRecord, attempt: Int) {
    add(sealed: 0) { record.append(attempt: UInt8(clamping: attempt), to: &$0) }
  }

  /// Adds sealed bytes without an intermediate copy.
  func push(sealed bytes: [UInt8], attempt: Int) {
    add(sealed: bytes.count) {
      OuterRecord.appendSealed(bytes, attempt: UInt8(clamping: attempt), to: &$0)
    }
  }

  /// Ends the sink; what waits is still delivered.
  func finish() {
    let waiting = state.withLock { state in
      state.isFinished = true
      return state.take()
    }
    if let (consumer, batch) = waiting { consumer.resume(returning: batch) }
  }

  /// Everything that waits, or `nil` once finished and drained, or cancelled.
  package func next() async -> Batch? {
    await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        let waiting = state.withLock { state in
          state.consumer = continuation
          return state.take()
        }
        if let (consumer, batch) = waiting { consumer.resume(returning: batch) }
      }
    } onCancel: {
      finish()
    }
  }

  private func add(sealed count: Int, _ append: (inout [UInt8]) -> Void) {
    let waiting = state.withLock { state -> (CheckedContinuation<Batch?, Never>, Batch?)? in
      guard !state.isFinished else { return nil }
      append(&state.batch.bytes)
      state.batch.sealedByteCount += count
      return state.take()
    }
    if let (consumer, batch) = waiting { consumer.resume(returning: batch) }
  }
}

extension RelaySink.State {
  fileprivate mutating func take()
    -> (CheckedContinuation<RelaySink.Batch?, Never>, RelaySink.Batch?)?
  {
    guard let consumer, isFinished || !batch.bytes.isEmpty else { return nil }
    self.consumer = nil
    guard !batch.bytes.isEmpty else { return (consumer, nil) }
    defer { batch = RelaySink.Batch() }
    return (consumer, batch)
  }
}
