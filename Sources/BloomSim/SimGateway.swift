internal import BloomBase
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
}

/// One answer as the user's device sees it: parts, tokens in order, one ending.
struct SimAnswer {
  enum Ending {
    case complete
    case failed
    case left
  }

  let id: AnswerID
  let client: Int
  let seed: UInt64
  let promptTokens: Int
  let deadline: Instant
  var delivered = 0
  var part = 0
  /// Open response bodies.
  var sessions: [Int] = []
  var tries = 0
  var ending: Ending?
  /// Tokens at which an early leaver goes.
  var leavesAt: Int?
  var isRetrying = false

  var answerTokens: Int {
    SimBytes.Request(seed: seed, promptTokens: 0, delivered: 0, answer: id, part: 0).answerTokens
  }
}

/// One response body between coordinator and gateway.
struct SimSession {
  let answer: AnswerID
  let part: Int
  var decoder = OuterRecordDecoder()
  /// Sealed bytes of the attempt that is being read; tokens are 16 bytes each.
  var sealed: [UInt8] = []
  var isOpen = true
  var wasAccepted = false
  /// Set when the coordinator said why it ends.
  var reason: Reason?
  var retryAfter = 0
}
