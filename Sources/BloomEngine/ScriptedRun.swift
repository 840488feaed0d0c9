internal import BloomBase

/// The tokens of the scripted engine.
enum ScriptedVocabulary {
  /// Words, punctuation, and the four bytes of an emoji apart.
  static let pieces: [[UInt8]] =
    [
      " the", " quiet", " machine", " answers", " in", " green", " light", ".", ",", " and",
      " über", " 東京", " café", " seven", " rivers", "\n", " STOP", "OP", " S", "T",
    ].map { Array($0.utf8) } + [[0xf0], [0x9f], [0x8c], [0xb1]]

  static let emojiStart = 20

  /// FNV-1a, 64 bits: the prompt's share in the draw.
  static func hash(_ bytes: some Sequence<UInt8>) -> UInt64 {
    bytes.reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x0000_0100_0000_01b3 }
  }
}

/// One request of the scripted engine, step by step; pure.
struct ScriptedRun: Sendable {
  private struct Choice: Sendable {
    var tokens: [Int32]
    var text: VisibleText
    var isDone: Bool
    var sampled = 0
  }

  let request: EngineRequest
  let promptTokens: Int
  private let answerTokens: Int
  private let contextTokens: Int
  private let promptHash: UInt64
  private var choices: [Choice] = []
  private var turn = 0
  private(set) var newTokens = 0
  private var completion = 0

  init(request: EngineRequest, script: ScriptedEngine.Script) {
    self.request = request
    answerTokens = script.answerTokens
    contextTokens = script.contextTokens
    let bytes = Self.bytes(of: request.job)
    promptHash = ScriptedVocabulary.hash(bytes)
    promptTokens = Self.count(of: request.job)
    for index in 0..<request.choices {
      let resumed = request.resume.isEmpty ? nil : request.resume[index]
      var text = VisibleText(stops: request.stops)
      for token in resumed?.tokens ?? [] {
        _ = text.feed(ScriptedVocabulary.pieces[Int(token)])
      }
      choices.append(
        Choice(tokens: resumed?.tokens ?? [], text: text, isDone: resumed?.isDone ?? false))
    }
  }

  var longestResume: Int { request.resume.map(\.tokens.count).max() ?? 0 }

  var admission: EngineAdmission {
    EngineAdmission(
      promptTokens: promptTokens, cachedTokens: 0,
      replayedTokens: request.resume.reduce(0) { $0 + $1.tokens.count })
  }

  var usage: EngineUsage {
    EngineUsage(
      promptTokens: promptTokens, replayedTokens: admission.replayedTokens,
      completionTokens: completion)
  }

  func vector(for prompt: EngineRequest.Prompt) -> [Float] {
    let seed = ScriptedVocabulary.hash(Self.bytes(of: prompt))
    return (0..<8).map { position in
      let bits = CounterRandom.bits(seed: seed, choice: 0, position: position)
      return Float(bits >> 40) / Float(1 << 23) - 1
    }
  }

  /// The events of the next token, choices taking turns; `nil` when all are done.
  mutating func next() -> [EngineEvent]? {
    guard
      let offset = (0..<choices.count).first(where: { !choices[($0 + turn) % choices.count].isDone }
      )
    else { return nil }
    let index = (offset + turn) % choices.count
    turn = index + 1
    let length = choices[index].tokens.count
    if length >= answerTokens { return finish(index, .stop) }
    if length >= request.maxTokens || promptTokens + length >= contextTokens {
      return finish(index, .length)
    }
    let token = draw(choice: index, after: choices[index].tokens)
    choices[index].tokens.append(token)
    choices[index].sampled += 1
    newTokens = max(newTokens, choices[index].sampled)
    completion += 1
    let piece = ScriptedVocabulary.pieces[Int(token)]
    let shown = choices[index].text.feed(piece)
    let frame = EngineFrame(
      choice: index, tokens: [token],
      deltas: shown.isEmpty ? [] : [.content(String(decoding: shown, as: UTF8.self))],
      logprobs: logprobs(token, piece))
    return choices[index].text.isStopped
      ? [.tokens(frame)] + finish(index, .stop) : [.tokens(frame)]
  }

  private func logprobs(_ token: Int32, _ piece: [UInt8]) -> [EngineLogprob] {
    guard let count = request.logprobs else { return [] }
    let entry = EngineLogprob.Entry(token: token, bytes: piece, logprob: -0.5)
    return [EngineLogprob(chosen: entry, top: Array(repeating: entry, count: count))]
  }

  /// Text that was held back and did not become a stop text comes with the last frame's finish.
  private mutating func finish(_ index: Int, _ reason: EngineFinish) -> [EngineEvent] {
    choices[index].isDone = true
    let rest = choices[index].text.finish()
    var events: [EngineEvent] = []
    if !rest.isEmpty {
      let delta = EngineDelta.content(String(decoding: rest, as: UTF8.self))
      events.append(.tokens(EngineFrame(choice: index, tokens: [], deltas: [delta])))
    }
    let stop = reason == .stop ? choices[index].text.metStop : nil
    return events + [.finished(choice: index, reason, stop: stop)]
  }

  /// An emoji's bytes come in order once the first was drawn; else any whole piece.
  private func draw(choice: Int, after tokens: [Int32]) -> Int32 {
    let start = ScriptedVocabulary.emojiStart
    if let last = tokens.last, Int(last) >= start, Int(last) < start + 3 { return last + 1 }
    let bits = CounterRandom.bits(
      seed: request.seed ^ promptHash, choice: choice, position: tokens.count)
    return Int32(bits % UInt64(start + 1))
  }

  private static func bytes(of job: EngineRequest.Job) -> [UInt8] {
    switch job {
    case .chat(let body), .count(let body): body
    case .completion(let prompt): bytes(of: prompt)
    case .embeddings(let prompts): prompts.flatMap { bytes(of: $0) }
    }
  }

  private static func bytes(of prompt: EngineRequest.Prompt) -> [UInt8] {
    switch prompt {
    case .text(let text): Array(text.utf8)
    case .tokens(let tokens):
      tokens.flatMap { [UInt8(truncatingIfNeeded: $0), UInt8(truncatingIfNeeded: $0 >> 8)] }
    }
  }

  /// Four bytes of text count as one token.
  private static func count(of job: EngineRequest.Job) -> Int {
    func count(_ prompt: EngineRequest.Prompt) -> Int {
      switch prompt {
      case .text(let text): (text.utf8.count + 3) / 4
      case .tokens(let tokens): tokens.count
      }
    }
    return switch job {
    case .chat(let body), .count(let body): (body.count + 3) / 4
    case .completion(let prompt): count(prompt)
    case .embeddings(let prompts): prompts.reduce(0) { $0 + count($1) }
    }
  }
}
