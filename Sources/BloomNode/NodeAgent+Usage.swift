internal import BloomBase
internal import BloomCrypto
internal import BloomModels
internal import BloomRecords
internal import BloomWire

extension NodeAgent {
  /// Finished requests that the owner can look at.
  static let recentCount = 20

  /// Adds the time since the last call to the day's work, when requests ran in it.
  func accountWork() {
    let now = time.now()
    let isWorking = jobs.count > 0
    if let since = workingSince {
      // A machine that slept did not work, whatever its clock says.
      let spent = min(now - since, .seconds(30))
      usage.update(today) {
        $0.workedMilliseconds += Int(max(0, spent.wholeNanoseconds) / 1_000_000)
      }
      isUsageChanged = true
    }
    workingSince = isWorking ? now : nil
  }

  var today: Int { LocalClock.day(time.unixTime()) }

  /// What was done today, for the owner's limits.
  func workToday() -> WorkToday {
    accountWork()
    let day = usage.day(today)
    var work = WorkToday()
    work.isWorking = jobs.count > 0
    work.worked = .milliseconds(day.workedMilliseconds)
    work.uploadedBytes = day.uploadedBytes
    return work
  }

  func noteUpload(_ byteCount: Int) {
    usage.update(today) { $0.uploadedBytes += byteCount }
    isUsageChanged = true
  }

  func noteEarned(_ amount: Micros) {
    earned = Micros(earned.rawValue &+ amount.rawValue)
    usage.update(today) { $0.earned = Micros($0.earned.rawValue &+ amount.rawValue) }
    isUsageChanged = true
  }

  /// A request came to its end with this receipt.
  func noteDone(_ receipt: [UInt8], isSelfTest: Bool) {
    // What the worker signed is its own count; the coordinator checks it against what it saw.
    guard let claims = try? Receipt(unverified: receipt).claims else { return }
    if !isSelfTest {
      usage.update(today) { day in
        day.jobs += 1
        day.promptTokens += claims.promptTokens
        day.completionTokens += claims.completionTokens
      }
      isUsageChanged = true
    }
    recent.append(
      FinishedJob(
        at: time.unixTime(), model: workers[claims.model]?.model.manifest.name ?? "",
        promptTokens: claims.promptTokens, completionTokens: claims.completionTokens,
        seconds: Int(clamping: max(0, claims.end.seconds - claims.start.seconds)),
        isSelfTest: isSelfTest))
    if recent.count > Self.recentCount { recent.removeFirst() }
  }

  /// Gives the book out to be kept, when it changed.
  func takeChangedUsage() -> UsageBook? {
    guard isUsageChanged else { return nil }
    isUsageChanged = false
    return usage
  }

  // MARK: Self-test

  /// A model that serves and was not tested yet, with the record that names its key.
  func selfTestDue() -> (model: NodeModel, record: [UInt8])? {
    guard order.level <= .polite, !isStopping, let record else { return nil }
    let due = workers.values.filter { $0.offer != nil && $0.selfTest == nil }
    // Recognition of speech has no sealed form that a small text fits.
    return due.map(\.model).filter { $0.manifest.kind != .transcription }
      .min { $0.id < $1.id }.map { ($0, record.encoded) }
  }

  /// A self-test ended.
  func selfTested(_ model: ModelID, _ result: SelfTestResult) {
    workers[model]?.selfTest = result
    if result.failure != nil { log.error("self-test failed", ["model": .id(model)]) }
  }

  /// Runs a sealed request of this machine's own; nobody pays for it.
  ///
  /// - Throws: ``NodeError`` `worker` when it was not taken or not finished.
  func runLocally(_ envelope: [UInt8]) async throws(NodeError) -> [UInt8] {
    guard let prefix = try? EnvelopePrefix.read(envelope) else {
      throw NodeError(.worker, "the request cannot be read")
    }
    let stream = local.begin()
    perform(
      jobs.requested(
        stream, head: Array(envelope[..<prefix.byteCount]),
        body: Array(envelope[prefix.byteCount...])))
    let end = time.now() + .seconds(60)
    while localEnds[stream] == nil, time.now() < end {
      await pause()
    }
    let failure = localEnds.removeValue(forKey: stream) ?? .some(.deadline)
    let answer = local.end(stream)
    if let failure {
      perform(jobs.stop(stream, .nodeLost))
      throw NodeError(.worker, "the worker did not answer: \(failure.name)")
    }
    return answer ?? []
  }

  /// What the job table says of a request of this machine's own.
  func performLocally(_ effect: JobTable.Effect) {
    switch effect {
    case .refuse(let stream, let reason, _), .handBack(let stream, let reason):
      localEnds[stream] = .some(reason)
    case .answer(let stream, let bytes):
      if !local.receive(bytes, of: stream) { perform(jobs.stop(stream, .tooLarge)) }
    case .done(let stream, let receipt):
      noteDone(receipt, isSelfTest: true)
      localEnds[stream] = .some(nil)
    case .accept, .receipt, .command: break
    }
  }
}

extension JobTable.Effect {
  /// The link's number of the request that it is about.
  var stream: StreamID? {
    switch self {
    case .command: nil
    case .accept(let stream), .refuse(let stream, _, _), .answer(let stream, _),
      .receipt(let stream, _), .done(let stream, _), .handBack(let stream, _):
      stream
    }
  }
}
