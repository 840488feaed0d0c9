internal import BloomBase
internal import BloomNet
internal import BloomRecords
internal import BloomSeal
internal import BloomWire

/// Reads what comes back for one sealed part, opens it and reports it.
struct SealedPartReader: Sendable {
  let part: Int
  let answer: AnswerID
  let sealed: SealedRequest
  let keepsContent: Bool
  let events: any PartEvents
  let tap: WireTap?
  let keep: @Sendable (SealedPartRunner.KeptReceipt) async -> Void
  let acknowledge: (@Sendable (ReceiptAcknowledgement) -> Void)?

  /// What is known of the part while it is read.
  private struct State {
    var attempt: UInt8?
    var failure = PartFailure.truncated
    var receipt: Receipt?
    var content: ReceiptContent?
    /// Bytes of content before the receipt.
    var receiptedByteCount = 0
    var cost: Micros?
    var settled: Digest?
    var isAccepted = false
    var hasDelivered = false
  }

  /// Reads to the end; the last receipt is kept however the part ends.
  ///
  /// - Returns: Why the part is not whole; `nil` after its verified last receipt.
  /// - Throws: What the connection throws, and `CancellationError`.
  func read(_ body: MessageBody) async throws -> PartFailure? {
    var state = State()
    var opener = sealed.opener()
    state.content = keepsContent ? sealed.content : nil
    do {
      let isAuthentic = try await read(body, &opener, &state)
      await finish(state)
      guard isAuthentic else {
        // What was delivered before is authentic; the rest of this answer is not believed.
        return PartFailure(isRetriable: true, code: "answer_not_authentic")
      }
    } catch {
      await finish(state)
      throw error
    }
    let isWhole = (try? opener.end()) != nil && state.failure.sealed == nil
    if let receipt = state.receipt {
      // Of a part that was read to its end the last receipt is the one that settles.
      acknowledge?(
        ReceiptAcknowledgement(
          answer: receipt.claims.answer, part: receipt.claims.part, receipt: receipt.digest,
          isRight: !isWhole || state.settled == nil || state.settled == receipt.digest))
    }
    return isWhole ? nil : state.failure
  }

  private func finish(_ state: State) async {
    guard let receipt = state.receipt, let file = sealed.file(of: receipt, cost: state.cost) else {
      return
    }
    await events.receipted(part, cost: state.cost)
    let content = state.content?.receipted(byteCount: state.receiptedByteCount)
    await keep(
      SealedPartRunner.KeptReceipt(answer: answer, part: part, file: file, content: content))
  }

  private func read(
    _ body: MessageBody, _ opener: inout ResponseOpener, _ state: inout State
  ) async throws -> Bool {
    var decoder = OuterRecordDecoder()
    for try await bytes in body {
      decoder.append(bytes)
      while let item = try decoder.next() {
        tap?.note(item.record, answer: answer, part: part)
        switch item.record {
        case .accepted(let node):
          state.isAccepted = true
          await events.accepted(part, by: node)
        case .alive, .queued: await events.alive(part)
        case .suspected: await events.suspected(part)
        case .settled(let digest, let micros):
          state.settled = digest
          if digest == state.receipt?.digest { state.cost = micros }
        case .attemptFailed(let reason, let isRetriable, _):
          state.failure = .attemptFailed(
            reason, isRetriable: isRetriable, wasAccepted: state.isAccepted)
        case .sealed(let chunk):
          if state.attempt != item.attempt {
            // Another machine's answer starts anew, which is only right before anything was shown.
            guard !state.hasDelivered else { return false }
            state.attempt = item.attempt
            opener = sealed.opener()
            state.content = keepsContent ? sealed.content : nil
            state.receiptedByteCount = 0
          }
          guard await open(&opener, chunk, &state) else { return false }
        }
        try Task.checkCancellation()
      }
    }
    return true
  }

  /// Opens a chunk and reports what is in it; `false` when it is not authentic.
  private func open(
    _ opener: inout ResponseOpener, _ bytes: [UInt8], _ state: inout State
  ) async -> Bool {
    var opened: [AnswerEvent] = []
    var isAuthentic = true
    do throws(SealError) {
      try opener.receive(bytes) { opened.append($0) }
    } catch {
      isAuthentic = false
    }
    for event in opened {
      switch event {
      case .began(let node): await events.accepted(part, by: node)
      case .frame(let frame):
        if let kept = state.content {
          // An answer too long to keep is kept without content rather than cut.
          state.content = kept.response.count < ReceiptContent.maximumByteCount ? kept : nil
          state.content?.append(frame)
        }
        if case .error(let sealedError) = frame {
          state.failure = PartFailure(
            isRetriable: sealedError.code == .engine, code: "\(sealedError.code)",
            sealed: sealedError)
        }
        state.hasDelivered = true
        await events.frame(part, frame)
      case .receipt(let receipt), .finished(let receipt):
        state.receipt = receipt
        state.receiptedByteCount = state.content?.response.count ?? 0
      }
    }
    return isAuthentic
  }
}
