internal import BloomBase
internal import BloomLink
internal import BloomNode
internal import BloomWire

/// How a node misbehaves on purpose.
enum NodeVice: CaseIterable {
  case none
  /// Claims a hundredfold of its speed and slots.
  case boasts
  /// Counts half as many tokens again in its receipts.
  case inflates
  /// Counts what earlier parts delivered as its own work, as if it had replayed nothing.
  case claimsReplays
  /// Sends every final receipt several times.
  case repeats
  /// Sends bytes that are no messages.
  case babbles
  /// Goes on after a cancel and never confirms.
  case ignoresCancel
  /// Says that it is done long after it was.
  case isLate
}

/// A worker process: a speed, and the requests it was given over its pipe.
struct SimWorker {
  struct Job {
    let byteCount: Int
    var credit: Int
    var envelope: [UInt8] = []
    /// Set once the envelope is whole.
    var request: SimBytes.Request?
    var produced = 0
    var isReading = true
    /// Tokens since the last running receipt.
    var unreceipted = 0
  }

  var jobs: [StreamID: Job] = [:]
  /// Counts processes: what was planned for an earlier one does not happen.
  var incarnation = 0
  var isUp = true
  var isStepping = false
  var serial: UInt64 = 0

  /// Streams in order: no set or dictionary order may decide anything.
  var streams: [StreamID] { jobs.keys.sorted { $0.rawValue < $1.rawValue } }

  var decoding: [StreamID] { streams.filter { jobs[$0]?.isReading == false } }
}

/// A machine in the simulation: the agent's own link machine and job table over a model of a worker.
struct SimNode {
  let number: Int
  let name: NodeID
  let owner: AccountID
  let region: Int
  let vice: NodeVice
  let slots: Int
  /// Tokens a second of one lone stream.
  let decodeRate: Double
  let prefillRate: Double
  var machine: NodeLinkMachine
  var jobs = JobTable()
  var worker = SimWorker()
  /// The connection it holds; `nil` without one.
  var connection: Int?
  /// Sleeping machines do nothing and say nothing, not even goodbye.
  var isAsleep = false
  /// Final receipts on disk: what a crash leaves.
  var disk: [(receipt: [UInt8], digest: Digest)] = []
  /// When its timer is set to go off.
  var armedAt: Instant?

  var key: KeyID { KeyID(UInt64(number) + 1) }

  /// Seconds for eight tokens of each decoding stream.
  var stepSeconds: Double {
    let width = Double(max(worker.decoding.count, 1))
    return 8 * (1 + 0.27 * (width - 1)) / decodeRate
  }

  mutating func receipt(
    _ job: SimWorker.Job, _ end: SimBytes.Receipt.End, countsTwice: Bool
  ) -> SimBytes.Receipt? {
    guard let request = job.request else { return nil }
    worker.serial += 1
    let claims = vice == .claimsReplays || countsTwice
    let made = claims ? request.delivered + job.produced : job.produced
    return SimBytes.Receipt(
      node: number, answer: request.answer, part: request.part,
      promptTokens: request.promptTokens,
      replayed: vice == .claimsReplays ? 0 : request.delivered,
      completion: vice == .inflates ? made * 3 / 2 : made, end: end,
      serial: worker.serial | UInt64(worker.incarnation) << 32)
  }

  func capacity(_ model: ModelID) -> Capacity {
    let boast = vice == .boasts ? 100.0 : 1
    let open = jobs.closed != nil ? 0 : Int(Double(slots) * (vice == .boasts ? 3 : 1))
    return Capacity(
      models: worker.isUp
        ? [
          ModelCapacity(
            model: model, slots: open, active: jobs.count, queued: 0,
            prefillMilliTokensPerSecond: Int(prefillRate * boast * 1000),
            decodeMilliTokensPerSecond: Int(decodeRate * boast * 1000))
        ] : [], freeMemoryMebibytes: 4096, closed: jobs.closed)
  }
}
