internal import BloomBase
internal import BloomCrypto
internal import BloomModels
internal import BloomNet
internal import BloomRecords
internal import BloomWire

extension NodeAgent {
  /// Finished requests that the owner can look at.
  static let recentCount = 20
  /// Sealed bytes of a self-test; it has a few KiB.
  static let selfTestLimitBytes = 1 << 20
  /// Between two entries in the book of the day while requests run.
  static let entryTime = Duration.seconds(1)

  /// Adds the time since the last entry to the day's work, when requests ran in it.
  ///
  /// Called with everything a worker says; an entry is made each second and when the work ends.
  func accountWork() {
    let now = time.now()
    // What the owner asks the own machine is no work for others.
    let isWorking = jobs.strangerCount > 0
    if let since = workingSince {
      if isWorking, now - since < Self.entryTime { return }
      // A machine that slept did not work, whatever its clock says.
      let spent = min(now - since, .seconds(30))
      usage.update(today) {
        $0.workedMilliseconds += Int(max(0, spent.wholeNanoseconds) / 1_000_000)
      }
      isUsageChanged = true
    }
    workingSince = isWorking ? now : nil
  }

  /// The local day; looked up once a second, since the zone's file is read for it.
  var today: Int {
    let now = time.unixTime()
    if let day = localDay, day.second == now.seconds { return day.number }
    let number = LocalClock.day(now)
    localDay = (now.seconds, number)
    return number
  }

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

  /// The book could not be kept: it is given out again.
  func usageNotKept() { isUsageChanged = true }

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
  /// - Returns: The sealed answer, at most 1 MiB.
  /// - Throws: ``NodeError`` `worker` when it was not taken, or not finished within a minute.
  func runLocally(_ envelope: [UInt8]) async throws(NodeError) -> [UInt8] {
    guard let (stream, answer) = takeLocal(envelope, isSelfTest: true) else {
      throw NodeError(.worker, "the request cannot be read")
    }
    // Nobody cancels the sleep but the end of this call.
    let alarm = Task { [loop] in
      if (try? await loop.sleep(for: .seconds(60))) != nil { answer.finish() }
    }
    defer {
      alarm.cancel()
      leaveLocal(stream)
    }
    var decoder = OuterRecordDecoder()
    var sealed: [UInt8] = []
    while let (bytes, resumes) = await answer.next() {
      decoder.append(bytes)
      // These records are this agent's own: they decode.
      while let record = try? decoder.next()?.record {
        switch record {
        case .sealed(let chunk): sealed += chunk
        case .attemptFailed(let reason, _, _):
          throw NodeError(.worker, "the worker did not answer: \(reason.name)")
        default: break
        }
      }
      if resumes { resumeLocal(stream) }
      if sealed.count > Self.selfTestLimitBytes {
        throw NodeError(.worker, "the worker's answer is too long")
      }
    }
    guard !sealed.isEmpty else {
      throw NodeError(.worker, "the worker did not answer: \(Reason.deadline.name)")
    }
    return sealed
  }
}
