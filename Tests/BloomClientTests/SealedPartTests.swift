import BloomAPI
import BloomBase
import BloomClient
import BloomCrypto
import BloomHTTP
import BloomNet
import BloomRecords
import BloomSeal
import BloomWire
import Testing

/// What comes back for sealed parts, over a coordinator that delivers what the test wants.
@Suite(.timeLimit(.minutes(1))) struct SealedPartTests {
  let machines: [TestMachine]

  init() throws {
    machines = try (1...2).map { try TestMachine(seed: $0, model: FakeCoordinator.model) }
  }

  struct Outcome: Sendable {
    var tokens: [UInt32] = []
    var failure: AnswerFailure?
    var usage: BloomWire.Usage?
    var facts: AnswerFacts?
    var kept: [SealedPartRunner.KeptReceipt] = []
  }

  private func ask(
    timeouts: AnswerTimeouts = AnswerTimeouts(recovery: .milliseconds(300)),
    keepsContent: Bool = false,
    _ sealed: @escaping @Sendable ([UInt8], Int) throws -> Response
  ) async throws -> Outcome {
    let coordinator = try FakeCoordinator(machines: machines, sealed: sealed)
    let kept = Locked<[SealedPartRunner.KeptReceipt]>([])
    let configuration = PrivateInference.Configuration(
      candidates: 1, timeouts: timeouts, keepsContent: keepsContent)
    return try await coordinator.serve(
      configuration: configuration, keep: { receipt in kept.withLock { $0.append(receipt) } }
    ) { _, service in
      let body = #"{"model":"test","max_tokens":50,"messages":[{"role":"user","content":"hi"}]}"#
      let running = try await service.begin(try ChatRequest.parse(Array(body.utf8)))
      var outcome = Outcome()
      while let step = await running.next() {
        switch step {
        case .tokens(let frame): outcome.tokens += frame.tokens
        case .finished(let usage): outcome.usage = usage
        case .failed(let failure, _): outcome.failure = failure
        case .embedding, .json: break
        }
      }
      outcome.facts = await running.settledFacts()
      outcome.kept = kept.withLock { $0 }
      return outcome
    }
  }

  /// The machine that an envelope is for.
  private func machine(_ envelope: [UInt8]) throws -> TestMachine {
    let prefix = try #require(try EnvelopePrefix.read(envelope))
    return try #require(machines.first { $0.node == prefix.candidates[0].node })
  }

  private static func response(_ records: [(attempt: UInt8, OuterRecord)]) -> Response {
    var bytes: [UInt8] = []
    for (attempt, record) in records { record.append(attempt: attempt, to: &bytes) }
    return .bytes(bytes, type: "application/darkbloom-res")
  }

  @Test func `a whole answer has its receipt and the cost booked for it`() async throws {
    let outcome = try await ask { envelope, _ in
      let machine = try machine(envelope)
      let (sealed, receipt) = try machine.answer(envelope, tokens: [1, 2, 3])
      return Self.response([
        (1, .accepted(node: machine.node)), (1, .sealed(sealed)),
        (1, .settled(receipt: try #require(receipt), cost: Micros(42))),
      ])
    }
    #expect(outcome.tokens == [1, 2, 3])
    #expect(outcome.failure == nil)
    #expect(outcome.facts?.cost == Micros(42))
    #expect(outcome.facts?.parts == 1)
    #expect(outcome.facts?.receipt?.hasSuffix("-0") == true)
    #expect(outcome.kept.map(\.part) == [0])
  }

  @Test func `a cost that names another receipt is not believed`() async throws {
    let outcome = try await ask { envelope, _ in
      let machine = try machine(envelope)
      let (sealed, _) = try machine.answer(envelope, tokens: [1])
      return Self.response([
        (1, .sealed(sealed)), (1, .settled(receipt: .zero, cost: Micros(42))),
      ])
    }
    #expect(outcome.tokens == [1])
    #expect(outcome.facts?.cost == nil)
  }

  @Test func `an answer that breaks off goes on from what was delivered`() async throws {
    let seen = Locked<[Int]>([])
    let outcome = try await ask { envelope, number in
      let machine = try machine(envelope)
      let prefix = try #require(try EnvelopePrefix.read(envelope))
      seen.withLock { $0.append(prefix.head.routing.part) }
      if number == 0 {
        let (sealed, _) = try machine.answer(envelope, tokens: [1, 2], isEnded: false)
        return Self.response([
          (1, .accepted(node: machine.node)), (1, .sealed(sealed)),
          (1, .attemptFailed(reason: .nodeLost, isRetriable: true, retryAfterMilliseconds: 0)),
        ])
      }
      let (sealed, _) = try machine.answer(envelope, tokens: [3, 4])
      return Self.response([(1, .accepted(node: machine.node)), (1, .sealed(sealed))])
    }
    #expect(outcome.tokens == [1, 2, 3, 4])
    #expect(outcome.failure == nil)
    #expect(outcome.usage?.completionTokens == 4)
    #expect(seen.withLock { $0 } == [0, 1])
  }

  @Test func `a coordinator that forgot the answer gets it anew, from what was delivered`()
    async throws
  {
    let parts = Locked<[Int]>([])
    let outcome = try await ask { envelope, number in
      let machine = try machine(envelope)
      let prefix = try #require(try EnvelopePrefix.read(envelope))
      parts.withLock { $0.append(prefix.head.routing.part) }
      switch number {
      case 0:
        let (sealed, _) = try machine.answer(envelope, tokens: [1, 2], isEnded: false)
        return Self.response([(1, .accepted(node: machine.node)), (1, .sealed(sealed))])
      case 1:
        return .json(#"{"error":{"reason":"answer_unknown"}}"#, status: .conflict)
      default:
        // The tokens of before must be inside: a request without them would begin again at 1.
        let resumed = try machine.resumedTokens(envelope)
        let (sealed, _) = try machine.answer(
          envelope, tokens: resumed == [1, 2] ? [3] : [1, 2, 3], mode: .continued)
        return Self.response([(1, .accepted(node: machine.node)), (1, .sealed(sealed))])
      }
    }
    #expect(outcome.tokens == [1, 2, 3])
    #expect(outcome.failure == nil)
    #expect(parts.withLock { $0 } == [0, 1, 0])
  }

  @Test func `content that is kept of a part ends where its last receipt speaks`() async throws {
    let outcome = try await ask(keepsContent: true) { envelope, number in
      let machine = try machine(envelope)
      let (sealed, _) =
        number == 0
        ? try machine.answer(envelope, tokens: [1, 2, 3], isEnded: false, receiptAfter: 2)
        : try machine.answer(envelope, tokens: [4])
      return Self.response([(1, .accepted(node: machine.node)), (1, .sealed(sealed))])
    }
    #expect(outcome.tokens == [1, 2, 3, 4])
    #expect(outcome.kept.map(\.part) == [0, 1])
    for kept in outcome.kept {
      let content = try #require(kept.content)
      let report = ReceiptReport(
        receipt: kept.file.receipt, record: kept.file.record, commitKey: kept.file.commitKey,
        request: content.request, frames: try ReceiptContent.frames(content.response))
      #expect(report.holds, "\(report.text)")
      #expect(report.text.contains("proven: this answer is the one that was signed"))
    }
  }

  @Test func `bytes that were changed are not shown and another part goes on before them`()
    async throws
  {
    let outcome = try await ask { envelope, number in
      let machine = try machine(envelope)
      var (sealed, _) = try machine.answer(envelope, tokens: number == 0 ? [1, 2, 3] : [2, 3])
      // Head 72, then padded chunks of 512 with tag and length: this is in the second.
      if number == 0 { sealed[72 + 530 + 100] ^= 1 }
      return Self.response([(1, .accepted(node: machine.node)), (1, .sealed(sealed))])
    }
    #expect(outcome.tokens == [1, 2, 3])
    #expect(outcome.facts?.parts == 2)
    #expect(outcome.kept.map(\.part) == [1])
  }

  @Test func `an answer whose last receipt was changed is shown, and no receipt is kept of it`()
    async throws
  {
    let outcome = try await ask { envelope, _ in
      let machine = try machine(envelope)
      var (sealed, _) = try machine.answer(envelope, tokens: [1, 2])
      sealed[sealed.count - 20] ^= 1
      return Self.response([(1, .accepted(node: machine.node)), (1, .sealed(sealed))])
    }
    #expect(outcome.tokens == [1, 2])
    #expect(outcome.kept.isEmpty)
    #expect(outcome.facts?.receipt == nil)
  }

  @Test func `another machine's answer after the first token is not taken for the same part`()
    async throws
  {
    let outcome = try await ask { envelope, number in
      let machine = try machine(envelope)
      guard number == 0 else {
        let (sealed, _) = try machine.answer(envelope, tokens: [2])
        return Self.response([(1, .accepted(node: machine.node)), (1, .sealed(sealed))])
      }
      let (first, _) = try machine.answer(envelope, tokens: [1], isEnded: false)
      let (again, _) = try machine.answer(envelope, tokens: [1, 2])
      return Self.response([
        (1, .accepted(node: machine.node)), (1, .sealed(first)), (2, .sealed(again)),
      ])
    }
    #expect(outcome.tokens == [1, 2], "a token may not be shown twice")
    #expect(outcome.facts?.parts == 2)
  }

  @Test func `an answer of a machine that was not asked is not shown`() async throws {
    let stranger = try TestMachine(seed: 50, model: FakeCoordinator.model)
    let outcome = try await ask { envelope, _ in
      let machine = try machine(envelope)
      var (sealed, _) = try machine.answer(envelope, tokens: [1])
      sealed.replaceSubrange(0..<32, with: stranger.node.digest.bytes)
      return Self.response([(1, .accepted(node: machine.node)), (1, .sealed(sealed))])
    }
    #expect(outcome.tokens.isEmpty)
    #expect(outcome.failure != nil)
    #expect(outcome.kept.isEmpty)
  }

  @Test func `answers that are cut off every time end in the word for it`() async throws {
    let outcome = try await ask { envelope, _ in
      let machine = try machine(envelope)
      let (sealed, _) = try machine.answer(envelope, tokens: [1], isEnded: false)
      return Self.response([(1, .accepted(node: machine.node)), (1, .sealed(sealed))])
    }
    #expect(outcome.failure == .refused(code: "truncated"))
    #expect(outcome.tokens.first == 1)
  }

  @Test func `refusals end in an error, the request's own at once`() async throws {
    let credit = try await ask { _, _ in
      .json(#"{"error":{"reason":"no_credit"}}"#, status: .paymentRequired)
    }
    #expect(credit.failure == .refused(code: "no_credit"))
    let busy = try await ask { _, _ in
      .json(#"{"error":{"reason":"busy"}}"#, status: .serviceUnavailable)
    }
    #expect(busy.failure == .noCandidates)
  }

  /// Begins an answer, loses its machine, and then says what `then` says to every other part.
  private func loses(
    _ reason: Reason = .ownerActive,
    _ then: @escaping @Sendable ([UInt8], Int) throws -> Response
  ) async throws -> Outcome {
    try await ask(
      timeouts: AnswerTimeouts(recovery: .milliseconds(300), returning: .seconds(600))
    ) { envelope, number in
      guard number == 0 else { return try then(envelope, number) }
      let machine = try machine(envelope)
      let (sealed, _) = try machine.answer(envelope, tokens: [1, 2], isEnded: false)
      return Self.response([
        (1, .accepted(node: machine.node)), (1, .sealed(sealed)),
        (1, .attemptFailed(reason: reason, isRetriable: true, retryAfterMilliseconds: 0)),
      ])
    }
  }

  @Test(arguments: ["stale_key", "not_proven"])
  func `when nothing fits any more the answer ends soon and keeps what was delivered`(
    reason: String
  ) async throws {
    let outcome = try await loses { _, _ in
      .json("{\"error\":{\"reason\":\"\(reason)\"}}", status: .serviceUnavailable)
    }
    #expect(outcome.failure == .noCandidates)
    #expect(outcome.tokens == [1, 2])
    let gone = try await loses { _, _ in
      Self.response([
        (1, .attemptFailed(reason: .ownerActive, isRetriable: true, retryAfterMilliseconds: 0))
      ])
    }
    #expect(gone.failure == .noCandidates)
  }

  @Test(arguments: [
    (Reason.ownerActive, "busy"), (.engineFailed, "not_proven"), (.nodeLost, "not_proven"),
  ])
  func `machines that are only full, and the one at work, are waited for`(
    loss: Reason, refusal: String
  ) async throws {
    let outcome = try await loses(loss) { envelope, number in
      // Longer than anybody is looked for when nobody is there.
      guard number > 6 else {
        return .json("{\"error\":{\"reason\":\"\(refusal)\"}}", status: .serviceUnavailable)
      }
      let machine = try machine(envelope)
      let (sealed, _) = try machine.answer(envelope, tokens: [3])
      return Self.response([(1, .accepted(node: machine.node)), (1, .sealed(sealed))])
    }
    #expect(outcome.failure == nil)
    #expect(outcome.tokens == [1, 2, 3])
  }
}
