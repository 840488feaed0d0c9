internal import BloomBase
internal import BloomEngine
internal import BloomPlatform

/// The running batch: one step decodes a token for every choice and computes one piece of a prompt.
///
/// Prompts are computed in calls of their own that end at fixed borders, and resumed tokens one by
/// one, so that an answer's bits do not depend on what else is in the batch (``DecodingProfile``).
actor DecodeLoop {
  struct Running {
    var choice: PreparedRequest.Choice
    let requestID: Int
    let slot: Int
    /// Tokens computed in pieces: the prompt, in fast continuation also the delivered tokens.
    let prefill: [Int32]
    let promptCount: Int
    var computed: Int
    /// Delivered tokens that are computed one by one.
    var replay: ArraySlice<Int32>
    /// The token sampled last, not computed yet.
    var next: Int32?
    /// Tokens of the choice, delivered by earlier parts or sampled here.
    var length: Int
    var sampled = 0
    var hasEnded = false
    var frame: EngineFrame

    var isPrefilling: Bool { !hasEnded && computed < prefill.count }
    var isDecoding: Bool { !hasEnded && computed >= prefill.count }
  }

  struct Request {
    let prepared: PreparedRequest
    var remaining: Int
    var admitted = false
    var usage: EngineUsage
    /// Of an embeddings request: those that are computed.
    var vectors: [[Float]] = []
    /// When it is given up; put off by each token or text.
    var deadline: Instant?
    var outlet: EngineOutlet { prepared.submission.outlet }
    var request: EngineRequest { prepared.submission.request }
  }

  private let executor: ThreadExecutor
  let context: LlamaContext
  let model: LlamaModel
  let facts: EngineModel
  let desk: Desk
  let beat: EngineBeat
  let time: any TimeSource
  let mostWideSeconds: Double
  var slots: SlotTable
  var governor: ThreadGovernor
  var requests: [Int: Request] = [:]
  var running: [Running] = []
  var queue = FairQueue<(requestID: Int, choice: PreparedRequest.Choice)>()
  /// Embeddings requests in the order of their turns.
  var embeddings: [Int] = []
  var nextID = 0
  var prefillTurn = 0
  var prefillRate = 0.0
  var decodeRate = 0.0
  private var clearingSince: Instant?

  /// How long remains of an ended epoch may wait for a pause of the work.
  private static let clearingPatience = Duration.seconds(60)

  nonisolated var unownedExecutor: UnownedSerialExecutor {
    unsafe executor.asUnownedSerialExecutor()
  }

  init(
    executor: ThreadExecutor, model: LlamaModel, facts: EngineModel, options: LlamaOptions,
    desk: Desk, beat: EngineBeat, time: any TimeSource
  ) throws(EngineError) {
    self.executor = executor
    self.model = model
    self.facts = facts
    self.desk = desk
    self.beat = beat
    self.time = time
    mostWideSeconds = options.mostWideSeconds
    slots = SlotTable(
      count: options.slots, piece: DecodingProfile.pieceTokens, keepsPrefixes: options.keepsPrefixes
    )
    governor = ThreadGovernor(most: options.threads)
    context = try LlamaContext(
      model: model, slots: options.slots, contextTokens: facts.contextTokens,
      threads: options.threads, beat: beat, time: time)
  }

  /// Works until the engine stops.
  func run() async {
    while true {
      takeIn()
      if desk.isStopped {
        takeIn()  // nothing is handed over any more
        for id in Array(requests.keys) {
          fail(id, EngineError(.stopped, "the engine is stopping"))
        }
        break
      }
      dropAbandoned()
      removeEnded()
      forgetEpochs()
      admit()
      var worked = decodeStep()
      worked = prefillStep() || worked
      worked = embeddingStep() || worked
      if !worked { await rest() }
    }
    beat.setBusy(false, now: time.now())
  }

  /// Waits for news; also for the next deadline of a request whose reader is slow.
  private func rest() async {
    beat.setBusy(false, now: time.now())
    let deadlines = requests.values.compactMap(\.deadline)
    guard let first = deadlines.min() else { return await desk.changed.wait() }
    let changed = desk.changed
    let pause = first - time.now() + .milliseconds(1)
    let alarm = Task {
      try? await Task.sleep(for: max(pause, .milliseconds(1)))  // a cancelled alarm may ring
      changed.wake()
    }
    await changed.wait()
    alarm.cancel()
  }

  private func takeIn() {
    for prepared in desk.takeReady() {
      let id = nextID
      nextID += 1
      let prompt = prepared.prompts.reduce(0) { $0 + $1.count }
      requests[id] = Request(
        prepared: prepared, remaining: prepared.choices.count,
        usage: EngineUsage(
          promptTokens: prompt,
          replayedTokens: prepared.choices.reduce(0) { $0 + $1.resumed.count }),
        deadline: prepared.submission.request.deadline)
      let request = prepared.submission.request
      if case .embeddings = request.job {
        embeddings.append(id)
      } else if prepared.choices.isEmpty {
        announce(id, cached: 0)
        finishIfDone(id)
      } else {
        for choice in prepared.choices {
          queue.append((id, choice), scope: "\(request.epoch):\(request.salt)")
        }
      }
    }
  }

  private func dropAbandoned() {
    let now = time.now()
    for (id, request) in requests {
      if request.outlet.isCancelled {
        fail(id, EngineError(.cancelled, "the request was cancelled"))
      } else if let deadline = request.deadline, now > deadline {
        fail(id, EngineError(.deadline, "the request's deadline has passed"))
      }
    }
  }

  /// Drops what ended epochs left, and overwrites it once nothing runs.
  private func forgetEpochs() {
    for epoch in desk.takeForgotten() {
      for slot in slots.forget(epoch: epoch) { context.forget(slot: slot, from: 0) }
    }
    guard slots.needsClearing else { return }
    if slots.busyCount == 0 {
      context.clear()
      slots.cleared()
      clearingSince = nil
    } else if clearingSince == nil {
      clearingSince = time.now()
    }
  }

  private func admit() {
    // Running answers end first: then what an ended epoch left is overwritten.
    if let since = clearingSince, time.now() - since >= Self.clearingPatience { return }
    while slots.busyCount < slots.slots.count, let (id, choice) = queue.popFirst() {
      guard let request = requests[id] else { continue }
      let isExact = request.request.continuation == .exact
      let prompt = request.prepared.prompts[0]
      let prefill = isExact ? prompt : prompt + choice.resumed
      guard
        let place = slots.place(prefill, scope: request.request.cacheScope, isExact: isExact)
      else { break }
      let reused = bring(place)
      running.append(
        Running(
          choice: choice, requestID: id, slot: place.slot, prefill: prefill,
          promptCount: prompt.count, computed: reused,
          replay: isExact ? choice.resumed[...] : [], length: choice.resumed.count,
          frame: EngineFrame(choice: choice.index, tokens: [], deltas: [])))
      announce(id, cached: min(reused, prompt.count))
    }
    let busy = running.count
    desk.update { $0.busySlots = busy }
  }

  /// Puts reused tokens into their slot; returns how many really are there.
  private func bring(_ place: SlotTable.Placement) -> Int {
    if let source = place.copiesFrom {
      context.forget(slot: place.slot, from: 0)
      if !context.copy(slot: source, to: place.slot) { context.forget(slot: place.slot, from: 0) }
    }
    context.forget(slot: place.slot, from: place.reused)
    if context.holds(slot: place.slot, count: place.reused) { return place.reused }
    context.forget(slot: place.slot, from: 0)
    slots.clear(place.slot)
    return 0
  }

  func announce(_ id: Int, cached: Int) {
    guard var request = requests[id], !request.admitted else { return }
    request.admitted = true
    request.usage.cachedTokens = cached
    requests[id] = request
    request.outlet.emit(
      .admitted(
        EngineAdmission(
          promptTokens: request.usage.promptTokens, cachedTokens: cached,
          replayedTokens: request.usage.replayedTokens)))
  }

  /// Ends a request with an error; what its slots hold stays reusable.
  func fail(_ id: Int, _ error: EngineError, forgets: Bool = false) {
    guard let request = requests.removeValue(forKey: id) else { return }
    for index in running.indices where running[index].requestID == id && !running[index].hasEnded {
      let slot = running[index].slot
      if forgets { context.forget(slot: slot, from: 0) }
      slots.release(slot, forgets: forgets)
      running[index].hasEnded = true
      running[index].next = nil
    }
    _ = queue.remove { $0.requestID == id }
    embeddings.removeAll { $0 == id }
    request.outlet.emit(.failed(error))
    desk.ended()
  }

  func finishIfDone(_ id: Int) {
    guard let request = requests[id], request.remaining == 0 else { return }
    requests[id] = nil
    request.outlet.emit(.done(request.usage))
    desk.ended()
  }

  /// A moving average of a rate, and its publication.
  func note(tokens: Int, took duration: Duration, isPrefill: Bool) {
    let nanoseconds = max(1, duration.wholeNanoseconds)
    let seconds = Double(nanoseconds) / 1e9
    let rate = Double(tokens) / seconds
    if isPrefill {
      prefillRate = prefillRate == 0 ? rate : 0.8 * prefillRate + 0.2 * rate
    } else {
      decodeRate = decodeRate == 0 ? rate : 0.95 * decodeRate + 0.05 * rate
      if governor.note(seconds: seconds, rows: tokens) { context.setThreads(governor.threads) }
    }
    let (prefill, decode, threads) = (prefillRate, decodeRate, governor.threads)
    desk.update { figures in
      figures.prefillTokensPerSecond = prefill
      figures.decodeTokensPerSecond = decode
      figures.threads = threads
      if isPrefill { figures.prefillNanoseconds += nanoseconds }
    }
  }
}
