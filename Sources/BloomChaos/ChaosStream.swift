internal import BloomAPI
package import BloomBase
package import BloomClient
internal import BloomEngine
package import BloomWire

/// What one answer delivered, and when.
package struct ChaosStream: Sendable {
  /// One choice, in the order of delivery.
  package struct Choice: Sendable, Equatable {
    /// Token ids.
    package var tokens: [UInt32] = []
    /// Visible text, reasoning and tool calls.
    package var text = ""
    /// Log-probabilities that came.
    package var logprobs = 0
    /// The finish reason came.
    package var isDone = false
  }

  /// The choices.
  package var choices: [Choice]
  /// Sealed requests it took.
  package var parts = 0
  /// The answer's id.
  package var answer = ""
  /// Why it did not reach its end; `nil` when it did.
  package var failure: String?
  /// What its user was told it used.
  package var reportedTokens = 0
  /// When each step came.
  package var steps: [Instant] = []
  /// Tokens between two changes of the machine that delivers.
  package var partLengths: [Int] = []
  private var node: NodeID?

  /// Tokens delivered over all choices.
  package var tokenCount: Int { choices.reduce(0) { $0 + $1.tokens.count } }

  /// The longest time without a new token once the first had come.
  package var longestGap: Duration {
    zip(steps, steps.dropFirst()).map { $1 - $0 }.max() ?? .zero
  }

  /// Asks and reads to the end.
  package static func run(
    _ service: PrivateInference, _ body: String, choices: Int = 1
  ) async -> ChaosStream {
    let time = SystemTime()
    var stream = ChaosStream(choices: Array(repeating: Choice(), count: choices))
    do {
      let running = try await service.begin(try ChatRequest.parse(Array(body.utf8)))
      stream.answer = running.header.id
      while let output = await running.next() {
        switch output {
        case .tokens(let frame):
          stream.add(frame, time.now())
          stream.note(await running.facts().node, frame.tokens.count)
        case .finished(let usage): stream.reportedTokens = usage.completionTokens
        case .failed(let failure, let sealed):
          stream.failure = "\(failure) \(sealed.map { "\($0.message)" } ?? "")"
        case .embedding, .json: break
        }
      }
      stream.parts = await running.settledFacts().parts
    } catch {
      stream.failure = "\(error)"
    }
    if stream.failure == nil, stream.choices.contains(where: { !$0.isDone }) {
      stream.failure = "no finish"
    }
    return stream
  }

  private mutating func note(_ node: NodeID?, _ count: Int) {
    if partLengths.isEmpty || node != self.node { partLengths.append(0) }
    self.node = node
    partLengths[partLengths.count - 1] += count
  }

  private mutating func add(_ frame: TokenFrame, _ now: Instant) {
    guard choices.indices.contains(frame.choice) else { return failure = "choice out of range" }
    if !frame.tokens.isEmpty { steps.append(now) }
    choices[frame.choice].tokens += frame.tokens
    choices[frame.choice].logprobs += frame.logprobs.count
    if let finish = frame.finish, finish != .handback, finish != .cancelled {
      choices[frame.choice].isDone = true
    }
    for delta in frame.deltas {
      switch delta {
      case .content(let text), .reasoning(let text): choices[frame.choice].text += text
      case .toolCall(let index, _, let name, let arguments):
        choices[frame.choice].text += "[\(index) \(name ?? "")]\(arguments)"
      }
    }
  }

  /// Tokens of the truth that did not come, and tokens that came beside it or twice.
  package func compare(_ truth: [Choice]) -> (lost: Int, duplicated: Int) {
    var (lost, duplicated) = (0, 0)
    for (mine, theirs) in zip(choices, truth) where mine.tokens != theirs.tokens {
      let common = zip(mine.tokens, theirs.tokens).prefix { $0 == $1 }.count
      lost += theirs.tokens.count - common
      duplicated += mine.tokens.count - common
    }
    return (lost, duplicated)
  }

  /// Whether text, tool calls and log-probabilities are those of the truth as well.
  package func isSame(_ truth: [Choice]) -> Bool { choices == truth }
}

/// What the scripted engine says to a request: known without asking any machine.
package enum ScriptedTruth: Sendable {
  /// The choices of an uninterrupted answer.
  ///
  /// - Parameters:
  ///   - body: As it is sealed.
  ///   - seed: The request's.
  ///   - choices: The request's `n`.
  ///   - maxTokens: The limit of each.
  /// - Returns: Tokens and text of each choice.
  /// - Throws: What the engine throws.
  package static func choices(
    _ body: JSONValue, seed: UInt64, choices: Int, maxTokens: Int
  ) async throws -> [ChaosStream.Choice] {
    var script = ScriptedEngine.Script.chaos
    script.timePerToken = .zero
    script.prefillTime = .zero
    let engine = ScriptedEngine(script: script)
    let sealed = try JSONValue(decoding: body.encoded)
    let stream = try engine.submit(
      EngineRequest(
        job: .chat(body: sealed.encoded), seed: seed, choices: choices, maxTokens: maxTokens))
    var found = Array(repeating: ChaosStream.Choice(), count: choices)
    while let event = await stream.next() {
      switch event {
      case .tokens(let frame):
        found[frame.choice].tokens += frame.tokens.map { UInt32(bitPattern: $0) }
        found[frame.choice].logprobs += frame.logprobs.count
        for case .content(let text) in frame.deltas { found[frame.choice].text += text }
      case .finished(let choice, _, _): found[choice].isDone = true
      case .failed(let error): throw error
      case .admitted, .embeddings, .done: break
      }
    }
    await engine.stop()
    return found
  }
}
