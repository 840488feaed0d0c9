internal import BloomBase
internal import BloomLink
internal import BloomSchedule
internal import BloomWire

extension Hub {
  /// Between two messages about a node's standing.
  static var standingInterval: Duration { .seconds(30) }

  /// Tells a node how the network sees it and why work did not come.
  func sayStanding(_ session: NodeSession, _ now: Instant) {
    guard let node = session.node, session.record != nil else { return }
    if let said = session.standingAt, now - said < Self.standingInterval { return }
    guard let standing = scheduler.standing(of: node, hours: 1, now: now) else { return }
    session.standingAt = now
    let unlisted = session.models.count { !catalog.serves($0.model) }
    // An empty message is a ping: how long the way is belongs to the standing, too.
    session.outbox.push([], isControl: true)
    perform(session.machine.say(.standing(standing.wire(unlisted: unlisted))), of: session)
  }

  /// Why a request is where it is, for its user: the verdict on each machine it named.
  ///
  /// `nil` when it has ended already.
  func placement(of id: RequestID) -> String? { scheduler.decision(for: id)?.text }
}

extension Decision {
  /// One verdict after the other; times in milliseconds, the share of work kept in thousandths.
  ///
  /// `docs/reasons.md` explains it.
  var text: String {
    func whole(_ value: Double) -> Int { Int(min(max(value * 1_000, 0), 1e9).rounded()) }
    return candidates.map { verdict in
      let name = "\(verdict.node.digest.hex) \(verdict.reason.code)"
      guard verdict.cost.isFinite else { return name }
      return name
        + " wait=\(whole(verdict.wait)) first=\(whole(verdict.firstToken))"
        + " decode=\(whole(verdict.decode)) kept=\(whole(verdict.completion))"
        + " cost=\(whole(verdict.cost)) score=\(Int(verdict.score.rounded()))"
    }.joined(separator: "; ")
  }
}

extension NodeStanding {
  /// What goes over the link: parts of the score in thousandths, reasons counted for one hour.
  ///
  /// - Parameter unlisted: Models of the machine that users are not told of.
  /// - Returns: The message's content.
  func wire(unlisted: Int = 0) -> Standing {
    func permille(_ value: Double) -> Int { Int(max(0, min(1_000, (value * 1_000).rounded()))) }
    var counts: [Reason: Int] = [:]
    for (reason, count) in reasons where reason != .chosen {
      counts[reason.standing, default: 0] += count
    }
    if unlisted > 0 { counts[.modelUnlisted] = unlisted }
    if let present { counts[present.standing, default: 0] += 1 }
    return Standing(
      permille: permille(score.total / 1_000),
      parts: [
        .init(name: "attestation", permille: permille(score.attestation)),
        .init(name: "reliability", permille: permille(score.reliability)),
        .init(name: "capability", permille: permille(score.capability)),
        .init(name: "availability", permille: permille(score.availability)),
        .init(name: "network", permille: permille(score.network)),
      ],
      reasons: counts.sorted { ($0.value, $1.key.rawValue) > ($1.value, $0.key.rawValue) }
        .map { .init(reason: $0.key, count: min($0.value, 1 << 30)) })
  }
}

extension ReasonCode {
  /// The wire's reason as an owner reads it: why the machine got no work.
  var standing: Reason {
    switch self {
    // Clients asked for the model and drew, or preferred, others.
    case .notNamed: .noDemand
    case .costlier, .excluded: .superseded
    case .notConnected: .nodeLost
    default: wire
    }
  }
}
