internal import BloomBase

extension Answer {
  /// This answer with a receipt noted; `nil` when it says nothing new.
  ///
  /// Tokens are charged in the order their receipts come: a position another part has delivered
  /// before is a duplicate, whoever claims it later. So a late or inflated receipt of a lost part
  /// cannot take from the one that finished.
  func noting(_ facts: ReceiptFacts, _ now: UnixTime) throws(LedgerError) -> Answer? {
    guard facts.signedAt.seconds + LedgerLimits.receiptAgeSeconds >= now.seconds else {
      throw .receiptTooOld
    }
    guard facts.isInRange else { throw .inconsistentReceipt }
    guard parts.indices.contains(facts.part) else { throw .unknownPart }
    guard facts.model == model else { throw .termsDiffer }
    guard !SystemAccount.isReserved(facts.owner) else { throw .reservedAccount }
    var served =
      parts[facts.part].served
      ?? AnswerPart.Served(
        node: facts.node, owner: facts.owner, receipt: facts.digest,
        basePromptTokens: facts.basePromptTokens, replayedTokens: facts.replayedTokens,
        completionTokens: 0, chargedTokens: 0, duplicateTokens: 0, chargesPrompt: false,
        isFinal: false, claimedTooMuch: false, proof: [])
    guard served.node == facts.node, served.owner == facts.owner else { throw .wrongNode }
    guard served.basePromptTokens == facts.basePromptTokens,
      served.replayedTokens == facts.replayedTokens
    else { throw .inconsistentReceipt }
    let isFirst = parts[facts.part].served == nil
    let isLater =
      facts.completionTokens > served.completionTokens
      || facts.completionTokens == served.completionTokens && facts.isFinal && !served.isFinal
    guard isFirst || isLater && !served.isFinal else { return nil }

    let start = facts.replayedTokens
    let fresh = (start + served.completionTokens)..<(start + facts.completionTokens)
    let uncovered = uncovered(fresh, except: facts.part)
    let payable = min(uncovered, max(0, maxCompletionTokens - chargedTokens))
    served.chargedTokens += payable
    served.duplicateTokens += fresh.count - uncovered
    served.completionTokens = facts.completionTokens
    served.receipt = facts.digest
    served.isFinal = facts.isFinal
    served.proof = facts.proof
    // The user's own machine never takes the prompt's price with it, or a first token made there
    // would have the pool pay for the prompt elsewhere.
    if facts.owner != payer, !parts.contains(where: { $0.served?.chargesPrompt == true }) {
      served.chargesPrompt = true
    }
    served.claimedTooMuch =
      served.claimedTooMuch || payable < uncovered || facts.basePromptTokens > maxPromptTokens
    var updated = self
    updated.parts[facts.part].served = served
    return updated
  }

  /// What each part with a receipt earns.
  ///
  /// - Parameters:
  ///   - prices: The table; the answer's own version of it is used.
  ///   - policy: The policy in force.
  ///   - replayBudget: What the pool can still pay today.
  /// - Returns: The lines, in order of parts.
  func lines(
    prices: PriceBook, policy: LedgerPolicy, replayBudget: Micros
  ) -> [SettlementLine] {
    var lines: [SettlementLine] = []
    var budget = replayBudget
    var replays = 0
    for (number, part) in parts.enumerated() {
      guard let served = part.served else { continue }
      let isOwn = served.owner == payer
      let price =
        isOwn
        ? .free
        : prices.price(
          PriceKey(model, kind), node: served.node, version: priceVersion, policy: policy
        ).capped(by: ceiling)
      let promptTokens = served.chargesPrompt ? min(served.basePromptTokens, maxPromptTokens) : 0
      let gross = price.cost(promptTokens: promptTokens, completionTokens: served.chargedTokens)
      let fee = policy.fee(of: gross)
      // Only what receipts of other parts bear out was replayed, and a part that prefilled the
      // prompt again did that work too.
      let backed = min(served.replayedTokens, frontier(except: number))
      let again = served.chargesPrompt ? 0 : min(served.basePromptTokens, maxPromptTokens)
      let replayed = min(backed, maxCompletionTokens) + again
      let duplicates = min(served.duplicateTokens, maxCompletionTokens)
      var replayPaid = Micros.zero
      if !isOwn, replays < policy.replaysPerAnswer {
        let cost = price.cost(promptTokens: replayed, completionTokens: duplicates)
        replayPaid = min(cost, budget)
        budget = budget - replayPaid
        if replayPaid > .zero { replays += 1 }
      }
      lines.append(
        SettlementLine(
          part: number, node: served.node, owner: served.owner, receipt: served.receipt,
          promptTokens: promptTokens, completionTokens: served.chargedTokens,
          replayedTokens: replayed, duplicateTokens: duplicates, price: price, gross: gross,
          fee: fee, poolShare: policy.poolShare(of: fee), replayPaid: replayPaid,
          isHeld: part.isMismatched || served.claimedTooMuch))
    }
    return lines
  }
}
