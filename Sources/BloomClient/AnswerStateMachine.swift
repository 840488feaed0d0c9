package import BloomBase

/// What has been delivered of one choice of an answer.
package struct ChoiceProgress: Hashable, Sendable {
  /// The token ids delivered to the user, in order.
  package var tokens: [Int32]
  /// Whether the choice has its finish reason.
  package var isDone: Bool

  /// Creates a choice's progress; a new answer has none.
  package init(tokens: [Int32] = [], isDone: Bool = false) {
    self.tokens = tokens
    self.isDone = isDone
  }
}

/// Why an answer could not go on; a closed set that becomes an OpenAI error.
package enum AnswerFailure: Hashable, Sendable {
  /// No verified machine takes the request.
  case noCandidates
  /// The budget of parts is spent.
  case tooManyParts
  /// The request itself was refused; another machine would refuse it too. The reason is the wire's
  /// code.
  case refused(code: String)
  /// Nothing new within the answer's deadline.
  case timedOut
}

/// How long each wait of an answer is.
package struct AnswerTimeouts: Hashable, Sendable {
  /// Silence of a working part after which a second part starts beside it.
  ///
  /// 350 ms.
  package var suspect: Duration
  /// Silence after which a part counts as dead: it is given up as soon as another one is taken.
  ///
  /// 2 s. A coordinator that hears its machine would take none beside it, and none after it: who
  /// gives up a part that is well ends the answer.
  package var dead: Duration
  /// Time without any new token after which a part that still beats is doubted.
  package var noToken: Duration
  /// Time within which some machine must have been found once none is working.
  ///
  /// 2 s.
  package var recovery: Duration
  /// The same while a machine or the coordinator is known to be coming back.
  ///
  /// 20 s: a worker that loads its model again, a machine whose program or network is back in
  /// seconds, a coordinator that is restarted.
  package var returning: Duration
  /// The whole answer.
  package var total: Duration

  /// Creates a set; the defaults are the protocol's.
  package init(
    suspect: Duration = .milliseconds(350), dead: Duration = .seconds(2),
    noToken: Duration = .seconds(60), recovery: Duration = .seconds(2),
    returning: Duration = .seconds(20), total: Duration = .seconds(3600)
  ) {
    self.suspect = suspect
    self.dead = dead
    self.noToken = noToken
    self.recovery = recovery
    self.returning = returning
    self.total = total
  }
}

/// One answer over however many machines it takes: the rule that no token is shown twice or lost.
///
/// A *part* is one sealed request. Each starts from exactly what had been delivered when it was
/// sealed, so only one part may extend the answer from any point: the first to bring a new token
/// wins, and every part that started from an older point is cancelled.
package struct AnswerStateMachine: ~Copyable {
  /// What the driver must do next.
  package enum Effect: Hashable, Sendable {
    /// Seal prompt + progress to machines outside `avoiding`, as this part number.
    case startPart(Int, resume: [ChoiceProgress], avoiding: Set<NodeID>)
    /// Tell the machine to stop; its receipts still count.
    case cancelPart(Int)
    /// Give the frame just reported to the user.
    case deliver
    /// Every choice is done.
    case finish
    /// Give up with an error; after tokens were delivered, as an error event.
    case fail(AnswerFailure)
  }

  private struct Part {
    let number: Int
    let start: [Int]
    let startedAt: Instant
    var node: NodeID?
    var lastSign: Instant
    /// When it is doubted though it beats, unless a token comes before.
    var tokensDue: Instant
    var hasDelivered = false
    /// A second part was started beside it.
    var isDoubted = false
    /// The coordinator has said that the machine is silent; a sign of life ends it.
    var isSuspected = false
  }

  private enum State {
    case running
    case closed
  }

  private var state: State = .running
  private var parts: [Part] = []
  private var nextPart = 0
  private var acceptedParts = 0
  /// Whether some machine has worked on the answer: only then is it worth a longer wait.
  private var hasBegun = false
  private var avoided: Set<NodeID> = []
  private var startedAt: Instant
  /// Since when no machine is known to work on the answer.
  private var emptySince: Instant?
  /// Whether the last search said that somebody is coming back.
  private var isReturning = false
  /// Until when it is believed whatever the searches after it say.
  private var returningUntil: Instant?
  /// When a second part may be tried again beside a doubted one, after nobody took it.
  private var besideAt = Instant(nanoseconds: 0)
  private var lastTry = Instant(nanoseconds: 0)
  private let partsMax: Int
  private let timeouts: AnswerTimeouts
  /// What the user has, choice by choice.
  package private(set) var progress: [ChoiceProgress]

  /// Creates an answer that has not started.
  ///
  /// - Parameters:
  ///   - choices: The request's `n`, 1 or more.
  ///   - partsMax: Parts that machines took, at most.
  ///   - timeouts: How long each wait is.
  ///   - now: The driver's time.
  package init(choices: Int, partsMax: Int = 8, timeouts: AnswerTimeouts, now: Instant) {
    progress = Array(repeating: ChoiceProgress(), count: choices)
    self.partsMax = partsMax
    self.timeouts = timeouts
    startedAt = now
  }

  /// Starts the first part.
  package mutating func begin(now: Instant) -> [Effect] { startPart(now: now) }

  /// A machine has taken a part.
  package mutating func partAccepted(_ number: Int, by node: NodeID, now: Instant) -> [Effect] {
    if parts.contains(where: { $0.number == number && $0.node == nil }) {
      acceptedParts += 1
      hasBegun = true
    }
    update(number) {
      $0.node = node
      $0.lastSign = now
    }
    return []
  }

  /// A part's machine gave a sign of life.
  package mutating func partAlive(_ number: Int, now: Instant) -> [Effect] {
    update(number) { $0.lastSign = now }
    return []
  }

  /// The coordinator says that a part's machine is silent.
  package mutating func partSuspected(_ number: Int, now: Instant) -> [Effect] {
    guard case .running = state, let index = parts.firstIndex(where: { $0.number == number })
    else { return [] }
    parts[index].isSuspected = true
    return tick(now: now)
  }

  /// A part brought tokens of one choice, or its end.
  ///
  /// - Parameters:
  ///   - number: The part.
  ///   - choice: Index of the choice; one out of range fails the part.
  ///   - tokens: New token ids; may be empty in a frame that only ends the choice.
  ///   - endsChoice: Whether the frame carries the finish reason.
  ///   - now: The driver's time.
  /// - Returns: `.deliver` first when the frame extends the answer.
  package mutating func frameArrived(
    _ number: Int, choice: Int, tokens: [Int32], endsChoice: Bool, now: Instant
  ) -> [Effect] {
    guard case .running = state, let index = parts.firstIndex(where: { $0.number == number })
    else { return [] }
    guard progress.indices.contains(choice), !progress[choice].isDone else {
      return partFailed(number, isRetriable: true, code: "bad-frame", now: now)
    }
    parts[index].lastSign = now
    parts[index].isSuspected = false
    if tokens.isEmpty && !endsChoice { return [] }
    // A part may extend the answer only from the point where it stands itself.
    guard parts[index].hasDelivered || parts[index].start == progress.map(\.tokens.count) else {
      parts.remove(at: index)
      return [.cancelPart(number)]
    }
    parts[index].tokensDue = now + timeouts.noToken
    parts[index].hasDelivered = true
    parts[index].isDoubted = false
    progress[choice].tokens.append(contentsOf: tokens)
    progress[choice].isDone = endsChoice
    var effects: [Effect] = [.deliver]
    for loser in parts where loser.number != number { effects.append(.cancelPart(loser.number)) }
    parts = [parts[index]]
    if progress.allSatisfy(\.isDone) {
      effects.append(.finish)
      state = .closed
    }
    return effects
  }

  /// A part ended without having finished the answer, or was refused.
  ///
  /// - Parameters:
  ///   - number: The part.
  ///   - isRetriable: Whether another machine, or the same later, may do better.
  ///   - isReturning: As for ``noCandidates(_:isReturning:isUnderWay:now:)``; of a part that was
  ///     taken, that its machine starts its engine again, or vanished and may come back.
  ///   - code: Why, for the error when it is not.
  ///   - now: The driver's time.
  /// - Returns: What to do now.
  package mutating func partFailed(
    _ number: Int, isRetriable: Bool, isReturning: Bool = false, code: String, now: Instant
  ) -> [Effect] {
    guard case .running = state, let index = parts.firstIndex(where: { $0.number == number })
    else { return [] }
    let part = parts.remove(at: index)
    if !isRetriable {
      // What a second part is refused does not concern the one that works.
      return parts.isEmpty ? close(.refused(code: code)) : []
    }
    // Nobody took it: trying again at once would only turn a refusal into a storm.
    guard let node = part.node else {
      return noCandidates(number, isReturning: isReturning, now: now)
    }
    avoided.insert(node)
    if isReturning { believe(until: now + timeouts.returning) }
    searchAgain(now)
    return parts.isEmpty ? startPart(now: now) : []
  }

  /// No machine took a part that was to start.
  ///
  /// - Parameters:
  ///   - number: The part.
  ///   - isReturning: Whether a machine or the coordinator is known to be coming back, so that
  ///     waiting longer makes sense.
  ///   - isUnderWay: Whether a machine is known to work on the answer, though it is not heard here.
  ///   - now: The driver's time.
  /// - Returns: What to do now.
  package mutating func noCandidates(
    _ number: Int, isReturning: Bool, isUnderWay: Bool = false, now: Instant
  ) -> [Effect] {
    guard case .running = state else { return [] }
    hasBegun = hasBegun || isUnderWay
    parts.removeAll { $0.number == number }
    note(isReturning: isReturning, now: now)
    guard parts.isEmpty else {
      searchAgain(now)
      return []
    }
    // Machines that failed once may be back; what was avoided is tried again until time is up.
    avoided.removeAll()
    emptySince = emptySince ?? now
    return []
  }

  /// The driver's timer fired; safe to call at any time.
  package mutating func tick(now: Instant) -> [Effect] {
    guard case .running = state else { return [] }
    if now - startedAt >= timeouts.total { return close(.timedOut) }
    if let end = patienceEnd, now >= end { return close(.noCandidates) }
    if parts.isEmpty {
      return now - lastTry >= Self.searchPause ? startPart(now: now) : []
    }
    let effects = dropDead(now)
    if parts.isEmpty { return effects + startPart(now: now) }
    guard parts.count == 1, !parts[0].isDoubted else { return effects }
    guard now >= besideAt else { return effects }
    guard
      parts[0].isSuspected || now - parts[0].lastSign >= timeouts.suspect
        || now >= parts[0].tokensDue
    else { return effects }
    parts[0].isDoubted = true
    return acceptedParts < partsMax ? effects + startPart(now: now) : effects
  }

  /// Drops parts that nobody took in time, and silent ones that have been replaced.
  ///
  /// The last part that a machine took is kept: its machine may be heard again.
  private mutating func dropDead(_ now: Instant) -> [Effect] {
    let dead = parts.filter { now - $0.lastSign >= timeouts.dead }
    let isHeard = parts.contains { $0.node != nil && now - $0.lastSign < timeouts.dead }
    if emptySince == nil, !dead.isEmpty, !isHeard {
      // Neither a silent machine nor a coordinator that hangs may hold the answer for ever.
      if let untaken = dead.first(where: { $0.node == nil }) {
        emptySince = untaken.startedAt
        note(isReturning: true, now: now)
      } else {
        emptySince = now
      }
    }
    let kept = parts.last { $0.node != nil }?.number
    let dropped = dead.filter { $0.number != kept }
    guard !dropped.isEmpty else { return [] }
    avoided.formUnion(dropped.compactMap(\.node))
    parts.removeAll { part in dropped.contains { $0.number == part.number } }
    searchAgain(now)
    return dropped.map { .cancelPart($0.number) }
  }

  /// The user has left; every part is cancelled.
  package mutating func clientLeft() -> [Effect] {
    guard case .running = state else { return [] }
    state = .closed
    return parts.map { .cancelPart($0.number) }
  }

  /// When ``tick(now:)`` must be called next; `nil` once the answer is closed.
  package var nextDeadline: Instant? {
    guard case .running = state else { return nil }
    let recovery = patienceEnd.map { [$0] } ?? []
    if parts.isEmpty { return ([lastTry + Self.searchPause] + recovery).min() }
    let signs = parts.compactMap { part -> Instant? in
      if part.isDoubted || parts.count > 1 {
        // One that is dead already waits for another to be taken, or for the end of patience.
        return part.node == nil || emptySince == nil ? part.lastSign + timeouts.dead : nil
      }
      return max(besideAt, part.isSuspected ? part.lastSign : part.lastSign + timeouts.suspect)
    }
    let tokens = parts.filter { !$0.isDoubted }.map {
      max(besideAt, $0.tokensDue)
    }
    return (signs + tokens + recovery + [startedAt + timeouts.total]).min()
  }

  /// Between two searches for a machine.
  private static let searchPause = Duration.milliseconds(100)
  /// The same beside one that beats and has no token yet, as with a long prompt.
  ///
  /// 5 s: a coordinator that is asked more often takes that part's connection for lost.
  private static let slowPause = Duration.seconds(5)

  /// When to give up unless a machine takes a part; `nil` while one works.
  private var patienceEnd: Instant? {
    guard let since = emptySince else { return nil }
    let latest = since + timeouts.returning
    if isReturning { return latest }
    // One search that could not look does not undo what another one saw a moment ago.
    return min(latest, max(since + timeouts.recovery, returningUntil ?? since))
  }

  /// What a search said.
  private mutating func note(isReturning: Bool, now: Instant) {
    self.isReturning = isReturning && hasBegun
    if self.isReturning { believe(until: now + timeouts.recovery) }
  }

  private mutating func believe(until end: Instant) {
    returningUntil = max(returningUntil ?? end, end)
  }

  /// What was beside a doubted part is gone: another search comes soon, not at once.
  private mutating func searchAgain(_ now: Instant) {
    besideAt = now + Self.searchPause
    for index in parts.indices {
      parts[index].isDoubted = false
      parts[index].tokensDue = max(parts[index].tokensDue, now + Self.slowPause)
    }
  }

  private mutating func startPart(now: Instant) -> [Effect] {
    guard acceptedParts < partsMax else { return close(.tooManyParts) }
    let number = nextPart
    nextPart += 1
    lastTry = now
    // A doubted machine is still working: the second part goes elsewhere.
    let busy = parts.compactMap(\.node)
    parts.append(
      Part(
        number: number, start: progress.map(\.tokens.count), startedAt: now, lastSign: now,
        tokensDue: now + timeouts.noToken))
    return [.startPart(number, resume: progress, avoiding: avoided.union(busy))]
  }

  private mutating func close(_ failure: AnswerFailure) -> [Effect] {
    state = .closed
    return parts.map { .cancelPart($0.number) } + [.fail(failure)]
  }

  private mutating func update(_ number: Int, _ change: (inout Part) -> Void) {
    guard let index = parts.firstIndex(where: { $0.number == number }) else { return }
    emptySince = nil
    parts[index].isSuspected = false
    change(&parts[index])
  }
}
