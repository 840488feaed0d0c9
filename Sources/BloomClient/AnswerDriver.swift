package import BloomBase
package import BloomNet
package import BloomWire

/// What the user of an answer gets, in order; ends with `finished` or `failed`.
package enum AnswerOutput: Sendable {
  /// New tokens of one choice and what became visible.
  case tokens(TokenFrame)
  /// One vector of an embeddings request.
  case embedding(index: Int, vector: [Float])
  /// A whole result of a kind without tokens.
  case json([UInt8])
  /// Every choice is done.
  case finished(Usage)
  /// The answer cannot go on.
  case failed(AnswerFailure, SealedError?)
}

/// Drives one answer over its parts and hands its steps to one reader.
///
/// At most ``bufferLimit`` steps wait: a slow reader makes the parts wait, these stop reading
/// their connections, and credit stops the machine.
package actor AnswerDriver: PartEvents {
  private var machine: AnswerStateMachine
  private let runner: any PartRunner
  private let time: any TimeSource
  private nonisolated let loop: EventLoop
  private var tasks: [Int: Task<Void, Never>] = [:]
  private var timer: Task<Void, Never>?
  /// When the timer wakes.
  private var timerDue: Instant?
  private var output: [AnswerOutput] = []
  private var isOver = false
  private var reader: CheckedContinuation<AnswerOutput?, Never>?
  private var writers: [CheckedContinuation<Void, Never>] = []
  private var partUsage: [Int: Usage] = [:]
  private var deliveredTokens = 0
  private var sealedError: SealedError?
  /// The code of a part that was changed on its way.
  private var tampering: String?
  /// Whether a part ended in order and before its end, which an honest coordinator explains.
  private var wasCutOff = false
  /// Ends parts whose last receipt does not come.
  private var patience: Task<Void, Never>?
  private let isTokenless: Bool
  private let bufferLimit = 64
  /// How long after an answer's end its parts may go on.
  private static let receiptTime = Duration.seconds(30)
  /// The number of parts started so far.
  package private(set) var partCount = 0
  private var partNode: [Int: NodeID] = [:]
  private var isFinishing = false
  /// The machine that delivered last.
  package private(set) var servingNode: NodeID?
  /// The newest part with a verified receipt.
  package private(set) var receiptedPart: Int?
  /// What the scheduler thought of each machine that the newest part named.
  package private(set) var placement: String?
  /// What the coordinator booked for the answer; `nil` until it said so.
  package private(set) var cost: Micros?
  private var settling: [CheckedContinuation<Void, Never>] = []

  /// Its part tasks' own loop, so that a frame costs no thread hop.
  nonisolated package var unownedExecutor: UnownedSerialExecutor {
    unsafe loop.serial.asUnownedSerialExecutor()
  }

  /// Creates an answer that has not started.
  ///
  /// - Parameters:
  ///   - choices: The request's `n`.
  ///   - isTokenless: Whether the kind has results without tokens, such as embeddings.
  ///   - runner: Seals and sends the parts.
  ///   - timeouts: How long each wait is.
  ///   - time: The driver's clock.
  ///   - loop: Where the parts run and the timer lives.
  package init(
    choices: Int, isTokenless: Bool = false, runner: any PartRunner,
    timeouts: AnswerTimeouts = AnswerTimeouts(), time: any TimeSource, loop: EventLoop
  ) {
    machine = AnswerStateMachine(choices: choices, timeouts: timeouts, now: time.now())
    self.isTokenless = isTokenless
    self.runner = runner
    self.time = time
    self.loop = loop
  }

  /// Starts the first part; call once.
  package func start() {
    perform(machine.begin(now: time.now()))
  }

  /// The next step; `nil` after the last, or when the task is cancelled.
  package func next() async -> AnswerOutput? {
    if let step = take() { return step }
    if isOver { return nil }
    return await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        // Looked at again: nothing that came since may be left behind.
        if let step = take() { return continuation.resume(returning: step) }
        if isOver { return continuation.resume(returning: nil) }
        reader = continuation
      }
    } onCancel: {
      Task { await self.leave() }
    }
  }

  private func take() -> AnswerOutput? {
    guard !output.isEmpty else { return nil }
    let step = output.removeFirst()
    for writer in writers { writer.resume() }
    writers = []
    return step
  }

  /// The user has left: every part is cancelled, so that machines stop within one step.
  package func leave() {
    perform(machine.clientLeft())
    close()
  }

  // MARK: Parts

  /// The coordinator took the part up.
  package func placed(_ part: Int, _ placement: String) { self.placement = placement }

  /// A machine took the part.
  package func accepted(_ part: Int, by node: NodeID) {
    servingNode = servingNode ?? node
    perform(machine.partAccepted(part, by: node, now: time.now()))
    if partNode[part] == nil { partNode[part] = node }
  }

  /// A sign of life.
  package func alive(_ part: Int) { perform(machine.partAlive(part, now: time.now())) }

  /// The coordinator says that the machine is silent.
  package func suspected(_ part: Int) { perform(machine.partSuspected(part, now: time.now())) }

  /// A frame of a part.
  package func frame(_ part: Int, _ frame: Frame) async {
    switch frame {
    case .tokens(let tokens): deliver(tokens, from: part)
    case .usage(let counts):
      partUsage[part] = counts
      perform(machine.partAlive(part, now: time.now()))
      finish()
    case .error(let error): sealedError = error
    case .receipt: perform(machine.partAlive(part, now: time.now()))
    case .embedding(let index, let vector):
      perform(machine.partAlive(part, now: time.now()))
      push(.embedding(index: index, vector: vector))
    case .json(let json):
      perform(machine.partAlive(part, now: time.now()))
      push(.json(json))
    }
    while output.count >= bufferLimit, !isOver {
      await withCheckedContinuation { writers.append($0) }
    }
  }

  /// A part's last receipt was verified.
  package func receipted(_ part: Int, cost: Micros?) {
    receiptedPart = max(part, receiptedPart ?? part)
    self.cost = cost ?? self.cost
  }

  /// Waits until every part has ended, for what is only known then: receipt and cost.
  ///
  /// - Parameter limit: The longest wait.
  package func settle(within limit: Duration) async {
    guard !tasks.isEmpty else { return }
    let timer = Task(executorPreference: loop) { [loop] in
      // Cancelled when the parts were quicker.
      if (try? await loop.sleep(for: limit)) != nil { await self.settled() }
    }
    await withCheckedContinuation { settling.append($0) }
    timer.cancel()
  }

  /// Every part has ended.
  private func allEnded() {
    patience?.cancel()
    patience = nil
    settled()
  }

  private func settled() {
    for waiter in settling { waiter.resume() }
    settling = []
  }

  /// A part is over.
  package func ended(_ part: Int, _ failure: PartFailure?) {
    tasks[part] = nil
    if tasks.isEmpty { allEnded() }
    if isFinishing { return finish() }
    guard let failure else {
      if isTokenless, !isOver {
        push(.finished(partUsage[part] ?? Usage(promptTokens: 0, completionTokens: 0)))
        return close()
      }
      // A part that ended well without finishing every choice did not do its work.
      return perform(
        machine.partFailed(part, isRetriable: true, code: "incomplete", now: time.now()))
    }
    if let error = failure.sealed { sealedError = error }
    if PartFailure.tampered.contains(failure.code) { tampering = failure.code }
    if failure.code == PartFailure.truncated.code { wasCutOff = true }
    if failure.isWithoutCandidates {
      perform(
        machine.noCandidates(
          part, isReturning: failure.isReturning, isUnderWay: failure.isUnderWay, now: time.now()))
    } else {
      perform(
        machine.partFailed(
          part, isRetriable: failure.isRetriable, isReturning: failure.isReturning,
          code: failure.code, now: time.now()))
    }
  }

  private func deliver(_ frame: TokenFrame, from part: Int) {
    let endsChoice =
      frame.finish.map { $0 != .handback && $0 != .cancelled && $0 != .failed } ?? false
    let effects = machine.frameArrived(
      part, choice: frame.choice, tokens: frame.tokens.map { Int32(bitPattern: $0) },
      endsChoice: endsChoice, now: time.now())
    if effects.first == .deliver {
      deliveredTokens += frame.tokens.count
      servingNode = partNode[part] ?? servingNode
      push(.tokens(frame))
    }
    perform(effects)
  }

  // MARK: Effects

  private func perform(_ effects: [AnswerStateMachine.Effect]) {
    for effect in effects {
      switch effect {
      case .startPart(let part, let resume, let avoiding):
        partCount += 1
        tasks[part] = Task(executorPreference: loop) { [runner] in
          await runner.run(part: part, resume: resume, avoiding: avoiding, events: self)
        }
      case .cancelPart(let part):
        tasks.removeValue(forKey: part)?.cancel()
        if tasks.isEmpty { allEnded() }
      case .deliver: break
      case .finish:
        isFinishing = true
        // A machine that dies between its last token and its counts delays the end by this only.
        Task(executorPreference: loop) { [loop] in
          try? await loop.sleep(for: .seconds(1))  // never cancelled
          await self.finish()
        }
      case .fail(let failure):
        // That nobody was left says less than that somebody on the way changed what was sent.
        var code = sealedError == nil ? tampering : nil
        if code == nil, sealedError == nil, wasCutOff,
          failure == .noCandidates || failure == .tooManyParts
        {
          code = PartFailure.truncated.code
        }
        push(.failed(code.map { .refused(code: $0) } ?? failure, sealedError))
        close()
      }
    }
    schedule()
  }

  /// The counts of the last part come after its last token: the answer ends when they are there,
  /// when its part has ended, or a second later.
  private func finish() {
    guard isFinishing, !isOver else { return }
    let last = partUsage.max { $0.key < $1.key }?.value
    push(
      .finished(
        Usage(
          promptTokens: last?.promptTokens ?? 0,
          cachedTokens: partUsage.min { $0.key < $1.key }?.value.cachedTokens ?? 0,
          completionTokens: deliveredTokens,
          reasoningTokens: partUsage.values.reduce(0) { $0 + $1.reasoningTokens })))
    // Parts go on: their last receipt is still to be verified.
    close(cancelling: false)
    if tasks.isEmpty { return }
    patience = Task(executorPreference: loop) { [loop] in
      // Cancelled when the parts were quicker.
      if (try? await loop.sleep(for: Self.receiptTime)) != nil { await self.endParts() }
    }
  }

  private func endParts() {
    for task in tasks.values { task.cancel() }
    tasks = [:]
    allEnded()
  }

  private func schedule() {
    guard !isOver, let due = machine.nextDeadline else { return }
    // A timer that sleeps past the new deadline is woken; one that is early looks again by itself.
    if timer != nil, let timerDue, timerDue <= due { return }
    timer?.cancel()
    timerDue = due
    timer = Task(executorPreference: loop) { [loop] in
      while let wait = await self.wait() {
        do { try await loop.sleep(for: wait) } catch { return }
        await self.tick()
      }
    }
  }

  private func wait() -> Duration? {
    guard !isOver, let due = machine.nextDeadline else { return nil }
    timerDue = due
    return max(.milliseconds(10), due - time.now())
  }

  private func tick() { perform(machine.tick(now: time.now())) }

  private func push(_ step: AnswerOutput) {
    guard !isOver else { return }
    if let waiting = reader {
      reader = nil
      waiting.resume(returning: step)
    } else {
      output.append(step)
    }
  }

  private func close(cancelling: Bool = true) {
    isOver = true
    timer?.cancel()
    timer = nil
    if cancelling { endParts() }
    for writer in writers { writer.resume() }
    writers = []
    if let waiting = reader {
      reader = nil
      waiting.resume(returning: nil)
    }
  }
}
