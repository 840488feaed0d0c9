internal import BloomBase
internal import BloomLedger
internal import BloomSchedule
internal import BloomStore

extension Hub {
  /// The work of a request, with what its answer can cost at each machine when the user set a cap.
  ///
  /// Call it after the reservation: the answer is charged by the price version that it began with,
  /// so a change of prices meanwhile changes neither what is charged nor where it may go.
  func priced(_ request: SealedRequest) -> WorkRequest {
    var work = request.work
    guard work.constraints.priceCap != nil else { return work }
    let terms = request.reservation
    let key = PriceKey(terms.model, terms.kind)
    let candidates = request.work.candidates.map { candidate in
      // One's own machine is free.
      let session = sessionOfNode[candidate.node].flatMap { sessions[$0] }
      return (node: candidate.node, isOwn: session?.record?.profile.owner == terms.payer)
    }
    let costs = store.read { ledger in
      let version = ledger.answers[terms.answer]?.priceVersion ?? ledger.prices.version
      return candidates.map { candidate -> Micros in
        if candidate.isOwn { return .zero }
        return ledger.prices.price(
          key, node: candidate.node, version: version, policy: ledger.policy.policy
        ).worstCase(
          promptTokens: terms.maxPromptTokens, completionTokens: terms.maxCompletionTokens)
      }
    }
    for cost in costs { work.costs.append(cost) }
    return work
  }

  /// The highest price of its own that a machine's owner may set now, in thousandths of the list
  /// price; a machine that was not seen since the start may ask the list price.
  func highestPrice(of node: NodeID, within bound: Int) -> Int {
    scheduler.trustScore(of: node)?.highestPrice(within: bound) ?? 1000
  }
}
