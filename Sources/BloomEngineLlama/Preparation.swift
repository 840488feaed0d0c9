internal import BloomBase
internal import BloomEngine
internal import BloomPlatform
internal import CLlama

/// A request as it was submitted.
struct Submission: Sendable {
  var request: EngineRequest
  var outlet: EngineOutlet
}

/// A request whose prompt is rendered and tokenized, ready for the batch.
struct PreparedRequest: Sendable {
  /// One answer wanted, with what earlier parts delivered of it.
  struct Choice: Sendable {
    var index: Int
    var sampler: TokenSampler
    var text: AnswerText
    var resumed: [Int32]
  }

  var submission: Submission
  /// The tokens of the prompt, or of each text to embed.
  var prompts: [[Int32]]
  /// Choices that are not done yet.
  var choices: [Choice]
}

/// Renders, tokenizes and compiles grammars on a thread of its own.
///
/// This takes milliseconds, for hostile schemas much longer, and must not hold up the batch.
actor Preparer {
  private let executor: ThreadExecutor
  private let model: LlamaModel
  private let facts: EngineModel
  private let templateSource: String?
  private var template: ChatTemplate?

  nonisolated var unownedExecutor: UnownedSerialExecutor {
    unsafe executor.asUnownedSerialExecutor()
  }

  init(
    executor: ThreadExecutor, model: LlamaModel, facts: EngineModel, templateSource: String?
  ) {
    self.executor = executor
    self.model = model
    self.facts = facts
    self.templateSource = templateSource
  }

  /// Prepares submissions until the engine stops.
  func run(_ desk: Desk) async {
    while !desk.isStopped {
      guard let submission = desk.nextSubmission() else {
        await desk.submitted.wait()
        continue
      }
      do {
        if case .count(let body) = submission.request.job {
          try count(body, submission)
          desk.ended()
        } else {
          desk.hand(try prepare(submission))
        }
      } catch {
        submission.outlet.emit(.failed(error))
        desk.ended()
      }
    }
  }

  /// Counts a prompt's tokens as a chat would compute them; the batch is not troubled.
  private func count(_ body: [UInt8], _ submission: Submission) throws(EngineError) {
    let count = try prompt(of: body, submission.request).tokens.count
    submission.outlet.emit(
      .admitted(EngineAdmission(promptTokens: count, cachedTokens: 0, replayedTokens: 0)))
    submission.outlet.emit(.done(EngineUsage(promptTokens: count)))
  }

  private func prompt(
    of body: [UInt8], _ request: EngineRequest
  ) throws(EngineError) -> (format: ChatFormat, tokens: [Int32]) {
    let format = try chatTemplate().apply(body, now: request.now.seconds)
    return (format, try model.tokenize(format.prompt, addsSpecial: true, readsSpecial: true))
  }

  private func prepare(_ submission: Submission) throws(EngineError) -> PreparedRequest {
    let request = submission.request
    if submission.outlet.isCancelled {
      throw EngineError(.cancelled, "the request was cancelled")
    }
    switch request.job {
    case .embeddings(let inputs):
      var prompts: [[Int32]] = []
      for input in inputs { prompts.append(try tokens(input)) }
      try checkSize(prompts, added: 0)
      return PreparedRequest(submission: submission, prompts: prompts, choices: [])
    case .completion(let prompt):
      return try complete(submission, prompt: try tokens(prompt), format: nil)
    case .chat(let body), .count(let body):
      let (format, tokens) = try prompt(of: body, request)
      return try complete(submission, prompt: tokens, format: format)
    }
  }

  private func complete(
    _ submission: Submission, prompt: [Int32], format: ChatFormat?
  ) throws(EngineError) -> PreparedRequest {
    let request = submission.request
    let longest = request.resume.map(\.tokens.count).max() ?? 0
    try checkSize([prompt], added: longest + 1)
    var choices: [PreparedRequest.Choice] = []
    for index in 0..<request.choices {
      let resumed = request.resume.isEmpty ? nil : request.resume[index]
      if resumed?.isDone == true { continue }
      let sampler = try TokenSampler(
        model: model, request: request, choice: index, format: format)
      var text = try AnswerText(model: model, request: request, choice: index, format: format)
      for token in resumed?.tokens ?? [] {
        _ = try text.feed(token)
        try sampler.accept(token)
      }
      choices.append(
        PreparedRequest.Choice(
          index: index, sampler: sampler, text: text, resumed: resumed?.tokens ?? []))
    }
    return PreparedRequest(submission: submission, prompts: [prompt], choices: choices)
  }

  private func tokens(_ prompt: EngineRequest.Prompt) throws(EngineError) -> [Int32] {
    switch prompt {
    case .tokens(let tokens): tokens
    case .text(let text):
      try model.tokenize(Array(text.utf8), addsSpecial: true, readsSpecial: false)
    }
  }

  private func checkSize(_ prompts: [[Int32]], added: Int) throws(EngineError) {
    for prompt in prompts {
      guard !prompt.isEmpty else { throw EngineError(.badRequest, "the prompt is empty") }
      guard prompt.count + added <= facts.contextTokens else {
        throw EngineError(
          .contextExceeded,
          "the prompt has \(prompt.count) tokens and \(max(0, added - 1)) were "
            + "delivered; the context holds \(facts.contextTokens)")
      }
    }
  }

  private func chatTemplate() throws(EngineError) -> ChatTemplate {
    if let template { return template }
    let made = try ChatTemplate(model: model, source: templateSource)
    template = made
    return made
  }
}

/// Where submitters, the preparing thread and the decoding thread meet; safe from any thread.
final class Desk: Sendable {
  private struct State: Sendable {
    var submissions: [Submission] = []
    var ready: [PreparedRequest] = []
    var open = 0
    var isStopped = false
    var forgotten: [String] = []
    var figures: EngineCapacity
  }

  private let state: Locked<State>
  private let openLimit: Int
  /// Set when there is something to prepare.
  let submitted = Wakeup()
  /// Set when the batch has a reason to look again.
  let changed = Wakeup()

  init(slots: Int, queueLimit: Int, threads: Int, memoryBytes: Int) {
    openLimit = slots + queueLimit
    state = Locked(
      State(
        figures: EngineCapacity(
          slots: slots, busySlots: 0, queued: 0, memoryBytes: memoryBytes, threads: threads)))
  }

  var isStopped: Bool { state.withLock { $0.isStopped } }

  func submit(_ submission: Submission) throws(EngineError) {
    let limit = openLimit
    try state.withLock { (state) throws(EngineError) in
      if state.isStopped { throw EngineError(.stopped, "the engine is stopping") }
      guard state.open < limit else {
        throw EngineError(.busy, "the queue is full; try again later")
      }
      state.open += 1
      state.submissions.append(submission)
    }
    submitted.wake()
  }

  func nextSubmission() -> Submission? {
    state.withLock { $0.submissions.isEmpty ? nil : $0.submissions.removeFirst() }
  }

  /// Gives a request to the batch, or ends it when the engine is stopping.
  func hand(_ request: PreparedRequest) {
    let isTaken = state.withLock { state in
      if !state.isStopped { state.ready.append(request) }
      return !state.isStopped
    }
    guard isTaken else {
      let error = EngineError(.stopped, "the engine is stopping")
      return request.submission.outlet.emit(.failed(error))
    }
    changed.wake()
  }

  func takeReady() -> [PreparedRequest] {
    state.withLock { state in
      let ready = state.ready
      state.ready = []
      return ready
    }
  }

  /// Tells the batch that an epoch has ended.
  func forget(epoch: String) {
    state.withLock { if !$0.forgotten.contains(epoch) { $0.forgotten.append(epoch) } }
    changed.wake()
  }

  func takeForgotten() -> [String] {
    state.withLock { state in
      defer { state.forgotten = [] }
      return state.forgotten
    }
  }

  /// Notes that a request is over.
  func ended() { state.withLock { $0.open -= 1 } }

  func stop() -> [Submission] {
    let left = state.withLock { state in
      state.isStopped = true
      let left = state.submissions
      state.submissions = []
      return left
    }
    submitted.wake()
    changed.wake()
    return left
  }

  func update(_ body: (inout EngineCapacity) -> Void) { state.withLock { body(&$0.figures) } }

  var capacity: EngineCapacity {
    state.withLock { state in
      var figures = state.figures
      figures.queued = max(0, state.open - figures.busySlots)
      return figures
    }
  }
}
