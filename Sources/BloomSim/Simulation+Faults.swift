internal import BloomBase
internal import BloomLedger
internal import BloomLink
internal import BloomSchedule
internal import BloomWire

extension Simulation {
  func injectFault() {
    let number = Int.random(in: 0..<nodes.count, using: &chance)
    trace(UInt64(number))
    switch Int.random(in: 0..<8, using: &chance) {
    case 0, 1: sleep(number)
    case 2: crash(number)
    case 3, 4:
      if let connection = nodes[number].connection { cut(connection) }
    case 5, 6: ownerReturns(number)
    default: crashCoordinator()
    }
  }

  /// The lid closes: nothing is said, nothing is heard.
  private func sleep(_ number: Int) {
    guard !nodes[number].isAsleep else { return }
    count { $0.nodeFaults += 1 }
    nodes[number].isAsleep = true
    queue.add(.wake(number), at: now + milliseconds(200 + draw(8000)))
  }

  func wake(_ number: Int) {
    nodes[number].isAsleep = false
    if nodes[number].isDraining {
      nodes[number].isDraining = false
      perform(number, nodes[number].machine.say(.capacity(nodes[number].capacity(model))))
    }
    perform(number, nodes[number].machine.tick(now: now))
    if nodes[number].connection == nil { connect(number) }
  }

  /// The agent and its worker die; what is on disk stays.
  private func crash(_ number: Int) {
    count { $0.nodeFaults += 1 }
    if let connection = nodes[number].connection { cut(connection, noticed: .coordinator) }
    nodes[number].connection = nil
    nodes[number].jobs = [:]
    nodes[number].machine = NodeLinkMachine(release: .zero)
    for saved in nodes[number].disk {
      nodes[number].machine.restore(receipt: saved.receipt, digest: saved.digest)
    }
    queue.add(.connect(number), at: now + milliseconds(500 + draw(4000)))
  }

  enum Noticed {
    case both
    case coordinator
  }

  /// The connection breaks; each side finds out in its own time.
  func cut(_ connection: Int, noticed: Noticed = .both) {
    guard !connections[connection].isCut else { return }
    count { $0.nodeFaults += 1 }
    connections[connection].isCut = true
    queue.add(
      .connectionLost(connection: connection, nodeSide: false), at: now + milliseconds(draw(3000)))
    if noticed == .both {
      queue.add(
        .connectionLost(connection: connection, nodeSide: true), at: now + milliseconds(draw(3000)))
    }
  }

  func lost(_ connection: Int, nodeSide: Bool) {
    if nodeSide {
      let number = connections[connection].node
      guard nodes[number].connection == connection else { return }
      nodes[number].connection = nil
      perform(number, nodes[number].machine.disconnected())
      queue.add(.connect(number), at: now + milliseconds(100 + draw(500)))
    } else {
      coordinatorLosesLink(connection)
    }
  }

  /// The owner returns: the machine drains, gives half of its work back, and is free again later.
  private func ownerReturns(_ number: Int) {
    guard !nodes[number].isAsleep, !nodes[number].isDraining else { return }
    nodes[number].isDraining = true
    perform(number, nodes[number].machine.say(.draining(.ownerActive)))
    for (index, stream) in nodes[number].streams.enumerated() where index.isMultiple(of: 2) {
      guard let job = nodes[number].jobs.removeValue(forKey: stream) else { continue }
      let receipt = nodes[number].receipt(job, .stopped)
      perform(number, nodes[number].machine.receipt(stream, receipt.bytes))
      perform(number, nodes[number].machine.handBack(stream, .ownerActive))
    }
    queue.add(.wake(number), at: now + milliseconds(2000 + draw(5000)))
  }

  /// The coordinator is killed: every connection breaks, memory is lost, the store stays.
  private func crashCoordinator() {
    guard coordinator.isUp else { return }
    count { $0.coordinatorCrashes += 1 }
    coordinator.isUp = false
    for connection in coordinator.links.keys.sorted() {
      connections[connection].isCut = true
      queue.add(
        .connectionLost(connection: connection, nodeSide: true), at: now + milliseconds(draw(300)))
    }
    for session in sessions.indices where sessions[session].isOpen {
      queue.add(.bodyEnd(session: session), at: now + milliseconds(10 + draw(100)))
    }
    checker.coordinatorDied(self)
    queue.add(.restartCoordinator, at: now + milliseconds(200 + draw(2000)))
  }

  func restartCoordinator() {
    var restarted = SimCoordinator(
      seed: plan.seed &+ UInt64(report.coordinatorCrashes), ledger: coordinator.durable)
    for answer in coordinator.durable.answers.values.sorted(by: {
      $0.id.description < $1.id.description
    }) {
      let part = UInt16(max(answer.parts.count - 1, 0))
      _ = restarted.scheduler.handle(
        .answerRestored(
          .init(answer: answer.id, part: part), answer.payer, answer.model, .tokens256,
          dispatches: answer.parts.count), now: now)
    }
    coordinator = restarted
    isCommitting = false
    scheduleArmed = nil
    scheduleDue = nil
    livingRequests = 0
  }
}
