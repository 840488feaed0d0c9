public import BloomBase
public import BloomEngine
internal import BloomPlatform
internal import CLlama

/// llama.cpp behind ``BloomEngine``: one model, one batch, one decoding thread.
public final class LlamaEngine: BloomEngine {
  /// Facts about the loaded model.
  public let model: EngineModel
  /// The engine's build (pins, flags, compiler, processor) and its decoding profile.
  public let identity: EngineIdentity
  /// Renewed from inside llama.cpp's calculations.
  public let beat: EngineBeat

  private let desk: Desk
  private let options: LlamaOptions
  private let threads: [ThreadExecutor]
  private let tasks: Locked<[Task<Void, Never>]>

  /// Loads a model.
  ///
  /// - Parameters:
  ///   - descriptor: An open GGUF file; may be closed afterwards. The worker has no file names.
  ///   - options: How it is run here.
  ///   - time: The clocks.
  ///   - progress: Called on the loading thread with 0…1; returns whether to go on.
  /// - Returns: The engine, ready for requests. End it with ``stop()``.
  /// - Throws: ``EngineError`` with `unsupported` when the engine was compiled for another
  ///   processor, `memory` before anything was loaded when it cannot fit, `model` for a damaged
  ///   file, `cancelled` when `progress` or the task said so.
  public static func load(
    descriptor: Int32, options: LlamaOptions = LlamaOptions(), time: any TimeSource = SystemTime(),
    progress: @escaping @Sendable (Float) -> Bool = { _ in true }
  ) async throws(EngineError) -> LlamaEngine {
    if let lacking = unsafe darkbloom_engine_lacks() {
      let name = unsafe String(cString: lacking)
      throw EngineError(
        .unsupported,
        "this processor has no \(name), which the engine was compiled for: build it on this one")
    }
    try options.check()
    let facts = try FileFacts(descriptor: descriptor)
    let estimate = MemoryEstimate(facts: facts, options: options)
    try estimate.check(limit: options.memoryLimitBytes ?? SystemMemory.availableBytes())
    let executor = ThreadExecutor(name: "engine-decode")
    let loader = Loader(executor: executor)
    do throws(EngineError) {
      return try await loader.load(
        descriptor: descriptor, facts: facts, estimate: estimate, options: options, time: time
      ) { progress($0) && !Task.isCancelled }
    } catch {
      executor.stop()
      throw error
    }
  }

  fileprivate init(
    model: EngineModel, desk: Desk, beat: EngineBeat, options: LlamaOptions,
    threads: [ThreadExecutor], loop: DecodeLoop, preparer: Preparer
  ) {
    self.model = model
    self.desk = desk
    self.beat = beat
    self.options = options
    self.threads = threads
    let build = unsafe String(cString: lcc_build_id())
    identity = EngineIdentity(
      text: "engine=llama.cpp build=\(build) profile=\(DecodingProfile.version)"
        + "/\(DecodingProfile.pieceTokens)")
    tasks = Locked([
      Task { await loop.run() },
      Task { await preparer.run(desk) },
    ])
  }

  deinit {
    for submission in desk.stop() {
      submission.outlet.emit(.failed(EngineError(.stopped, "the engine is stopping")))
    }
  }

  /// Checks a request and puts it into the queue.
  public func submit(_ request: EngineRequest) throws(EngineError) -> EngineStream {
    try request.check(against: model)
    let changed = desk.changed
    let outlet = EngineOutlet(capacity: options.streamCapacity) { changed.wake() }
    try desk.submit(Submission(request: request, outlet: outlet))
    return EngineStream(outlet)
  }

  /// Load and measured speed.
  public func capacity() -> EngineCapacity { desk.capacity }

  /// Forgets what was computed under a key epoch.
  public func forget(epoch: String) { desk.forget(epoch: epoch) }

  /// Ends every request and frees the model.
  public func stop() async {
    for submission in desk.stop() {
      submission.outlet.emit(.failed(EngineError(.stopped, "the engine is stopping")))
    }
    let running = tasks.withLock { tasks in
      let running = tasks
      tasks = []
      return running
    }
    guard !running.isEmpty else { return }
    for task in running { await task.value }
    for thread in threads { thread.stop() }
  }
}

/// Loads on the thread that will decode, so that the processor's caches and pages are its own.
private actor Loader {
  private let executor: ThreadExecutor

  nonisolated var unownedExecutor: UnownedSerialExecutor {
    unsafe executor.asUnownedSerialExecutor()
  }

  init(executor: ThreadExecutor) { self.executor = executor }

  func load(
    descriptor: Int32, facts: FileFacts, estimate: MemoryEstimate, options: LlamaOptions,
    time: any TimeSource, progress: @Sendable (Float) -> Bool
  ) throws(EngineError) -> LlamaEngine {
    let model = try LlamaModel(descriptor: descriptor, facts: facts, progress: progress)
    let context = min(options.contextTokens, facts.contextTokens)
    var abilities: EngineModel.Abilities = [.chat, .completion]
    if model.isEmbedder {
      abilities = [.embeddings]
    } else {
      let bits = try ChatTemplate(model: model, source: options.chatTemplate).abilities
      if bits & UInt32(LCC_CAP_TOOLS) != 0 { abilities.insert(.tools) }
      if bits & UInt32(LCC_CAP_THINKING) != 0 { abilities.insert(.reasoning) }
    }
    let description = EngineModel(
      name: options.name ?? model.metadata("general.name") ?? "model", abilities: abilities,
      contextTokens: context, vocabularyCount: model.vocabularyCount,
      embeddingWidth: model.isEmbedder ? facts.embeddingWidth : 0, memoryBytes: estimate.bytes,
      sampling: .recommended(model.metadata))
    let desk = Desk(
      slots: options.slots, queueLimit: options.queueLimit, threads: options.threads,
      memoryBytes: estimate.bytes)
    let beat = EngineBeat()
    let loop = try DecodeLoop(
      executor: executor, model: model, facts: description, options: options, desk: desk,
      beat: beat, time: time)
    let second = ThreadExecutor(name: "engine-prepare", stackBytes: 16 << 20)
    let preparer = Preparer(
      executor: second, model: model, facts: description, templateSource: options.chatTemplate)
    return LlamaEngine(
      model: description, desk: desk, beat: beat, options: options, threads: [executor, second],
      loop: loop, preparer: preparer)
  }
}

extension LlamaOptions {
  func check() throws(EngineError) {
    guard (1...64).contains(slots) else { throw EngineError(.badRequest, "slots must be 1…64") }
    guard (1...1024).contains(queueLimit) else {
      throw EngineError(.badRequest, "the queue limit must be 1…1024")
    }
    guard (16...(1 << 24)).contains(contextTokens) else {
      throw EngineError(.badRequest, "the context must be 16…16777216 tokens")
    }
    guard (1...Self.mostThreads).contains(threads), streamCapacity >= 1 else {
      throw EngineError(
        .badRequest,
        "threads must be 1…\(Self.mostThreads) and the stream capacity at least 1")
    }
  }
}
