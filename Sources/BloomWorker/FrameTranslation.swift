internal import BloomEngine
internal import BloomWire

extension TokenFrame {
  /// The engine's frame in the form of the wire.
  init(_ frame: EngineFrame) {
    self.init(
      choice: frame.choice, tokens: frame.tokens.map { UInt32(bitPattern: $0) },
      deltas: frame.deltas.map(Delta.init), logprobs: frame.logprobs.map(TokenLogprob.init))
  }
}

extension FinishReason {
  init(_ finish: EngineFinish) {
    self =
      switch finish {
      case .stop: .stop
      case .length: .length
      case .toolCalls: .toolCalls
      }
  }
}

extension Delta {
  init(_ delta: EngineDelta) {
    self =
      switch delta {
      case .content(let text): .content(text)
      case .reasoning(let text): .reasoning(text)
      case .toolCall(let index, let id, let name):
        .toolCall(index: index, id: id, name: name, arguments: "")
      case .toolArguments(let index, let text):
        .toolCall(index: index, id: nil, name: nil, arguments: text)
      }
  }
}

extension TokenLogprob {
  init(_ logprob: EngineLogprob) {
    self.init(sampled: Candidate(logprob.chosen), top: logprob.top.map(Candidate.init))
  }
}

extension TokenLogprob.Candidate {
  init(_ entry: EngineLogprob.Entry) {
    // Minus infinity, the probability of a forbidden token, has no place on the wire.
    self.init(
      token: UInt32(bitPattern: entry.token), bytes: entry.bytes,
      logprob: entry.logprob.isFinite ? entry.logprob : -.greatestFiniteMagnitude)
  }
}
