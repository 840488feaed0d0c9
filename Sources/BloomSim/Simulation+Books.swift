internal import BloomBase
internal import BloomCoordinator
internal import BloomLedger
internal import BloomLink
internal import BloomSchedule

/// The coordinator's ledger and its store: written in groups, killed and recovered.
extension Simulation {
  /// The store writes everything up to here.
  func commit() {
    isCommitting = false
    guard coordinator.isUp else { return }
    let changes = coordinator.ledger.takeChanges()
    do {
      try store.commit(changes, of: coordinator.ledger)
    } catch {
      return checker.fault(self, "the store failed: \(error.safeDescription)")
    }
    count { $0.commits += 1 }
    checker.written(changes, coordinator.booked)
    coordinator.booked = []
    let acknowledgements = coordinator.acknowledgements
    coordinator.acknowledgements = []
    for item in acknowledgements {
      checker.confirms(self, item.receipt)
      if let effects = coordinator.links[item.connection]?.stored(receipt: item.receipt) {
        perform(item.connection, effects)
      }
    }
  }

  /// Closes answers that nobody goes on with, and those whose deadline has passed.
  func sweep() {
    queue.add(.sweep, at: now + .seconds(5))
    guard coordinator.isUp, plan.sabotage != .keepsReservations else { return }
    let due = coordinator.books.takeDue(now: now) + coordinator.ledger.overdue(at: unixTime)
    for answer in due.sorted(by: { $0.description < $1.description }) { book(.close(answer)) }
  }

  /// Applies a command; `nil` for one that the books refuse, which changes nothing.
  @discardableResult
  func book(_ command: LedgerCommand) -> LedgerOutcome? {
    do throws(LedgerError) {
      let outcome = try coordinator.ledger.apply(command, at: unixTime)
      armCommit()
      return outcome
    } catch {
      return nil
    }
  }

  func armCommit() {
    guard !isCommitting else { return }
    isCommitting = true
    queue.add(.commit, at: now + .milliseconds(3))
  }

  /// The coordinator is killed: every connection breaks, memory is lost, the store stays.
  func crashCoordinator() {
    guard coordinator.isUp else { return }
    count { $0.happened[.coordinatorCrash, default: 0] += 1 }
    coordinator.isUp = false
    let changes = coordinator.ledger.takeChanges()
    let point = Int.random(in: 0..<3, using: &chance)
    do {
      try store.kill(changes, of: coordinator.ledger, point: point)
    } catch {
      return checker.fault(self, "the store failed: \(error.safeDescription)")
    }
    if point == 2 { checker.written(changes, coordinator.booked) }
    for connection in coordinator.links.keys.sorted() {
      connections[connection].isCut = true
      queue.add(
        .connectionLost(connection: connection, nodeSide: true), at: now + milliseconds(draw(300)))
    }
    for session in sessions.indices where sessions[session].isOpen {
      queue.add(
        .bodyEnd(session: session, isBroken: true), at: now + milliseconds(10 + draw(100)))
    }
    checker.coordinatorDied()
    queue.add(.restartCoordinator, at: now + milliseconds(200 + draw(2000)))
  }

  func restartCoordinator() {
    let ledger: Ledger
    do {
      ledger = try store.recover(at: unixTime)
    } catch {
      return checker.fault(self, "the store cannot be read: \(error.safeDescription)")
    }
    count { $0.recoveries += 1 }
    coordinator = SimCoordinator(
      seed: plan.seed &+ UInt64(report.coordinatorCrashes), ledger: ledger)
    for answer in ledger.answers.values.sorted(by: { $0.id.description < $1.id.description }) {
      let last = RequestID(answer: answer.id, part: UInt16(max(answer.parts.count - 1, 0)))
      coordinator.followable.insert(last)
      coordinator.books.began(answer.id)
      coordinator.books.ended(answer.id, now: now)
      _ = coordinator.scheduler.handle(
        .answerRestored(
          last, answer.payer, answer.model, .tokens256, dispatches: answer.parts.count),
        now: now)
    }
    isCommitting = false
    scheduleArmed = nil
    scheduleDue = nil
    livingRequests = 0
  }
}
