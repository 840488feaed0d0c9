package import BloomBase
internal import BloomNet
internal import BloomRecords
package import BloomSeal
package import BloomWire

/// Runs parts of one answer over the network: draw, seal, send, open, check.
package struct SealedPartRunner: PartRunner {
  /// How one answer is asked for.
  package struct Options: Sendable {
    /// The most tokens of all choices together.
    package var tokenClass: TokenClass
    /// Within which the first token of each part must come.
    package var firstToken: Duration
    /// How the answer is padded on its way through the network.
    package var padding: PaddingProfile
    /// Machines of each envelope, 1…4.
    package var candidates: Int
    /// The machine with this conversation's warm cache.
    package var preferred: NodeID?
    /// Whether request and frames are kept with the receipt.
    package var keepsContent: Bool

    /// Sets every field.
    package init(
      tokenClass: TokenClass, firstToken: Duration, padding: PaddingProfile, candidates: Int,
      preferred: NodeID? = nil, keepsContent: Bool = false
    ) {
      self.tokenClass = tokenClass
      self.firstToken = firstToken
      self.padding = padding
      self.candidates = candidates
      self.preferred = preferred
      self.keepsContent = keepsContent
    }
  }

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

  private let network: NetworkView
  private let request: CanonicalRequest
  private let model: ModelID
  private let options: Options
  private let keep: @Sendable (KeptReceipt) async -> Void
  private let acknowledge: @Sendable (ReceiptAcknowledgement) -> Void
  private let numbering = Locked(PartNumbering())

  /// Creates a runner of one answer.
  ///
  /// - Parameters:
  ///   - network: Where machines are drawn from.
  ///   - request: The first part's request.
  ///   - model: The model.
  ///   - options: How it is asked for.
  ///   - acknowledge: Takes what the coordinator is told of a part's last receipt; must not wait.
  ///   - keep: Takes each verified last receipt; the part's end waits for it, on an event loop that
  ///     it must not block.
  package init(
    network: NetworkView, request: CanonicalRequest, model: ModelID, options: Options,
    acknowledge: @escaping @Sendable (ReceiptAcknowledgement) -> Void = { _ in },
    keep: @escaping @Sendable (KeptReceipt) async -> Void
  ) {
    self.network = network
    self.request = request
    self.model = model
    self.options = options
    self.keep = keep
    self.acknowledge = acknowledge
  }

  /// Runs one part to its end.
  package func run(
    part: Int, resume: [ChoiceProgress], avoiding: Set<NodeID>, events: any PartEvents
  ) async {
    do {
      let drawn = try await network.draw(
        options.candidates, model: model, preferring: options.preferred, avoiding: avoiding)
      guard let drawn else {
        return await events.ended(
          part,
          PartFailure(
            isRetriable: true, code: "no_machine", isWithoutCandidates: true,
            isReturning: await network.isReturning(model)))
      }
      let isOwn = drawn.place == .device
      let number = isOwn ? 0 : numbering.withLock { $0.next }
      let sealed = try seal(number, resume, to: drawn)
      let reply = try await drawn.transport.post(sealed.envelope)
      if !isOwn { numbering.withLock { $0.taken(number) } }
      if let placement = reply.placement { await events.placed(part, placement) }
      let reader = SealedPartReader(
        part: part, answer: request.answer.id, sealed: sealed, keepsContent: options.keepsContent,
        events: events, tap: drawn.transport.tap, keep: keep,
        // Nobody but this device is to know of an answer that it gave itself.
        acknowledge: isOwn ? nil : acknowledge)
      var failure = try await reader.read(reply.body)
      if isOwn, let reason = failure {
        let isRefusal = reason.isWithoutCandidates && Reason(name: reason.code)?.isOwners == true
        await network.local?.failed(isRefusal: isRefusal)
        // Whatever else is wrong with it, it is there: its worker is started again.
        if !isRefusal { failure?.isReturning = true }
      }
      await events.ended(part, failure)
    } catch is CancellationError {
      return
    } catch let refusal as CoordinatorClient.Refusal {
      if refusal.reason == .staleKey { await network.invalidate() }
      var failure = numbering.withLock { $0.refused(refusal.reason) }
      if await network.isReturning(model) { failure.isReturning = true }
      await events.ended(part, failure)
    } catch {
      await network.local?.failed(isRefusal: false)
      await network.noteUnreachable()
      await events.ended(part, numbering.withLock { $0.lost() })
    }
  }

  private func seal(
    _ part: Int, _ resume: [ChoiceProgress], to drawn: DrawnMachines
  ) throws -> SealedRequest {
    var request = request
    if part > 0 || resume.contains(where: { !$0.tokens.isEmpty || $0.isDone }) {
      request.resume = CanonicalRequest.Resume(
        part: part,
        choices: resume.map {
          .init(tokens: $0.tokens.map { UInt32(bitPattern: $0) }, isDone: $0.isDone)
        })
    }
    let options = SealOptions(
      tokenClass: options.tokenClass,
      deadlineMilliseconds: Int(options.firstToken / .milliseconds(1)),
      // Nobody is between this device and its own worker.
      padding: drawn.place == .device ? .off : options.padding, constraints: drawn.constraints)
    if let ready = drawn.ready?.take() {
      return try RequestSealer.seal(request, options: options, contexts: ready)
    }
    return try RequestSealer.seal(
      request, options: options, contexts: try ReadyContexts(drawn.targets))
  }
}

extension Reason {
  /// Whether whoever refused or failed is there and may take a part soon: full, starting its engine
  /// or loading the model again, or not yet sure that the part before it is over.
  ///
  /// Machines that are not there, or whose owner is back, are nobody to wait for.
  var isWorthWaiting: Bool {
    switch self {
    case .busy, .queueFull, .modelUnavailable, .engineFailed, .replay, .answerUnknown,
      .partNotAllowed, .superseded:
      true
    default: false
    }
  }

  /// Whether the machine's owner, or what the owner set, wants that it serves nobody now.
  var isOwners: Bool {
    switch self {
    case .ownerActive, .draining, .onBattery, .tooHot, .outsideHours, .meteredNetwork, .lowMemory,
      .lowDisk, .paused, .ownerCap:
      true
    default: false
    }
  }
}
