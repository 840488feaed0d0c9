internal import BloomBase
internal import BloomEngine
internal import BloomRecords
internal import BloomWire

/// One opened request on its way through the engine: events in, sealed chunks and receipts out.
///
/// Two tasks use it: the pump, which reads the engine, and the ticker, which keeps fixed times. A
/// chunk is sealed only when there is credit for it and is sent at once, so that a receipt's counts
/// and transcript are exactly what left this machine.
actor AnswerRun {
  private let stream: StreamID
  private let exchange: any OpenedExchange
  private let gate: CreditGate
  private let outbox: Outbox
  private let time: any TimeSource
  private var clock: ReceiptClock
  private var counts: PartCounts
  private var isSending = false
  /// The last receipt is being signed: a fixed time that comes now comes too late.
  private var isOver = false
  private var waiting: CheckedContinuation<Void, Never>?

  init(
    _ stream: StreamID, _ exchange: any OpenedExchange, sampling: Digest,
    mode: ContinuationMode, gate: CreditGate, outbox: Outbox, time: any TimeSource
  ) {
    self.stream = stream
    self.exchange = exchange
    self.gate = gate
    self.outbox = outbox
    self.time = time
    clock = ReceiptClock(start: time.now())
    counts = PartCounts(end: time.unixTime(), sampling: sampling, mode: mode)
  }

  /// Reads the engine to its end.
  ///
  /// - Returns: Why the answer ended; `nil` when the run was stopped from outside.
  func pump(_ answer: EngineStream) async throws(WorkerError) -> FinishReason? {
    var last = FinishReason.stop
    while let event = await answer.next() {
      switch event {
      case .admitted(let admission):
        counts.promptTokens = admission.promptTokens
        counts.replayedTokens = admission.replayedTokens
      case .tokens(let frame):
        try await send([.tokens(TokenFrame(frame))], tokens: frame.tokens.count)
      case .finished(let choice, let finish, let stop):
        last = FinishReason(finish)
        try await send(
          [.tokens(TokenFrame(choice: choice, tokens: [], finish: last, stop: stop))], tokens: 0)
      case .embeddings(let vectors):
        try await send(
          vectors.enumerated().map { .embedding(index: $0.offset, vector: $0.element) }, tokens: 0)
      case .done(let usage):
        counts.promptTokens = usage.promptTokens
        try await send(
          [
            .usage(
              Usage(
                promptTokens: usage.promptTokens, cachedTokens: usage.cachedTokens,
                completionTokens: usage.completionTokens))
          ], tokens: 0)
        return last
      case .failed(let error):
        switch error.code {
        case .cancelled, .stopped: return nil
        case .badRequest, .unsupported, .contextExceeded, .limit, .grammar, .template, .busy,
          .deadline, .memory, .model, .engine:
          try await send([.error(SealedFailure(error).error)], tokens: 0)
          return .failed
        }
      }
    }
    return nil
  }

  /// Sends an error instead of an answer.
  func fail(_ failure: SealedFailure) async throws(WorkerError) {
    try await send([.error(failure.error)], tokens: 0)
  }

  /// Signs the last receipt and, unless the run was stopped, ends the answer with it.
  func finish(_ reason: FinishReason, endsAnswer: Bool) async throws(WorkerError) -> [UInt8] {
    await enter()
    defer { leave() }
    isOver = true
    if endsAnswer, try await sendOwedTicks() {
      let (receipt, sealed) = try exchange.finish(stamped(reason))
      emit(sealed)
      return receipt
    }
    // What is sealed here is not sent: the receipt alone leaves, in clear.
    return try exchange.receipt(stamped(reason)).receipt
  }

  /// The next fixed time has come: sends a chunk of the profile `steady`, or a receipt that is due.
  func tick() async throws(WorkerError) {
    // Whoever sends looks at the clock itself: a tick never waits.
    guard !isSending, !isOver else { return }
    isSending = true
    defer { leave() }
    if isSteady {
      guard await gate.waitForCredit() else { return }
      emit(try exchange.tick())
    }
    try await sendReceiptIfDue()
  }

  private var isSteady: Bool { exchange.routing.padding == .steady }

  /// Sends the fixed times that are owed before the end; false when the run was stopped.
  private func sendOwedTicks() async throws(WorkerError) -> Bool {
    while isSteady && exchange.needsTicks {
      guard await gate.waitForCredit() else { return false }
      emit(try exchange.tick())
      // Cancelled means that the process ends: then times hide nothing any more.
      try? await Task.sleep(for: .milliseconds(100))
    }
    return await gate.waitForCredit()
  }

  private func send(_ frames: [Frame], tokens: Int) async throws(WorkerError) {
    while exchange.isQueueFull, !gate.isClosed, !Task.isCancelled {
      // The ticker empties the queue, unless the answer was stopped; the engine pauses meanwhile,
      // since nobody reads it.
      try? await Task.sleep(for: .milliseconds(100))
    }
    await enter()
    defer { leave() }
    guard await gate.waitForCredit() else { return }
    emit(try exchange.send(frames))
    clock.delivered(tokens)
    try await sendReceiptIfDue()
  }

  private func sendReceiptIfDue() async throws(WorkerError) {
    guard clock.isDue(now: time.now()), await gate.waitForCredit() else { return }
    let (receipt, sealed) = try exchange.receipt(stamped(nil))
    // In-band for the gateway, and in clear, without content, for the coordinator.
    emit(sealed)
    outbox.send(.receipt(stream, receipt))
  }

  private func stamped(_ finish: FinishReason?) -> PartCounts {
    counts.end = time.unixTime()
    counts.finish = finish
    clock.receiptMade(now: time.now())
    return counts
  }

  private func emit(_ bytes: [UInt8]) {
    if bytes.isEmpty { return }
    gate.spend(bytes.count)
    for start in stride(from: 0, to: bytes.count, by: BloomWire.Limits.chunk) {
      let end = min(start + BloomWire.Limits.chunk, bytes.count)
      outbox.send(.chunk(stream, Array(bytes[start..<end])))
    }
  }

  /// Waits for a tick that is sending; only the pump comes here.
  private func enter() async {
    while isSending {
      await withCheckedContinuation { continuation in
        invariant(waiting == nil, "one pump an answer")
        waiting = continuation
      }
    }
    isSending = true
  }

  private func leave() {
    isSending = false
    waiting?.resume()
    waiting = nil
  }
}
