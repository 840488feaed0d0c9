package import BloomBase
internal import BloomRecords
internal import BloomNet
package import BloomSeal
package import BloomWire

/// Runs parts of one answer over the network: draw, seal, send, open, check.
package struct SealedPartRunner: PartRunner {
  private let network: NetworkView
  private let coordinator: CoordinatorClient
  private let request: CanonicalRequest
  private let model: ModelID
  private let options: SealOptions
  private let candidates: Int
  private let preferred: NodeID?
  private let keepsContent: Bool
  private let keep: @Sendable (KeptReceipt) -> Void
  private let acknowledge: @Sendable (ReceiptAcknowledgement) -> Void
  /// The number of the next part on the wire: only parts that the coordinator took up count.
  private let wirePart = Locked(0)

  /// A verified last receipt of a part, with what is needed to verify it again later.
  package struct KeptReceipt: Sendable {
    /// The answer it belongs to.
    package let answer: AnswerID
    /// The part.
    package let part: Int
    /// Receipt, node record, commitment key and what was booked.
    package let file: ReceiptFile
    /// Request and frames, when the user keeps them.
    package let content: ReceiptContent?

    /// Joins the parts.
    package init(answer: AnswerID, part: Int, file: ReceiptFile, content: ReceiptContent?) {
      self.answer = answer
      self.part = part
      self.file = file
      self.content = content
    }
  }

  /// Creates a runner of one answer.
  ///
  /// - Parameters:
  ///   - network: Where machines are drawn from.
  ///   - coordinator: Where envelopes go.
  ///   - request: The first part's request.
  ///   - model: The model.
  ///   - options: What the coordinator may know.
  ///   - candidates: Machines of each envelope, 1…4.
  ///   - preferred: The machine with this conversation's warm cache.
  ///   - keepsContent: Whether request and frames are kept with the receipt.
  ///   - acknowledge: Takes what the coordinator is told of it; must not wait.
  ///   - keep: Takes each verified last receipt.
  package init(
    network: NetworkView, coordinator: CoordinatorClient, request: CanonicalRequest,
    model: ModelID, options: SealOptions, candidates: Int, preferred: NodeID?,
    keepsContent: Bool = false,
    acknowledge: @escaping @Sendable (ReceiptAcknowledgement) -> Void = { _ in },
    keep: @escaping @Sendable (KeptReceipt) -> Void
  ) {
    self.network = network
    self.coordinator = coordinator
    self.request = request
    self.model = model
    self.options = options
    self.candidates = candidates
    self.preferred = preferred
    self.keepsContent = keepsContent
    self.keep = keep
    self.acknowledge = acknowledge
  }

  /// Runs one part to its end.
  package func run(
    part: Int, resume: [ChoiceProgress], avoiding: Set<NodeID>, events: any PartEvents
  ) async {
    do {
      let number = wirePart.withLock { $0 }
      let sealed = try await seal(number, resume, avoiding)
      guard let sealed else {
        return await events.ended(
          part,
          PartFailure(isRetriable: true, code: "no_machine", isWithoutCandidates: true))
      }
      let body = try await coordinator.send(sealed.envelope)
      wirePart.withLock { $0 = max($0, number + 1) }
      try await read(body, of: sealed, part, events)
    } catch is CancellationError {
      return
    } catch let refusal as CoordinatorClient.Refusal {
      await events.ended(part, await failure(of: refusal.reason))
    } catch {
      await events.ended(part, PartFailure(isRetriable: true, code: "connection_lost"))
    }
  }

  private func failure(of reason: Reason) async -> PartFailure {
    var isRetriable = reason.isRetriable
    switch reason {
    // Asking again at once would not help: the user hears it.
    case .rateLimited, .poolEmpty: isRetriable = false
    case .staleKey: await network.invalidate()
    // This device and the coordinator count parts differently, after one of them lost a message.
    case .replay: wirePart.withLock { $0 += 1 }
    case .partNotAllowed:
      isRetriable = wirePart.withLock { number in
        guard number > 0 else { return false }
        number -= 1
        return true
      }
    default: break
    }
    return PartFailure(
      isRetriable: isRetriable, code: reason.name, isWithoutCandidates: isRetriable)
  }

  private func seal(
    _ part: Int, _ resume: [ChoiceProgress], _ avoiding: Set<NodeID>
  ) async throws -> SealedRequest? {
    let targets = try await network.draw(
      candidates, model: model, preferring: preferred, avoiding: avoiding)
    guard !targets.isEmpty else { return nil }
    var request = request
    if part > 0 {
      request.resume = CanonicalRequest.Resume(
        part: part,
        choices: resume.map {
          .init(tokens: $0.tokens.map { UInt32(bitPattern: $0) }, isDone: $0.isDone)
        })
    }
    return try RequestSealer.seal(
      request, options: options, contexts: try ReadyContexts(targets))
  }

  private func read(
    _ body: MessageBody, of sealed: SealedRequest, _ part: Int, _ events: any PartEvents
  ) async throws {
    var decoder = OuterRecordDecoder()
    var opener = sealed.opener()
    var attempt: UInt8?
    var failure = PartFailure(isRetriable: true, code: "truncated")
    var last: Receipt?
    var content = keepsContent ? sealed.content : nil
    var cost: Micros?
    var settled: Digest?
    for try await bytes in body {
      decoder.append(bytes)
      while let item = try decoder.next() {
        note(item.record, part)
        switch item.record {
        case .accepted(let node): await events.accepted(part, by: node)
        case .alive, .queued: await events.alive(part)
        case .settled(let digest, let micros):
          settled = digest
          if digest == last?.digest { cost = micros }
        case .attemptFailed(let reason, let isRetriable, _):
          failure = PartFailure(isRetriable: isRetriable, code: reason.name)
        case .sealed(let chunk):
          if attempt != item.attempt {
            // Another machine's answer starts anew; nothing of the one before was delivered.
            attempt = item.attempt
            opener = sealed.opener()
            content = keepsContent ? sealed.content : nil
          }
          var opened: [AnswerEvent] = []
          let error = open(&opener, chunk, &opened)
          for event in opened {
            switch event {
            case .began(let node): await events.accepted(part, by: node)
            case .frame(let frame):
              if let kept = content {
                // An answer too long to keep is kept without content rather than cut.
                content = kept.response.count < ReceiptContent.maximumByteCount ? kept : nil
                content?.append(frame)
              }
              if case .error(let sealedError) = frame {
                failure = PartFailure(
                  isRetriable: sealedError.code == .engine, code: "\(sealedError.code)",
                  sealed: sealedError)
              }
              await events.frame(part, frame)
            case .receipt(let receipt): last = receipt
            case .finished(let receipt): last = receipt
            }
          }
          if error != nil {
            // What was delivered before is authentic; the rest of this answer is not believed.
            return await events.ended(
              part, PartFailure(isRetriable: true, code: "answer_not_authentic"))
          }
        }
        try Task.checkCancellation()
      }
    }
    if let last, let file = sealed.file(of: last, cost: cost) {
      keep(KeptReceipt(answer: request.answer.id, part: part, file: file, content: content))
    }
    let isWhole = (try? opener.end()) != nil && failure.sealed == nil
    if let last {
      // Of a part that was read to its end the last receipt is the one that settles.
      acknowledge(
        ReceiptAcknowledgement(
          answer: last.claims.answer, part: last.claims.part, receipt: last.digest,
          isRight: !isWhole || settled == nil || settled == last.digest))
    }
    await events.ended(part, isWhole ? nil : failure)
  }

  private func note(_ record: OuterRecord, _ part: Int) {
    coordinator.tap?.note(record, answer: request.answer.id, part: part)
  }

  private func open(
    _ opener: inout ResponseOpener, _ bytes: [UInt8], _ events: inout [AnswerEvent]
  ) -> SealError? {
    do throws(SealError) {
      try opener.receive(bytes) { events.append($0) }
      return nil
    } catch {
      return error
    }
  }
}
