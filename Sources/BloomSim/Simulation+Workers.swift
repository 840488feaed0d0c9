internal import BloomBase
internal import BloomLink
internal import BloomNode
internal import BloomRecords
internal import BloomWire

/// The worker processes, and the pipe between them and their agents.
extension Simulation {
  /// A command reaches the worker, as bytes.
  func tell(_ number: Int, _ command: WorkerCommand) {
    guard nodes[number].worker.isUp, let command = try? WorkerCommand(decoding: command.encoded)
    else { return }
    switch command {
    case .begin(let stream, let byteCount, let credit):
      nodes[number].worker.jobs[stream] = SimWorker.Job(byteCount: byteCount, credit: credit)
    case .chunk(let stream, let bytes):
      nodes[number].worker.jobs[stream]?.envelope += bytes
      begin(number, stream)
    case .credit(let stream, let byteCount):
      nodes[number].worker.jobs[stream]?.credit += byteCount
      if !nodes[number].worker.isStepping, nodes[number].worker.jobs[stream]?.isReading == false {
        armStep(number)
      }
    case .cancel(let stream, let reason): stop(number, stream, reason)
    case .load, .rotate, .vouched, .drain: break
    }
  }

  /// The prompt is read: decoding begins.
  func read(_ number: Int, _ incarnation: Int, _ stream: StreamID) {
    guard nodes[number].worker.incarnation == incarnation,
      nodes[number].worker.jobs[stream] != nil
    else { return }
    if nodes[number].isAsleep {
      return queue.add(
        .firstToken(node: number, incarnation: incarnation, stream), at: now + .seconds(1))
    }
    nodes[number].worker.jobs[stream]?.isReading = false
    if !nodes[number].worker.isStepping { armStep(number) }
  }

  /// Eight tokens of every stream that has credit.
  func step(_ number: Int, _ incarnation: Int) {
    guard nodes[number].worker.incarnation == incarnation else { return }
    nodes[number].worker.isStepping = false
    if nodes[number].isAsleep {
      nodes[number].worker.isStepping = true
      return queue.add(.step(node: number, incarnation: incarnation), at: now + .seconds(1))
    }
    nodes[number].machine.beat(model, now: now)
    var isWorking = false
    for stream in nodes[number].worker.decoding {
      guard var job = nodes[number].worker.jobs[stream], let request = job.request,
        job.credit >= 16 * 8
      else { continue }
      isWorking = true
      let total = request.answerTokens
      var bytes: [UInt8] = []
      for _ in 0..<8 where request.delivered + job.produced < total {
        let index = request.delivered + job.produced
        SimBytes.append(SimBytes.mark(index, isLast: index == total - 1), to: &bytes)
        SimBytes.append(SimBytes.token(request.seed, index), to: &bytes)
        job.produced += 1
        job.unreceipted += 1
      }
      job.credit -= bytes.count
      nodes[number].worker.jobs[stream] = job
      if !bytes.isEmpty { hear(number, .chunk(stream, bytes)) }
      if request.delivered + job.produced >= total {
        endJob(number, stream, .complete)
      } else if job.unreceipted >= 64 {
        nodes[number].worker.jobs[stream]?.unreceipted = 0
        if let receipt = makeReceipt(number, job, .running) {
          hear(number, .receipt(stream, receipt.bytes))
        }
      }
    }
    if isWorking, !nodes[number].worker.decoding.isEmpty { armStep(number) }
  }

  /// The process dies with all it knows; the agent starts another.
  func crashWorker(_ number: Int) {
    nodes[number].worker.jobs = [:]
    nodes[number].worker.incarnation += 1
    nodes[number].worker.isStepping = false
    nodes[number].worker.isUp = false
    nodes[number].machine.workerEnded(model)
    perform(number, nodes[number].jobs.workerEnded(model, .engineFailed))
    queue.add(.workerReady(number), at: now + milliseconds(300 + draw(2000)))
  }

  func workerReady(_ number: Int) {
    nodes[number].worker.isUp = true
    nodes[number].jobs.workerReady(model)
    sayCapacity(number)
  }

  /// What a worker says reaches the agent, as bytes.
  func hear(_ number: Int, _ event: WorkerEvent) {
    guard let event = try? WorkerEvent(decoding: event.encoded) else {
      return checker.fault(self, "a worker's event that cannot be read")
    }
    perform(number, nodes[number].jobs.received(event))
    if nodes[number].jobs.count == 0 { nodes[number].machine.workerEnded(model) }
  }

  func endJob(_ number: Int, _ stream: StreamID, _ end: SimBytes.Receipt.End) {
    guard let job = nodes[number].worker.jobs.removeValue(forKey: stream) else { return }
    let receipt = makeReceipt(number, job, end)?.bytes ?? []
    if nodes[number].vice == .isLate {
      let incarnation = nodes[number].worker.incarnation
      return queue.add(
        .lateDone(node: number, incarnation: incarnation, stream, receipt),
        at: now + milliseconds(1000 + draw(6000)))
    }
    hear(number, .done(stream, receipt: receipt))
  }

  private func makeReceipt(
    _ number: Int, _ job: SimWorker.Job, _ end: SimBytes.Receipt.End
  ) -> SimBytes.Receipt? {
    nodes[number].receipt(job, end, countsTwice: plan.sabotage == .countsTwice)
  }

  private func armStep(_ number: Int) {
    nodes[number].worker.isStepping = true
    queue.add(
      .step(node: number, incarnation: nodes[number].worker.incarnation),
      at: now + milliseconds(nodes[number].stepSeconds * 1000))
  }

  private func begin(_ number: Int, _ stream: StreamID) {
    guard let job = nodes[number].worker.jobs[stream], job.envelope.count >= job.byteCount else {
      return
    }
    guard let prefix = try? EnvelopePrefix.read(job.envelope),
      let request = SimBytes.Request(Array(job.envelope[prefix.byteCount...].prefix(48)))
    else {
      nodes[number].worker.jobs[stream] = nil
      return hear(number, .refuse(stream, .malformed, retryAfterMilliseconds: 0))
    }
    if nodes[number].worker.jobs.count > nodes[number].slots {
      nodes[number].worker.jobs[stream] = nil
      return hear(number, .refuse(stream, .busy, retryAfterMilliseconds: 1000))
    }
    nodes[number].worker.jobs[stream]?.request = request
    nodes[number].worker.jobs[stream]?.envelope = []
    nodes[number].machine.beat(model, now: now)
    hear(number, .accept(stream))
    let tokens = Double(request.promptTokens + request.delivered)
    let seconds = 0.05 + tokens / nodes[number].prefillRate
    queue.add(
      .firstToken(node: number, incarnation: nodes[number].worker.incarnation, stream),
      at: now + milliseconds(seconds * 1000))
  }

  private func stop(_ number: Int, _ stream: StreamID, _ reason: Reason) {
    if nodes[number].vice == .ignoresCancel, reason != .nodeLost, reason != .ownerActive { return }
    guard reason == .ownerActive else { return endJob(number, stream, .stopped) }
    guard let job = nodes[number].worker.jobs.removeValue(forKey: stream) else { return }
    let receipt = makeReceipt(number, job, .stopped)?.bytes ?? []
    hear(number, .handback(stream, reason, receipt: receipt))
  }
}
