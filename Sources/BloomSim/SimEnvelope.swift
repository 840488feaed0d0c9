internal import BloomBase
internal import BloomLedger
internal import BloomRecords
internal import BloomSchedule
internal import BloomWire

/// A posted envelope as a coordinator may read it.
struct Envelope {
  let prefix: EnvelopePrefix
  let body: [UInt8]

  /// Reads what a gateway posted; `nil` for bytes that are no envelope.
  init?(_ bytes: [UInt8]) {
    guard let prefix = try? EnvelopePrefix.read(bytes),
      bytes.count - prefix.byteCount == prefix.bodyByteCount,
      prefix.head.routing.part <= 15
    else { return nil }
    self.prefix = prefix
    body = Array(bytes[prefix.byteCount...])
  }

  var id: RequestID {
    RequestID(answer: prefix.head.routing.answer, part: UInt16(prefix.head.routing.part))
  }

  /// What the scheduler places.
  func work(_ account: AccountID, at now: Instant, mayHedge: Bool) -> WorkRequest {
    let routing = prefix.head.routing
    var candidates: UpToFour<BloomSchedule.Candidate> = []
    for wrap in prefix.candidates {
      candidates.append(BloomSchedule.Candidate(node: wrap.node, key: wrap.key))
    }
    return WorkRequest(
      id: id, account: account, model: routing.model, candidates: candidates,
      inputBytes: routing.paddedByteCount,
      output: OutputClass(rawValue: routing.tokenClass.rawValue) ?? .tokens64k,
      deadline: now + .milliseconds(routing.deadlineMilliseconds), mayHedge: mayHedge)
  }

  /// The head that goes to one node, with that node's wrap alone.
  func head(for node: NodeID) -> [UInt8]? {
    prefix.candidates.first { $0.node == node }.map { prefix.forwarded(to: $0) }
  }

  /// The terms of a first part.
  func reservation(_ payer: AccountID, deadline: UnixTime) -> Reservation {
    let routing = prefix.head.routing
    return Reservation(
      answer: routing.answer, payer: payer, model: routing.model, kind: .chat,
      maxPromptTokens: routing.paddedByteCount, maxCompletionTokens: routing.tokenClass.tokens,
      deadline: deadline)
  }

  /// The terms of a later part.
  func admission(_ payer: AccountID, previousFailed: Bool) -> PartAdmission {
    let routing = prefix.head.routing
    return PartAdmission(
      answer: routing.answer, part: routing.part, payer: payer, model: routing.model,
      maxCompletionTokens: routing.tokenClass.tokens, previousFailed: previousFailed)
  }
}
