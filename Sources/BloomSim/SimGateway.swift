internal import BloomBase
internal import BloomClient
internal import BloomWire

/// How a client misbehaves on purpose.
enum ClientVice: CaseIterable {
  case none
  /// Leaves in the middle of answers.
  case leavesEarly
  /// Sends parts that nobody asked for, and the same part again.
  case replays
  /// Names one machine of its own choice, again and again.
  case redraws
  /// Asks for very many answers at once.
  case floods
}

/// One answer on the user's device: the gateway's own machine, and what the user has seen.
final class SimAnswer {
  enum Ending {
    case complete
    case failed
    case left
  }

  let id: AnswerID
  let client: Int
  let seed: UInt64
  let promptTokens: Int
  /// Decides which parts run and what may be shown.
  var machine: AnswerStateMachine
  /// Tokens that the user has seen.
  var delivered = 0
  /// What it and the coordinator agree on about its parts.
  var numbering = PartNumbering()
  /// The open response body of each part of the machine.
  var sessions: [Int: Int] = [:]
  /// Parts that the coordinator took up.
  var takenParts = 0
  var ending: Ending?
  /// Tokens at which an early leaver goes.
  var leavesAt: Int?
  var armedAt: Instant?

  init(
    id: AnswerID, client: Int, seed: UInt64, promptTokens: Int, now: Instant
  ) {
    self.id = id
    self.client = client
    self.seed = seed
    self.promptTokens = promptTokens
    machine = AnswerStateMachine(
      choices: 1, timeouts: AnswerTimeouts(total: .seconds(90)), now: now)
  }

  var answerTokens: Int {
    SimBytes.Request(seed: seed, promptTokens: 0, delivered: 0, answer: id, part: 0).answerTokens
  }
}

/// One response body between coordinator and gateway.
struct SimSession {
  let answer: AnswerID
  /// The part by the machine's count, and on the wire; −1 for one that no machine asked for.
  let part: Int
  let wirePart: Int
  var decoder = OuterRecordDecoder()
  /// Sealed bytes of the attempt that is being read; tokens are 16 bytes each.
  var sealed: [UInt8] = []
  var attempt: UInt8 = 0
  /// Whether what comes is still handed to the answer.
  var isOpen = true
  /// Whether the coordinator answered with a refusal instead of a body.
  var isRefused = false
  var isAccepted = false
  /// Whether a token of it came: only one machine's can be the part's.
  var hasDelivered = false
  var isCancelled = false
  /// The connection carries nothing more, whoever has noticed.
  var isCut = false
  /// The last receipt that was booked of it.
  var settled: Digest?
  var failure = PartFailure.truncated
}
