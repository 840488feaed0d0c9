internal import BloomBase
internal import BloomNet
internal import BloomLedger
internal import BloomSchedule
internal import BloomStore
internal import BloomWire

extension Hub {
  /// Takes up the answers that were open when the coordinator stopped: their next part may come.
  ///
  /// The part that ran is over with the links, so the gateway need not prove that it failed. What
  /// nobody goes on with is closed by its receipts as any other.
  package func restoreAnswers() {
    let open = store.read { Array($0.answers.values) }
    for answer in open where !answer.parts.isEmpty {
      let part = RequestID(answer: answer.id, part: UInt16(answer.parts.count - 1))
      let output = OutputClass.allCases.first { $0.maximumTokens >= answer.maxCompletionTokens }
      handle(
        .answerRestored(
          part, answer.payer, answer.model, output ?? .tokens64k, dispatches: answer.parts.count))
      followable.insert(part)
      books.began(answer.id)
      books.ended(answer.id, now: time.now())
    }
    if !open.isEmpty { log.info("answers taken up again", ["count": .count(open.count)]) }
  }

  /// Has what was submitted written soon, without anybody waiting: one group after the other.
  ///
  /// A little later than at once, so that the disk's thread leaves the cores to the request's way
  /// to its machine, and an answer's reservation and its settlement are often one group.
  /// A machine whose coordinator was killed is paid only for an answer that the books remember.
  func flushLater(_ ticket: LedgerStore.Ticket) {
    unflushed = ticket
    guard !isFlushing else { return }
    isFlushing = true
    Task { await flush() }
  }

  private static let flushDelay = Duration.milliseconds(20)

  private func flush() async {
    // Nobody cancels this task, so the sleep does not fail.
    try? await loop.sleep(for: Self.flushDelay)
    while let ticket = unflushed {
      unflushed = nil
      do {
        try await store.durable(ticket)
      } catch {
        log.error("ledger store failed", ["reason": .error(error)])
      }
    }
    isFlushing = false
  }

  /// Tells the gateways of what still runs to go on elsewhere; their receipts so far count.
  ///
  /// For the end of a drain that took too long.
  package func handOver() {
    for relay in Array(relays.values) where !relay.isEnded {
      followable.insert(relay.id)
      relay.sink.push(
        .attemptFailed(reason: .draining, isRetriable: true, retryAfterMilliseconds: 1000),
        attempt: relay.attempts.count)
      handle(.requestCancelled(relay.id))
    }
  }
}
