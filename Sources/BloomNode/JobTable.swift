package import BloomBase
internal import BloomRecords
package import BloomWire

/// The requests between the link and the workers: pure, events in, effects out.
///
/// The two sides number streams for themselves. A worker's number is used once in an agent's life,
/// so what a worker still says about a request of an earlier link finds its way: its last receipt
/// goes out on stream 0.
package struct JobTable: Sendable {
  /// Bytes of a sealed answer that a worker may have under way.
  package static let credit = 262_144

  /// What the agent must do, in order.
  package enum Effect: Equatable, Sendable {
    /// Tell a worker.
    case command(ModelID, WorkerCommand)
    /// Tell the link that the request is taken.
    case accept(StreamID)
    /// Tell the link that the request is not taken.
    case refuse(StreamID, Reason, retryAfterMilliseconds: Int)
    /// Bytes of the answer.
    case answer(StreamID, [UInt8])
    /// A running receipt.
    case receipt(StreamID, [UInt8])
    /// The last receipt: store it, then say it. Stream 0 when its link is gone.
    case done(StreamID, receipt: [UInt8])
    /// The request goes back.
    case handBack(StreamID, Reason)
  }

  /// How many requests went which way since the start.
  package struct Counts: Sendable, Equatable {
    /// Taken by a worker.
    package var accepted = 0
    /// Brought to their end.
    package var done = 0
    /// Not taken.
    package var refused = 0
    /// Given back before their end.
    package var handedBack = 0

    /// Starts at zero.
    package init() {}
  }

  private struct Job: Sendable {
    var model: ModelID
    /// `nil` once the link is gone.
    var link: StreamID?
    /// Whether this machine's owner asks.
    var isOwn = false
    var isAccepted = false
    var isPaused = false
    /// Credit that is held back while the link is behind.
    var owed = 0
    var stopReason: Reason?
  }

  private var jobs: [StreamID: Job] = [:]
  private var workerOfLink: [StreamID: StreamID] = [:]
  private var lastStream: UInt64 = 0
  private var models: Set<ModelID> = []

  /// Why nothing new is taken; `nil` when it is.
  package var closed: Reason?
  /// Requests that may run at once over all models; `nil` for what the workers take.
  package var limit: Int?
  /// What happened so far.
  package private(set) var counts = Counts()

  /// Starts without workers.
  package init() {}

  /// Requests that run or wait in workers.
  package var count: Int { jobs.count }

  /// Whether a model has requests.
  package func isWorking(_ model: ModelID) -> Bool { jobs.values.contains { $0.model == model } }

  /// Requests of others than the machine's owner.
  package var strangerCount: Int { jobs.values.reduce(0) { $0 + ($1.isOwn ? 0 : 1) } }

  /// Whether a model has requests of others than the machine's owner.
  package func isWorkingForStrangers(_ model: ModelID) -> Bool {
    jobs.values.contains { $0.model == model && !$0.isOwn }
  }

  /// Requests of a model.
  package func count(of model: ModelID) -> Int {
    jobs.values.reduce(0) { $0 + ($1.model == model ? 1 : 0) }
  }

  /// A worker serves from now on.
  package mutating func workerReady(_ model: ModelID) { models.insert(model) }

  /// A worker is gone: its requests go back.
  ///
  /// The reason counts for those that were not being stopped for another one already.
  package mutating func workerEnded(_ model: ModelID, _ reason: Reason) -> [Effect] {
    models.remove(model)
    var effects: [Effect] = []
    for stream in streams where jobs[stream]?.model == model {
      guard let job = remove(stream), let link = job.link else { continue }
      effects.append(giveBack(link, job, job.stopReason ?? reason))
    }
    return effects
  }

  /// A complete sealed request came.
  ///
  /// - Parameters:
  ///   - link: Its number.
  ///   - head: The envelope's head.
  ///   - body: The envelope's body.
  ///   - isOwn: Whether this machine's owner asks: no level and no limit keeps that away.
  ///   - slots: How many requests the worker computes at once; an own one does not wait for others.
  /// - Returns: What to do.
  package mutating func requested(
    _ link: StreamID, head: [UInt8], body: [UInt8], isOwn: Bool = false, slots: Int = .max
  ) -> [Effect] {
    if let closed, !isOwn { return [refusal(link, closed)] }
    if let limit, !isOwn, jobs.count >= limit { return [refusal(link, .busy)] }
    // One code for whatever cannot be read: it tells a prober nothing.
    guard let prefix = try? EnvelopePrefix.read(head), prefix.byteCount == head.count else {
      return [refusal(link, .malformed)]
    }
    let model = prefix.head.routing.model
    guard models.contains(model) else { return [refusal(link, .modelUnavailable)] }
    var effects = isOwn ? makeRoom(model, slots) : []
    lastStream += 1
    let stream = StreamID(lastStream)
    jobs[stream] = Job(model: model, link: link, isOwn: isOwn)
    workerOfLink[link] = stream
    let envelope = head + body
    effects.append(
      .command(model, .begin(stream, byteCount: envelope.count, credit: Self.credit)))
    for start in stride(from: 0, to: envelope.count, by: Limits.chunk) {
      let piece = Array(envelope[start..<min(start + Limits.chunk, envelope.count)])
      effects.append(.command(model, .chunk(stream, piece)))
    }
    return effects
  }

  /// The link wants a request stopped; after `nodeLost` it hears no more of it.
  package mutating func stop(_ link: StreamID, _ reason: Reason) -> [Effect] {
    guard let stream = workerOfLink[link], let model = jobs[stream]?.model else { return [] }
    if reason == .nodeLost {
      workerOfLink[link] = nil
      jobs[stream]?.link = nil
    }
    jobs[stream]?.stopReason = reason
    return [.command(model, .cancel(stream, reason))]
  }

  /// The link is behind with an answer: the worker gets no more credit.
  package mutating func pause(_ link: StreamID) {
    if let stream = workerOfLink[link] { jobs[stream]?.isPaused = true }
  }

  /// The link goes on.
  package mutating func resume(_ link: StreamID) -> [Effect] {
    guard let stream = workerOfLink[link], let job = jobs[stream], job.isPaused else { return [] }
    jobs[stream]?.isPaused = false
    jobs[stream]?.owed = 0
    return job.owed > 0 ? [.command(job.model, .credit(stream, byteCount: job.owed))] : []
  }

  /// Strangers' requests that an own one would wait for go back, the youngest ones.
  private mutating func makeRoom(_ model: ModelID, _ slots: Int) -> [Effect] {
    let running = streams.filter { jobs[$0]?.model == model && jobs[$0]?.stopReason == nil }
    let strangers = running.filter { jobs[$0]?.isOwn == false }
    return strangers.suffix(max(0, running.count + 1 - slots)).map { stream in
      jobs[stream]?.stopReason = .ownerActive
      return .command(model, .cancel(stream, .ownerActive))
    }
  }

  /// Everything that runs goes back: the owner wants the machine.
  ///
  /// - Parameters:
  ///   - reason: Why.
  ///   - keepsOwn: Whether what the owner asked for goes on.
  /// - Returns: What to do.
  package mutating func handBackAll(_ reason: Reason, keepsOwn: Bool = false) -> [Effect] {
    streams.compactMap { stream in
      guard let job = jobs[stream], job.stopReason == nil, !(keepsOwn && job.isOwn) else {
        return nil
      }
      jobs[stream]?.stopReason = reason
      return .command(job.model, .cancel(stream, reason))
    }
  }

  /// A worker said something; what is not about a request is passed over.
  package mutating func received(_ event: WorkerEvent) -> [Effect] {
    switch event {
    case .accept(let stream): return accepted(stream)
    case .refuse(let stream, let reason, let retryAfter):
      guard let job = remove(stream), let link = job.link else { return [] }
      if job.isAccepted { return [giveBack(link, job, reason)] }
      counts.refused += 1
      return [.refuse(link, reason, retryAfterMilliseconds: retryAfter)]
    case .chunk(let stream, let bytes): return answered(stream, bytes)
    case .receipt(let stream, let receipt):
      return jobs[stream]?.link.map { [.receipt($0, receipt)] } ?? []
    case .done(let stream, let receipt):
      guard let job = remove(stream) else { return [] }
      guard !receipt.isEmpty else {
        return job.link.map { [giveBack($0, job, .engineFailed)] } ?? []
      }
      counts.done += 1
      return [.done(job.link ?? StreamID(0), receipt: receipt)]
    case .handback(let stream, let reason, let receipt):
      guard let job = remove(stream) else { return [] }
      guard let link = job.link else {
        return receipt.isEmpty ? [] : [.done(StreamID(0), receipt: receipt)]
      }
      let last = receipt.isEmpty ? [] : [Effect.receipt(link, receipt)]
      return last + [giveBack(link, job, reason)]
    case .progress, .ready, .keys, .beat, .capacity, .failed: return []
    }
  }

  private var streams: [StreamID] { jobs.keys.sorted { $0.rawValue < $1.rawValue } }

  private mutating func accepted(_ stream: StreamID) -> [Effect] {
    guard let job = jobs[stream], !job.isAccepted else { return [] }
    jobs[stream]?.isAccepted = true
    counts.accepted += 1
    return job.link.map { [.accept($0)] } ?? []
  }

  private mutating func answered(_ stream: StreamID, _ bytes: [UInt8]) -> [Effect] {
    guard let job = jobs[stream] else { return [] }
    let credit = Effect.command(job.model, .credit(stream, byteCount: bytes.count))
    guard let link = job.link else { return [credit] }
    if job.isPaused {
      jobs[stream]?.owed += bytes.count
      return [.answer(link, bytes)]
    }
    return [.answer(link, bytes), credit]
  }

  private mutating func remove(_ stream: StreamID) -> Job? {
    guard let job = jobs.removeValue(forKey: stream) else { return nil }
    if let link = job.link { workerOfLink[link] = nil }
    return job
  }

  private mutating func giveBack(_ link: StreamID, _ job: Job, _ reason: Reason) -> Effect {
    guard job.isAccepted else { return refusal(link, reason) }
    counts.handedBack += 1
    return .handBack(link, reason)
  }

  private mutating func refusal(_ link: StreamID, _ reason: Reason) -> Effect {
    counts.refused += 1
    return .refuse(link, reason, retryAfterMilliseconds: reason == .busy ? 1_000 : 0)
  }
}
