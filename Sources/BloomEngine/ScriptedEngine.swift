public import BloomBase

/// An engine without a model, for tests: deterministic text, chosen speeds, chosen faults.
///
/// The token at a position is a function of (prompt, seed, choice, position), so an answer can be
/// resumed at any token on any instance. Its vocabulary holds words, punctuation and tokens that
/// are only a part of a character, so that cuts inside characters happen.
public final class ScriptedEngine: BloomEngine {
  /// How the engine behaves.
  public struct Script: Sendable {
    /// The tokens of each answer before it ends by itself.
    public var answerTokens = 24
    /// The time one token takes; zero answers as fast as the reader reads.
    public var timePerToken: Duration = .zero
    /// The time before the first token.
    public var prefillTime: Duration = .zero
    /// Requests that may run at once.
    public var slots = 4
    /// Requests that may wait.
    public var queueLimit = 64
    /// Events buffered for a slow reader.
    public var streamCapacity = 64
    /// Tokens a choice may hold in all.
    public var contextTokens = 4096
    /// Fails every request after this many new tokens of one choice.
    public var failsAfterTokens: Int?
    /// Stops answering, and beating, after this many new tokens of one choice.
    public var stallsAfterTokens: Int?
    /// What the pretended model takes beside text.
    public var media: EngineModel.Abilities = []
    /// Refuses every request with this error.
    public var refusal: EngineError?
    /// Creates the plain script: 24 tokens at full speed.
    public init() {}
  }

  /// Facts about the pretended model.
  public let model: EngineModel
  /// The same for every instance.
  public let identity = EngineIdentity(text: "engine=scripted/1")
  /// Renewed at every token.
  public let beat = EngineBeat()

  fileprivate struct State {
    var running: [Int: Task<Void, Never>] = [:]
    var wakers: [Int: Wakeup] = [:]
    var nextID = 0
    var active = 0
    var isStopped = false
  }

  private let script: Script
  private let time: any TimeSource
  private let state = Locked(State())

  /// Creates an engine; it needs no stopping when it is idle.
  public init(script: Script = Script(), time: any TimeSource = SystemTime()) {
    self.script = script
    self.time = time
    model = EngineModel(
      name: "scripted", abilities: script.media.union([.chat, .completion, .embeddings, .tools]),
      contextTokens: script.contextTokens, vocabularyCount: ScriptedVocabulary.pieces.count,
      embeddingWidth: 8, memoryBytes: 1 << 20)
  }

  /// Checks the request and starts its task.
  public func submit(_ request: EngineRequest) throws(EngineError) -> EngineStream {
    if let refusal = script.refusal { throw refusal }
    try request.check(against: model)
    let run = ScriptedRun(request: request, script: script)
    var counts = false
    if case .count = request.job { counts = true }
    guard counts || run.promptTokens + run.longestResume + 1 <= model.contextTokens else {
      throw EngineError(
        .contextExceeded,
        "the prompt has \(run.promptTokens) tokens; the context holds "
          + "\(model.contextTokens)")
    }
    let waker = Wakeup()
    let outlet = EngineOutlet(capacity: script.streamCapacity) { waker.wake() }
    let limit = script.slots + script.queueLimit
    let accepted = state.withLock { state -> Result<Void, EngineError> in
      if state.isStopped { return .failure(EngineError(.stopped, "the engine is stopping")) }
      guard state.running.count < limit else {
        return .failure(EngineError(.busy, "the queue is full; try again later"))
      }
      let id = state.nextID
      state.nextID += 1
      state.wakers[id] = waker
      state.running[id] = Task {
        await self.perform(run, to: outlet, waker: waker)
        self.finished(id)
      }
      return .success(())
    }
    try accepted.get()
    return EngineStream(outlet)
  }

  /// Load; speeds are the script's.
  public func capacity() -> EngineCapacity {
    let (running, active) = state.withLock { ($0.running.count, $0.active) }
    let nanoseconds = script.timePerToken.wholeNanoseconds
    return EngineCapacity(
      slots: script.slots, busySlots: active, queued: max(0, running - active),
      prefillTokensPerSecond: 10_000,
      decodeTokensPerSecond: nanoseconds == 0 ? 10_000 : 1e9 / Double(nanoseconds),
      memoryBytes: model.memoryBytes)
  }

  /// Keeps nothing, so there is nothing to forget.
  public func forget(epoch: String) {}

  /// Ends every request.
  public func stop() async {
    let (tasks, wakers) = state.withLock { state in
      state.isStopped = true
      return (Array(state.running.values), Array(state.wakers.values))
    }
    for task in tasks { task.cancel() }
    for waker in wakers { waker.wake() }
    for task in tasks { await task.value }
  }

  private func finished(_ id: Int) {
    state.withLock { state in
      state.running[id] = nil
      state.wakers[id] = nil
    }
  }

  private func perform(_ run: ScriptedRun, to outlet: EngineOutlet, waker: Wakeup) async {
    while !state.withLock({ $0.tryEnter(slots: script.slots) }) {
      if let error = interruption(of: run, outlet) { return outlet.emit(.failed(error)) }
      try? await Task.sleep(for: .milliseconds(1))  // cancellation is seen by the next check
    }
    beat.setBusy(true, now: time.now())
    await answer(run, to: outlet, waker: waker)
    let remaining = state.withLock { state in
      state.active -= 1
      return state.active
    }
    if remaining == 0 { beat.setBusy(false, now: time.now()) }
  }

  private func answer(_ run: ScriptedRun, to outlet: EngineOutlet, waker: Wakeup) async {
    if case .embeddings(let inputs) = run.request.job {
      outlet.emit(.admitted(run.admission))
      outlet.emit(.embeddings(inputs.map { run.vector(for: $0) }))
      outlet.emit(.done(EngineUsage(promptTokens: run.promptTokens)))
      return
    }
    if case .count = run.request.job {
      outlet.emit(.admitted(run.admission))
      outlet.emit(.done(EngineUsage(promptTokens: run.promptTokens)))
      return
    }
    if script.prefillTime > .zero { try? await Task.sleep(for: script.prefillTime) }
    outlet.emit(.admitted(run.admission))
    var run = run
    while let step = run.next() {
      while !outlet.hasRoom, !outlet.isCancelled, !Task.isCancelled { await waker.wait() }
      if let error = interruption(of: run, outlet, hasBegun: run.newTokens > 1) {
        return outlet.emit(.failed(error))
      }
      if script.timePerToken > .zero { try? await Task.sleep(for: script.timePerToken) }
      if let limit = script.failsAfterTokens, run.newTokens > limit {
        return outlet.emit(.failed(EngineError(.engine, "the script says fail")))
      }
      if let limit = script.stallsAfterTokens, run.newTokens > limit {
        while !outlet.isCancelled, !Task.isCancelled { await waker.wait() }
        return outlet.emit(.failed(EngineError(.cancelled, "the request was cancelled")))
      }
      beat.renew(time.now())
      for event in step { outlet.emit(event) }
      await Task.yield()
    }
    outlet.emit(.done(run.usage))
  }

  private func interruption(
    of run: ScriptedRun, _ outlet: EngineOutlet, hasBegun: Bool = false
  ) -> EngineError? {
    if outlet.isCancelled { return EngineError(.cancelled, "the request was cancelled") }
    if Task.isCancelled { return EngineError(.stopped, "the engine is stopping") }
    guard !hasBegun, let deadline = run.request.deadline, time.now() > deadline else { return nil }
    return EngineError(.deadline, "the request's deadline has passed")
  }
}

extension ScriptedEngine.State {
  fileprivate mutating func tryEnter(slots: Int) -> Bool {
    guard active < slots else { return false }
    active += 1
    return true
  }
}
