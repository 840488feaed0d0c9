package import BloomBase
package import BloomNet
internal import BloomWire

/// What this device says of a part's last receipt.
package struct ReceiptAcknowledgement: Equatable, Sendable {
  /// The answer.
  package var answer: AnswerID
  /// The part, as the receipt names it.
  package var part: Int
  /// The last receipt that was verified.
  package var receipt: Digest
  /// Whether what was settled is this receipt.
  package var isRight: Bool

  /// Joins the parts.
  package init(answer: AnswerID, part: Int, receipt: Digest, isRight: Bool) {
    self.answer = answer
    self.part = part
    self.receipt = receipt
    self.isRight = isRight
  }

  /// The body of `POST /v1/receipts/ack`.
  var json: [UInt8] {
    JSONValue.members([
      "answer": .string(answer.description), "part": .integer(part),
      "receipt": .string(receipt.hex), "verdict": .string(isRight ? "ok" : "mismatch"),
    ]).encoded
  }
}

/// Tells the coordinator what was received, beside the answers and never in their way.
///
/// An answer is closed, and its money released, when the coordinator hears of its end. Eight are told
/// at once and 1,024 wait at most; beyond, the oldest is dropped: time closes its answer. Each is tried
/// three times within half a minute. Safe from any thread.
package final class ReceiptAcknowledger: Sendable {
  private struct State: Sendable {
    var waiting: [ReceiptAcknowledgement] = []
    var senders = 0
  }

  private static let limit = 1024
  private static let sendersMax = 8
  private let send: @Sendable (ReceiptAcknowledgement) async throws -> Void
  private let pause: Duration
  private let loop: EventLoop
  private let state = Locked(State())

  /// Creates one that has nothing to tell.
  ///
  /// - Parameters:
  ///   - coordinator: Whom to tell.
  ///   - loop: For pauses between tries.
  package convenience init(_ coordinator: CoordinatorClient, loop: EventLoop) {
    self.init(loop: loop, pause: .seconds(2)) { try await coordinator.acknowledge($0) }
  }

  /// As above, over any way to send.
  package init(
    loop: EventLoop, pause: Duration,
    send: @escaping @Sendable (ReceiptAcknowledgement) async throws -> Void
  ) {
    self.send = send
    self.pause = pause
    self.loop = loop
  }

  /// Takes an acknowledgement and returns at once.
  package func tell(_ acknowledgement: ReceiptAcknowledgement) {
    let starts = state.withLock { state in
      if state.waiting.count >= Self.limit { state.waiting.removeFirst() }
      state.waiting.append(acknowledgement)
      guard state.senders < Self.sendersMax else { return false }
      state.senders += 1
      return true
    }
    // Ends by itself: every try has a deadline, and what waits is bounded.
    if starts { Task { await self.run() } }
  }

  private func run() async {
    while let next = next() {
      for attempt in 1...3 {
        if (try? await send(next)) != nil { break }
        // After the third try the books close without it.
        if attempt < 3 { try? await loop.sleep(for: pause) }
      }
    }
  }

  private func next() -> ReceiptAcknowledgement? {
    state.withLock { state in
      guard !state.waiting.isEmpty else {
        state.senders -= 1
        return nil
      }
      return state.waiting.removeFirst()
    }
  }
}
