package import BloomBase
internal import BloomCrypto
package import BloomEngine
internal import BloomRecords
package import BloomWire

/// A serving worker: takes commands, runs requests on the engine, answers sealed.
///
/// Made after lock-down. Decisions are ``WorkerSession``'s and ``KeyCalendar``'s; this actor only
/// carries them out. It ends when the agent closes the channel, or when draining is done.
package actor Worker {
  /// What is fixed for the worker's life.
  package struct Facts: Sendable {
    /// The model's identity.
    package var model: ModelID
    /// Names of the protections in force.
    package var protections: [String]
    /// The digest of the filter of system calls.
    package var filter: Digest

    /// Sets every field.
    package init(model: ModelID, protections: [String], filter: Digest) {
      self.model = model
      self.protections = protections
      self.filter = filter
    }
  }

  /// How often the worker looks at its clocks.
  private static let tickMilliseconds = 100
  /// Ticks between two reports of capacity.
  private static let capacityTicks = 50

  private struct Run: Sendable {
    var gate: CreditGate
    var engineStream: EngineStream?
    var stopReason: Reason?
    var task: Task<Void, Never>
  }

  private let facts: Facts
  private let engine: any BloomEngine
  private let keyring: any WorkerKeyring
  private let time: any TimeSource
  private let reader: ChannelReader
  private let outbox: Outbox
  private var session = WorkerSession()
  private var calendar = KeyCalendar()
  private let policy: OwnerPolicy
  private var runs: [StreamID: Run] = [:]
  private var outcome: Result<Void, WorkerError>?
  private var ending: CheckedContinuation<Void, Never>?

  /// Joins the parts.
  ///
  /// - Parameters:
  ///   - descriptor: The agent's channel; stays the caller's.
  ///   - facts: What is fixed.
  ///   - policy: The owner's policy.
  ///   - engine: Loaded.
  ///   - keyring: Makes and uses keys.
  ///   - time: The clocks.
  /// - Throws: ``WorkerError`` when the system gives no pipe.
  package init(
    descriptor: Int32, facts: Facts, policy: OwnerPolicy, engine: any BloomEngine,
    keyring: any WorkerKeyring, time: any TimeSource
  ) throws(WorkerError) {
    self.facts = facts
    self.policy = policy
    self.engine = engine
    self.keyring = keyring
    self.time = time
    reader = ChannelReader(descriptor: descriptor)
    outbox = try Outbox(descriptor: descriptor) {
      let age = engine.beat.age(now: time.now())
      let load = engine.capacity()
      return WorkerEvent.beat(
        engineAgeMilliseconds: min(
          BloomWire.Limits.milliseconds, Int(max(0, age.wholeNanoseconds) / 1_000_000)),
        active: min(1 << 16, load.busySlots), queued: min(1 << 16, load.queued))
    }
  }

  /// Makes keys, says `ready` and serves until the end.
  ///
  /// - Throws: ``WorkerError``; a channel that the agent closed is no error.
  package func run() async throws(WorkerError) {
    let first = try makeKeys()
    let load = engine.capacity()
    outbox.send(
      .ready(
        WorkerReady(
          model: facts.model, keys: first, engineIdentity: engine.identity.text,
          facts: facts.protections, filter: facts.filter,
          contextTokens: engine.model.contextTokens, slots: load.slots,
          memoryBytes: load.memoryBytes)))
    let helpers = [
      Task { await write() }, Task { await readCommands() }, Task { await watchClocks() },
    ]
    await withCheckedContinuation { continuation in
      if outcome != nil { continuation.resume() } else { ending = continuation }
    }
    for run in runs.values {
      run.gate.close()
      run.engineStream?.cancel()
      run.task.cancel()
    }
    for run in runs.values { await run.task.value }
    outbox.finish()
    await helpers[0].value
    for helper in helpers { helper.cancel() }
    try outcome?.get()
  }

  private func write() async {
    do throws(WorkerError) { try await outbox.run() } catch { end(.failure(error)) }
  }

  private func readCommands() async {
    do throws(WorkerError) {
      while outcome == nil, let command = try await reader.next() {
        perform(session.received(command, now: time.now()))
      }
      end(.success(()))
    } catch {
      outbox.send(.failed(error.publicDescription))
      end(.failure(error))
    }
  }

  private func watchClocks() async {
    var ticks = 0
    while outcome == nil {
      // The only error is cancellation, which the loop's condition sees.
      try? await Task.sleep(for: .milliseconds(Self.tickMilliseconds))
      if Task.isCancelled { return }
      perform(session.tick(now: time.now()))
      perform(calendar.tick(now: time.now()))
      ticks += 1
      if ticks.isMultiple(of: Self.capacityTicks) { outbox.send(.capacity(capacity())) }
    }
  }

  private func end(_ result: Result<Void, WorkerError>) {
    guard outcome == nil else { return }
    outcome = result
    ending?.resume()
    ending = nil
  }

  private func perform(_ effects: [WorkerSession.Effect]) {
    for effect in effects {
      switch effect {
      case .send(let event): outbox.send(event)
      case .run(let stream, let envelope, let credit): start(stream, envelope, credit: credit)
      case .addCredit(let stream, let byteCount): runs[stream]?.gate.add(byteCount)
      case .stop(let stream, let reason):
        runs[stream]?.stopReason = reason
        runs[stream]?.gate.close()
        runs[stream]?.engineStream?.cancel()
      case .renewKeys: perform(calendar.renewalAsked())
      case .vouch(let kid, let evidence): calendar.vouched(kid, evidence: evidence)
      case .end: end(.success(()))
      }
    }
  }

  private func perform(_ effects: [KeyCalendar.Effect]) {
    for effect in effects {
      switch effect {
      case .makeKeys:
        do throws(WorkerError) {
          outbox.send(.keys(try makeKeys()))
        } catch {
          outbox.send(.failed(error.publicDescription))
          end(.failure(error))
        }
      case .wipe(let kids):
        keyring.wipe(kids)
        for kid in kids { engine.forget(epoch: kid.description) }
      }
    }
  }

  private func makeKeys() throws(WorkerError) -> [WorkerKey] {
    let keys = try keyring.makeEpoch(madeAt: time.unixTime())
    calendar.keysMade(keys.map(\.kid), now: time.now())
    return keys
  }

  private func capacity() -> ModelCapacity {
    let load = engine.capacity()
    return ModelCapacity(
      model: facts.model, slots: load.slots, active: load.busySlots, queued: load.queued,
      prefillMilliTokensPerSecond: Int(load.prefillTokensPerSecond * 1_000),
      decodeMilliTokensPerSecond: Int(load.decodeTokensPerSecond * 1_000))
  }
}

extension Worker {
  private func start(_ stream: StreamID, _ envelope: [UInt8], credit: Int) {
    let gate = CreditGate(credit: credit)
    guard let kid = keyring.kid(of: envelope) else { return refuse(stream, .malformed) }
    guard let evidence = calendar.evidence(of: kid, now: time.now()) else {
      return refuse(stream, .staleKey)
    }
    let task = Task { await serve(stream, envelope, evidence: evidence, gate: gate) }
    runs[stream] = Run(gate: gate, task: task)
    outbox.setBusy(true)
  }

  private func refuse(_ stream: StreamID, _ reason: Reason) {
    let wait = reason == .busy ? WorkerSession.Limits.retryAfterMilliseconds : 0
    outbox.send(.refuse(stream, reason, retryAfterMilliseconds: wait))
    ended(stream)
  }

  private func ended(_ stream: StreamID) {
    runs[stream] = nil
    outbox.setBusy(!runs.isEmpty)
    perform(session.runEnded(stream))
  }

  private func serve(
    _ stream: StreamID, _ envelope: [UInt8], evidence: Digest, gate: CreditGate
  ) async {
    do throws(OpeningFailure) {
      let exchange = try await open(envelope, evidence: evidence)
      try await answer(stream, exchange, gate: gate)
      ended(stream)
    } catch {
      refuse(stream, error.reason)
    }
  }

  /// Opening hashes and decrypts up to 64 MiB: not on this actor.
  @concurrent
  private nonisolated func open(
    _ envelope: [UInt8], evidence: Digest
  ) async throws(OpeningFailure) -> any OpenedExchange {
    try keyring.open(envelope, evidence: evidence, now: time.unixTime())
  }

  /// Runs an opened request; throws only before it was accepted.
  private func answer(
    _ stream: StreamID, _ exchange: any OpenedExchange, gate: CreditGate
  ) async throws(OpeningFailure) {
    let submitted = try submit(exchange)
    if let reason = runs[stream]?.stopReason { throw OpeningFailure(reason) }
    var sampling = Digest.zero
    var engineStream: EngineStream?
    if case .success(let (request, answer)) = submitted {
      sampling = SHA256.digest(request.samplingBytes)
      engineStream = answer
      runs[stream]?.engineStream = answer
    }
    outbox.send(.accept(stream))
    let run = AnswerRun(
      stream, exchange, sampling: sampling, mode: exchange.receiptMode, gate: gate,
      outbox: outbox, time: time)
    let ticker = Task { await keepTime(run) }
    defer { ticker.cancel() }
    do throws(WorkerError) {
      var finish: FinishReason? = .failed
      switch submitted {
      case .success: if let engineStream { finish = try await run.pump(engineStream) }
      case .failure(let failure): try await run.fail(failure)
      }
      let stopReason = runs[stream]?.stopReason
      if let finish, stopReason == nil {
        let receipt = try await run.finish(finish, endsAnswer: true)
        outbox.send(.done(stream, receipt: receipt))
      } else {
        try await stopped(stream, run, stopReason ?? .engineFailed)
      }
    } catch {
      // Sealing failed: without a seal nothing may be said but that the request goes elsewhere.
      outbox.send(.handback(stream, .internalFault, receipt: []))
    }
  }

  /// A cancelled answer is done and paid; one that the machine gives up goes on elsewhere.
  private func stopped(
    _ stream: StreamID, _ run: AnswerRun, _ reason: Reason
  ) async throws(WorkerError) {
    switch reason {
    case .cancelled, .superseded, .deadline:
      let receipt = try await run.finish(.cancelled, endsAnswer: false)
      outbox.send(.done(stream, receipt: receipt))
    default:
      let receipt = try await run.finish(.handback, endsAnswer: false)
      outbox.send(.handback(stream, reason, receipt: receipt))
    }
  }

  /// Policy, translation and the engine's queue.
  ///
  /// A full queue is an outer refusal, so that the coordinator tries another machine; every other
  /// error is the user's alone, inside the seal.
  private func submit(
    _ exchange: any OpenedExchange
  ) throws(OpeningFailure) -> Result<(EngineRequest, EngineStream), SealedFailure> {
    do throws(SealedFailure) {
      let opened: CanonicalRequest
      switch exchange.content {
      case .success(let request): opened = request
      case .failure(let error): throw SealedFailure(error)
      }
      if let refusal = policy.refusal(of: opened, model: engine.model.name) { throw refusal }
      let deadline = time.now() + .milliseconds(exchange.routing.deadlineMilliseconds)
      let request = try RequestTranslation.engineRequest(
        opened, scope: exchange.kid, tokenClass: exchange.routing.tokenClass, deadline: deadline,
        defaults: engine.model.sampling)
      do throws(EngineError) {
        return .success((request, try engine.submit(request)))
      } catch {
        switch error.code {
        case .busy: throw SealedFailure.busy
        case .stopped: throw SealedFailure.stopped
        case .badRequest, .unsupported, .contextExceeded, .limit, .grammar, .template, .deadline,
          .cancelled, .memory, .model, .engine:
          throw SealedFailure(error)
        }
      }
    } catch {
      if error == .busy { throw OpeningFailure(.busy) }
      if error == .stopped { throw OpeningFailure(.draining) }
      return .failure(error)
    }
  }

  private nonisolated func keepTime(_ run: AnswerRun) async {
    while !Task.isCancelled {
      // The only error is cancellation, which the loop's condition sees.
      try? await Task.sleep(for: .milliseconds(Self.tickMilliseconds))
      if Task.isCancelled { return }
      // A seal that fails here fails in the pump too, which reports it.
      try? await run.tick()
    }
  }
}

extension SealedFailure {
  fileprivate static let busy = SealedFailure(.engine, "busy")
  fileprivate static let stopped = SealedFailure(.engine, "stopped")
}

extension OpenedExchange {
  /// What a receipt says about how this part began.
  fileprivate var receiptMode: ContinuationMode {
    guard case .success(let request) = content, request.resume != nil else { return .whole }
    return request.body["continuation"]?.string == "exact" ? .exact : .continued
  }
}

extension EngineRequest {
  /// The sampling in one canonical line; its digest goes into receipts.
  var samplingBytes: [UInt8] {
    let bias = sampling.logitBias.sorted { $0.key < $1.key }.map { "\($0.key):\($0.value)" }
    let fields = [
      "t=\(sampling.temperature)", "k=\(sampling.topK)", "p=\(sampling.topP)",
      "m=\(sampling.minP)", "f=\(sampling.frequencyPenalty)", "s=\(sampling.presencePenalty)",
      "r=\(sampling.repeatPenalty)", "b=\(bias.joined(separator: ","))", "seed=\(seed)",
      "n=\(choices)", "max=\(maxTokens)",
    ]
    return Array(fields.joined(separator: " ").utf8)
  }
}
