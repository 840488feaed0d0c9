internal import BloomBase
internal import BloomModels
internal import BloomRecords
internal import BloomWire

/// Requests of this machine's own gateway: they come over the agent's socket, sealed to the worker
/// as from anywhere else, and need no coordinator and no network.
///
/// They come first: neither level nor limit keeps them away from a loaded model, and strangers'
/// requests give them their place. Nobody pays for them, so their receipts go to the gateway only.
extension NodeAgent {
  /// Local requests have numbers that no link gives.
  private static let firstLocal: UInt64 = 1 << 62

  /// Gives a sealed request to the worker; the answer's records come in what is returned.
  ///
  /// - Parameters:
  ///   - envelope: A sealed request to this machine alone.
  ///   - isSelfTest: Whether the machine asks itself.
  /// - Returns: The request's number and its answer; `nil` when it is not one for this machine.
  func takeLocal(
    _ envelope: [UInt8], isSelfTest: Bool = false
  ) -> (stream: StreamID, answer: LocalAnswer)? {
    guard !isStopping, let prefix = try? EnvelopePrefix.read(envelope),
      prefix.candidates.count == 1, prefix.candidates[0].node == nodeID,
      envelope.count - prefix.byteCount == prefix.bodyByteCount
    else { return nil }
    lastLocal += 1
    let stream = StreamID(Self.firstLocal + lastLocal)
    let answer = LocalAnswer(model: prefix.head.routing.model, isSelfTest: isSelfTest)
    localAnswers[stream] = answer
    // The machine's own test pushes nobody aside.
    let slots = isSelfTest ? Int.max : workers[answer.model]?.offer?.ready.slots ?? .max
    if !isSelfTest { expectOwnRequests() }
    perform(
      jobs.requested(
        stream, head: Array(envelope[..<prefix.byteCount]),
        body: Array(envelope[prefix.byteCount...]), isOwn: true, slots: slots))
    noteBegin(answer.model, time.now())
    return (stream, answer)
  }

  /// The gateway took what waited.
  func resumeLocal(_ stream: StreamID) { perform(jobs.resume(stream)) }

  /// The gateway has left.
  func leaveLocal(_ stream: StreamID) {
    guard localAnswers[stream] != nil else { return }
    perform(jobs.stop(stream, .cancelled))
  }

  /// The manifest of a model that is served here.
  func manifest(of model: ModelID) -> [UInt8]? { workers[model]?.model.manifest.encoded }

  /// Does what the job table wants for a local request; `false` when it is not about one.
  func answerLocally(_ effect: JobTable.Effect) -> Bool {
    switch effect {
    case .command: return false
    case .accept(let stream): return push(.accepted(node: nodeID), to: stream)
    case .refuse(let stream, let reason, let retryAfter):
      let failed = OuterRecord.attemptFailed(
        reason: reason, isRetriable: reason.isRetriable, retryAfterMilliseconds: retryAfter)
      return push(failed, to: stream) && finish(stream)
    case .answer(let stream, let bytes):
      guard let answer = localAnswers[stream] else { return false }
      if answer.push(sealed: bytes) { jobs.pause(stream) }
      return true
    case .receipt(let stream, _): return localAnswers[stream] != nil
    case .done(let stream, let receipt):
      if localAnswers[stream]?.isSelfTest == true { noteDone(receipt, isSelfTest: true) }
      return finish(stream)
    case .handBack(let stream, let reason):
      let failed = OuterRecord.attemptFailed(
        reason: reason, isRetriable: reason.isRetriable, retryAfterMilliseconds: 0)
      return push(failed, to: stream) && finish(stream)
    }
  }

  /// The worker lives: its local requests hear it.
  func sayAliveLocally(_ model: ModelID, ageMilliseconds: Int, _ now: Instant) {
    guard ageMilliseconds < 250 else { return }
    for answer in localAnswers.values where answer.model == model { answer.alive(now) }
  }

  private func push(_ record: OuterRecord, to stream: StreamID) -> Bool {
    guard let answer = localAnswers[stream] else { return false }
    if answer.push(record) { jobs.pause(stream) }
    return true
  }

  private func finish(_ stream: StreamID) -> Bool {
    guard let answer = localAnswers.removeValue(forKey: stream) else { return false }
    answer.finish()
    return true
  }
}
