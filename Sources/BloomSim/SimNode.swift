internal import BloomBase
internal import BloomLink
internal import BloomWire

/// How a node misbehaves on purpose.
enum NodeVice: CaseIterable {
  case none
  /// Claims a hundredfold of its speed and slots.
  case boasts
  /// Counts half as many tokens again in its receipts.
  case inflates
  /// Sends every final receipt several times.
  case repeats
  /// Sends bytes that are no messages.
  case babbles
  /// Goes on after a cancel and never confirms.
  case ignoresCancel
}

/// A machine in the simulation: the real link machine over a model of a worker.
struct SimNode {
  struct Job {
    var request: SimBytes.Request
    var produced = 0
    var isReading = true
    var isPaused = false
    /// Tokens since the last running receipt.
    var unreceipted = 0
  }

  let number: Int
  let name: NodeID
  let owner: AccountID
  let vice: NodeVice
  let slots: Int
  /// Tokens a second of one lone stream.
  let decodeRate: Double
  let prefillRate: Double
  var machine: NodeLinkMachine
  /// The connection it holds; `nil` without one.
  var connection: Int?
  /// Sleeping machines do nothing and say nothing, not even goodbye.
  var isAsleep = false
  var isDraining = false
  var jobs: [StreamID: Job] = [:]
  /// Final receipts on disk: what a crash leaves.
  var disk: [(receipt: [UInt8], digest: Digest)] = []
  var isStepping = false
  /// When its timer is set to go off.
  var armedAt: Instant?
  var serial: UInt64 = 0

  var key: KeyID { KeyID(UInt64(number) + 1) }

  /// Streams in order: no set or dictionary order may decide anything.
  var streams: [StreamID] { jobs.keys.sorted { $0.rawValue < $1.rawValue } }

  var decoding: [StreamID] { streams.filter { jobs[$0]?.isReading == false } }

  /// Seconds for eight tokens of each decoding stream.
  var stepSeconds: Double {
    let width = Double(max(decoding.count, 1))
    return 8 * (1 + 0.27 * (width - 1)) / decodeRate
  }

  mutating func receipt(_ job: Job, _ end: SimBytes.Receipt.End) -> SimBytes.Receipt {
    serial += 1
    return SimBytes.Receipt(
      node: number, answer: job.request.answer, part: job.request.part,
      promptTokens: job.request.promptTokens, replayed: job.request.delivered,
      completion: vice == .inflates ? job.produced * 3 / 2 : job.produced, end: end,
      serial: serial)
  }

  func capacity(_ model: ModelID) -> Capacity {
    let boast = vice == .boasts ? 100.0 : 1
    let open = isDraining ? 0 : Int(Double(slots) * (vice == .boasts ? 3 : 1))
    return Capacity(
      models: [
        ModelCapacity(
          model: model, slots: open, active: jobs.count, queued: 0,
          prefillMilliTokensPerSecond: Int(prefillRate * boast * 1000),
          decodeMilliTokensPerSecond: Int(decodeRate * boast * 1000))
      ], freeMemoryMebibytes: 4096, closed: isDraining ? .ownerActive : nil)
  }
}
