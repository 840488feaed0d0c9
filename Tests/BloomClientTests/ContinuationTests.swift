import BloomAPI
import BloomBase
import BloomClient
import BloomHTTP
import BloomNet
import BloomRecords
import BloomWire
import Testing

/// An answer that loses its machine after any of its frames: two choices, a tool call in pieces,
/// log-probabilities, an object by a schema.
@Suite(.timeLimit(.minutes(1))) struct ContinuationTests {
  let machines: [TestMachine]

  init() throws {
    machines = try (1...2).map { try TestMachine(seed: $0, model: FakeCoordinator.model) }
  }

  private static func logprob(_ token: UInt32) -> TokenLogprob {
    let chosen = TokenLogprob.Candidate(token: token, bytes: [0x78], logprob: -0.5)
    return TokenLogprob(sampled: chosen, top: [chosen])
  }

  /// Choice 0 calls a tool, choice 1 writes an object; each token has its log-probability.
  static let frames: [TokenFrame] = {
    func call(_ token: UInt32, _ arguments: String, first: Bool = false) -> TokenFrame {
      TokenFrame(
        choice: 0, tokens: [token],
        deltas: [
          .toolCall(
            index: 0, id: first ? "call_1" : nil, name: first ? "place" : nil,
            arguments: arguments)
        ], logprobs: [logprob(token)])
    }
    func text(_ token: UInt32, _ text: String?) -> TokenFrame {
      TokenFrame(
        choice: 1, tokens: [token], deltas: text.map { [.content($0)] } ?? [],
        logprobs: [logprob(token)])
    }
    return [
      call(1, "", first: true), text(11, "{\"city\":"), call(2, "{\"city\":"),
      // A token that shows nothing: the first half of a character.
      text(12, nil), text(13, "\"Zürich\"}"), TokenFrame(choice: 1, tokens: [], finish: .stop),
      call(3, "\"Bern\"}"), TokenFrame(choice: 0, tokens: [], finish: .toolCalls),
    ]
  }()

  /// What had been delivered after so many frames.
  private static func progress(_ count: Int) -> [ChoiceProgress] {
    var progress = [ChoiceProgress(), ChoiceProgress()]
    for frame in frames.prefix(count) {
      progress[frame.choice].tokens += frame.tokens.map { Int32(bitPattern: $0) }
      if frame.finish != nil { progress[frame.choice].isDone = true }
    }
    return progress
  }

  private func deliver(cuts: [Int]) async throws -> (frames: [TokenFrame], usage: BloomWire.Usage?)
  {
    let coordinator = try FakeCoordinator(machines: machines) { envelope, number in
      let prefix = try #require(try EnvelopePrefix.read(envelope))
      let machine = try #require(
        machines.first { $0.node == prefix.candidates[0].node })
      try #require(number <= cuts.count, "a part that nobody cut")
      let start = number == 0 ? 0 : cuts[number - 1]
      let resumed =
        try machine.resume(envelope)?.choices.map {
          ChoiceProgress(tokens: $0.tokens.map { Int32(bitPattern: $0) }, isDone: $0.isDone)
        } ?? [ChoiceProgress(), ChoiceProgress()]
      #expect(resumed == Self.progress(start), "part \(number) goes on from what was delivered")
      let end = number < cuts.count ? cuts[number] : Self.frames.count
      let isLast = number == cuts.count
      let (sealed, _) = try machine.answer(
        envelope, frames: Array(Self.frames[start..<end]), isEnded: isLast)
      var bytes: [UInt8] = []
      OuterRecord.accepted(node: machine.node).append(attempt: 1, to: &bytes)
      if !sealed.isEmpty { OuterRecord.sealed(sealed).append(attempt: 1, to: &bytes) }
      if !isLast {
        OuterRecord.attemptFailed(reason: .nodeLost, isRetriable: true, retryAfterMilliseconds: 0)
          .append(attempt: 1, to: &bytes)
      }
      return .bytes(bytes, type: "application/darkbloom-res")
    }
    var configuration = PrivateInference.Configuration(candidates: 1)
    // No part is doubted because this machine is slow: each has its place in the list of cuts.
    configuration.timeouts = AnswerTimeouts(suspect: .seconds(30), dead: .seconds(60))
    return try await coordinator.serve(configuration: configuration) { _, service in
      let body = """
        {"model":"test","max_tokens":50,"n":2,"logprobs":true,"top_logprobs":1,\
        "messages":[{"role":"user","content":"hi"}],"tools":[{"type":"function","function":\
        {"name":"place","parameters":{"type":"object","properties":{"city":{"type":"string"}}}}}]}
        """
      let running = try await service.begin(try ChatRequest.parse(Array(body.utf8)))
      var frames: [TokenFrame] = []
      var usage: BloomWire.Usage?
      while let step = await running.next() {
        switch step {
        case .tokens(let frame): frames.append(frame)
        case .finished(let counts): usage = counts
        case .failed(let failure, _): Issue.record("cut at \(cuts): \(failure)")
        case .embedding, .json: break
        }
      }
      return (frames, usage)
    }
  }

  @Test func `a cut after any frame changes nothing that the user gets`() async throws {
    for cut in 0..<Self.frames.count {
      let got = try await deliver(cuts: [cut])
      #expect(got.frames == Self.frames, "cut at \(cut)")
      #expect(got.usage?.completionTokens == 6, "cut at \(cut)")
    }
  }

  @Test func `a machine lost after every frame changes nothing either`() async throws {
    let got = try await deliver(cuts: Array(1..<Self.frames.count))
    #expect(got.frames == Self.frames)
    #expect(got.usage?.completionTokens == 6)
  }
}
