/// Why work was refused, failed, handed back or not given: one closed list for every role.
///
/// The number goes over the wire and never changes its meaning; the name goes into JSON.
package enum Reason: UInt8, Sendable, Hashable, CaseIterable {
  /// The bytes cannot be read or opened. One code for all such failures, so that it tells nothing.
  case malformed = 1
  /// The envelope or its padded size is over the limit.
  case tooLarge = 2
  /// The account cannot cover the worst case of the request.
  case noCredit = 3
  /// The envelope was used before.
  case replay = 4
  /// The node or its key is unknown or expired: fetch the directory again.
  case staleKey = 5
  /// The API key is missing, unknown or revoked.
  case unauthorized = 6
  /// The account sent too much in too short a time.
  case rateLimited = 7
  /// Every candidate is working at its limit.
  case busy = 8
  /// The queue for these candidates is full.
  case queueFull = 9
  /// The model is not loaded here.
  case modelUnavailable = 10
  /// The deadline passed, or cannot be met.
  case deadline = 11
  /// The node's link broke.
  case nodeLost = 12
  /// The node stopped giving signs of life.
  case nodeSilent = 13
  /// The owner uses the machine again.
  case ownerActive = 14
  /// The node or the coordinator is shutting down or updating.
  case draining = 15
  /// The machine runs on battery.
  case onBattery = 16
  /// The machine is too hot.
  case tooHot = 17
  /// Outside the hours that the owner set.
  case outsideHours = 18
  /// The network is metered.
  case meteredNetwork = 19
  /// Too little free memory.
  case lowMemory = 20
  /// Too little free disk.
  case lowDisk = 21
  /// The owner paused the node.
  case paused = 22
  /// The engine failed or was restarted.
  case engineFailed = 23
  /// The client cancelled.
  case cancelled = 24
  /// No node meets the request's pool, region or tier.
  case constraintUnmet = 25
  /// The node's evidence was refused.
  case notProven = 26
  /// The node's standing is too low.
  case lowStanding = 27
  /// Nobody asked for what the node offers.
  case noDemand = 28
  /// Another attempt of the same answer was faster.
  case superseded = 29
  /// A fault of the program itself.
  case internalFault = 30
  /// The other side speaks no common version.
  case versionUnsupported = 31
  /// The owner's cap on energy, data or time is used up.
  case ownerCap = 32
  /// A receipt did not match what was counted.
  case receiptMismatch = 33
  /// The part is not allowed now: the part before it neither failed nor went silent.
  case partNotAllowed = 34
  /// The coordinator does not know the answer that the part continues: it begins anew at part 0.
  case answerUnknown = 35
  /// The API key's own limit on spending is used up.
  case spendLimit = 36
  /// The API key or its account may not do this: another model, pool, region or tier, or blocked.
  case notAllowed = 37
  /// The API key has expired.
  case keyExpired = 38
  /// No machine of the named pool is connected.
  case poolEmpty = 39
  /// The operator has not listed the model, so that users are not told of it.
  case modelUnlisted = 40
  /// On every machine that the request names the answer could cost more than the user's price cap.
  case priceAboveCap = 41
  /// The answer that the part continues was closed: nobody had asked for more of it for a minute.
  case answerClosed = 42

  /// Whether the same request may succeed elsewhere or later, in a new envelope.
  package var isRetriable: Bool {
    switch self {
    case .malformed, .tooLarge, .noCredit, .unauthorized, .cancelled, .constraintUnmet,
      .versionUnsupported, .receiptMismatch, .partNotAllowed, .spendLimit, .notAllowed,
      .keyExpired, .priceAboveCap, .answerClosed:
      false
    case .replay, .staleKey, .rateLimited, .busy, .queueFull, .modelUnavailable, .deadline,
      .nodeLost, .nodeSilent, .ownerActive, .draining, .onBattery, .tooHot, .outsideHours,
      .meteredNetwork, .lowMemory, .lowDisk, .paused, .engineFailed, .notProven, .lowStanding,
      .noDemand, .superseded, .internalFault, .ownerCap, .answerUnknown, .poolEmpty,
      .modelUnlisted:
      true
    }
  }

  /// The HTTP status of an outer refusal with this reason.
  package var httpStatus: Int {
    switch self {
    case .malformed: 400
    case .unauthorized, .keyExpired: 401
    case .noCredit, .spendLimit: 402
    case .notAllowed: 403
    case .replay, .partNotAllowed, .superseded, .receiptMismatch, .answerUnknown,
      .answerClosed:
      409
    case .tooLarge: 413
    case .staleKey, .notProven: 421
    case .constraintUnmet, .priceAboveCap: 422
    case .versionUnsupported: 426
    case .rateLimited: 429
    case .cancelled: 499
    case .internalFault, .engineFailed: 500
    case .nodeLost, .nodeSilent: 502
    case .busy, .queueFull, .modelUnavailable, .ownerActive, .draining, .onBattery, .tooHot,
      .outsideHours, .meteredNetwork, .lowMemory, .lowDisk, .paused, .lowStanding, .noDemand,
      .ownerCap, .poolEmpty, .modelUnlisted:
      503
    case .deadline: 504
    }
  }

  /// The name in JSON and on the console: words of the case with underscores.
  package var name: String {
    var name = ""
    for character in "\(self)" {
      if character.isUppercase { name.append("_") }
      name.append(contentsOf: character.lowercased())
    }
    return name
  }

  /// Finds a reason by its name.
  package init?(name: String) {
    guard let reason = Self.allCases.first(where: { $0.name == name }) else { return nil }
    self = reason
  }
}
