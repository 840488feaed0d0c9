internal import BloomWire
internal import BloomBase

/// Outer records on their way to one gateway.
///
/// Sealed bytes are bounded by the credit that the node was given, and credit is given back only
/// when the gateway's connection has taken the bytes; other records are small and few.
package final class RelaySink: Sendable {
  /// What the gateway's connection writes next.
  package struct Batch: Sendable {
    /// How many sealed bytes are of one attempt, for its credit.
    package struct Share: Sendable, Equatable {
      /// The attempt's number.
      package var attempt = 0
      /// Bytes.
      package var byteCount = 0
    }

    /// Encoded outer records; empty at the end.
    package var bytes: [UInt8] = []
    /// The sealed bytes of the attempt that was pushed last.
    package var newest = Share()
    /// Those of attempts before it: a batch has any only where one took the place of another.
    package var earlier: [Share] = []

    fileprivate mutating func count(_ sealed: Int, attempt: Int) {
      guard sealed > 0 else { return }
      if newest.attempt != attempt {
        if newest.byteCount > 0 { earlier.append(newest) }
        newest = Share(attempt: attempt)
      }
      newest.byteCount += sealed
    }
  }

  private struct State: Sendable {
    var batch = Batch()
    /// Bytes of the batch before: the next will be about as large.
    var usualByteCount = 0
    var isFinished = false
    var consumer: CheckedContinuation<Void, Never>?

    /// The consumer, when there is something for it.
    mutating func awaken() -> CheckedContinuation<Void, Never>? {
      guard isFinished || !batch.bytes.isEmpty else { return nil }
      defer { consumer = nil }
      return consumer
    }
  }

  private let state = Locked(State())

  /// Creates an empty sink.
  package init() {}

  /// Adds a record.
  func push(_ record: OuterRecord, attempt: Int) {
    add(sealed: 0, attempt) { record.append(attempt: UInt8(clamping: attempt), to: &$0) }
  }

  /// Adds sealed bytes without an intermediate copy.
  func push(sealed bytes: [UInt8], attempt: Int) {
    add(sealed: bytes.count, attempt) {
      OuterRecord.appendSealed(bytes[...], attempt: UInt8(clamping: attempt), to: &$0)
    }
  }

  /// Ends the sink; what waits is still delivered.
  func finish() {
    let consumer = state.withLock { state in
      state.isFinished = true
      return state.awaken()
    }
    consumer?.resume()
  }

  /// Everything that waits, or `nil` once finished and drained, or cancelled.
  ///
  /// Taken when the caller runs again, not when it is woken: what comes between goes along.
  package func next() async -> Batch? {
    await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        let consumer = state.withLock { state in
          state.consumer = continuation
          return state.awaken()
        }
        consumer?.resume()
      }
    } onCancel: {
      finish()
    }
    return state.withLock { state in
      guard !state.batch.bytes.isEmpty else { return nil }
      defer { state.batch = Batch() }
      state.usualByteCount = state.batch.bytes.count
      return state.batch
    }
  }

  private func add(sealed count: Int, _ attempt: Int, _ append: (inout [UInt8]) -> Void) {
    let consumer = state.withLock { state -> CheckedContinuation<Void, Never>? in
      guard !state.isFinished else { return nil }
      if state.batch.bytes.isEmpty { state.batch.bytes.reserveCapacity(state.usualByteCount) }
      append(&state.batch.bytes)
      state.batch.count(count, attempt: attempt)
      return state.awaken()
    }
    consumer?.resume()
  }
}
