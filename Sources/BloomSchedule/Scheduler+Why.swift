package import BloomBase

/// What a node gets to know about its work, or the lack of it.
package struct NodeStanding: Equatable, Sendable {
  /// The score with its parts.
  package var score: TrustScore
  /// Whether a request could be given to it this moment, and if not, why.
  package var present: ReasonCode?
  /// Times each reason was met in the window, ``ReasonCode/notNamed`` included.
  package var reasons: [ReasonCode: Int]
  /// Measured tokens a second of one lone stream for each model it serves.
  package var decodeRates: [ModelID: Double]
}

extension Scheduler {
  /// Why a node got the work it got: counted by the evaluator as it decided.
  ///
  /// - Parameters:
  ///   - node: Any node ever seen and not forgotten; `nil` for others.
  ///   - hours: 1…24, the present hour included.
  ///   - now: The time.
  /// - Returns: The standing, or `nil`.
  package func standing(of node: NodeID, hours: Int, now: Instant) -> NodeStanding? {
    guard let number = nodeNumbers[node] else { return nil }
    var counts = self.reasons[number]
    for item in tally.items where item.node == number { counts.add(item.reason, hour: item.hour) }
    var reasons = counts.counts(hours: hours, now: now.hour)
    let named = counts.namedCount(hours: hours, now: now.hour)
    var arrivals = 0
    var rates: [ModelID: Double] = [:]
    for offer in served[number] where offers[offer].keyCount > 0 {
      rates[histories[offer].model] = histories[offer].rates.decodeRate(streams: 1)
      let model = Int(offers[offer].model)
      if model >= 0 { arrivals += models[model].arrivals.count(hours: hours, now: now.hour) }
    }
    if arrivals > named { reasons[.notNamed] = arrivals - named }
    return NodeStanding(
      score: score(number), present: obstacle(number), reasons: reasons, decodeRates: rates)
  }

  /// The score of a node that was seen and not forgotten; `nil` for others.
  package func trustScore(of node: NodeID) -> TrustScore? { nodeNumbers[node].map { score($0) } }

  /// Why a living request is where it is: every candidate with the parts of its cost.
  package mutating func decision(for request: RequestID) -> Decision? {
    living(request).map { requests[$0].decision }
  }

  mutating func tally(_ node: Int, _ reason: ReasonCode?, _ now: Instant) {
    tally.items.append(.init(node: node, reason: reason, hour: now.hour))
    if tally.items.count > TallyLog.bound { settleTally(atMost: 2) }
  }

  /// Writes the newest counts to their nodes.
  mutating func settleTally(atMost count: Int) {
    for _ in 0..<count {
      guard let item = tally.items.popLast() else { return }
      reasons[item.node].add(item.reason, hour: item.hour)
    }
  }

  private func obstacle(_ number: Int) -> ReasonCode? {
    switch nodes[number].link {
    case .active: break
    case .suspect: return .suspect
    case .draining: return .draining
    case .gone: return .notConnected
    }
    if !profiles[number].isAttested { return .attestationStale }
    if nodes[number].reliability.mean < limits.reliabilityGate { return .standingTooLow }
    let open = served[number].filter {
      offers[$0].keyCount > 0 && offers[$0].slots > 0
    }
    if open.isEmpty { return .paused }
    return open.contains { offers[$0].freeSlots > 0 } ? nil : .busy
  }
}
