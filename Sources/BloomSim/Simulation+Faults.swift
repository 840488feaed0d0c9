internal import BloomBase
internal import BloomLink
internal import BloomNode
internal import BloomWire

/// What goes wrong by itself.
extension Simulation {
  func injectFault() {
    let number = Int.random(in: 0..<nodes.count, using: &chance)
    trace(UInt64(number))
    guard let kind = plan.kinds.randomElement(using: &chance) else { return }
    switch kind {
    case .sleep: sleep(number, milliseconds: 200 + draw(8000))
    case .agentCrash: crash(number)
    case .workerCrash:
      guard nodes[number].worker.isUp, !nodes[number].isAsleep else { return }
      happened(kind)
      crashWorker(number)
    case .cut:
      guard let connection = nodes[number].connection else { return }
      happened(kind)
      cut(connection)
    case .ownerReturns: ownerReturns(number, milliseconds: 2000 + draw(5000))
    case .coordinatorCrash: crashCoordinator()
    case .gatewayCrash:
      let client = Int.random(in: 0..<plan.clients, using: &chance)
      happened(kind)
      for id in answerOrder {
        if let answer = answers[id], answer.client == client { leave(answer) }
      }
    case .gatewayCut:
      happened(kind)
      cutGateway(Int.random(in: 0..<plan.clients, using: &chance))
    case .dawn: dawn(nodes[number].region)
    }
  }

  private func happened(_ kind: FaultKind) { count { $0.happened[kind, default: 0] += 1 } }

  /// Morning: within seconds most owners of a region are back, and stay for long.
  private func dawn(_ region: Int) {
    happened(.dawn)
    for number in nodes.indices where nodes[number].region == region && draw(1) < 0.8 {
      let away = 5000 + draw(6000)
      if draw(1) < 0.4 {
        sleep(number, milliseconds: away)
      } else {
        ownerReturns(number, milliseconds: away)
      }
    }
  }

  /// What is under way for a client's device arrives nowhere; each side notices soon, or never.
  private func cutGateway(_ client: Int) {
    let (gatewayNotices, coordinatorNotices) = (draw(1) < 0.5, draw(1) < 0.5)
    for session in sessions.indices where sessions[session].isOpen && !sessions[session].isCut {
      guard sessions[session].part >= 0,
        answers[sessions[session].answer]?.client == client
      else { continue }
      sessions[session].isCut = true
      if gatewayNotices {
        queue.add(.bodyEnd(session: session, isBroken: true), at: now + milliseconds(draw(1000)))
      }
      if coordinatorNotices {
        queue.add(.hangUp(session: session), at: now + milliseconds(draw(3000)))
      }
    }
  }

  /// The lid closes: nothing is said, nothing is heard.
  private func sleep(_ number: Int, milliseconds length: Double) {
    guard !nodes[number].isAsleep else { return }
    happened(.sleep)
    nodes[number].isAsleep = true
    queue.add(.wake(number), at: now + milliseconds(length))
  }

  func wake(_ number: Int) {
    nodes[number].isAsleep = false
    if nodes[number].jobs.closed != nil {
      nodes[number].jobs.closed = nil
      sayCapacity(number)
    }
    perform(number, nodes[number].machine.tick(now: now))
    if nodes[number].connection == nil { connect(number) }
  }

  /// The agent and its worker die; what is on disk stays.
  private func crash(_ number: Int) {
    happened(.agentCrash)
    if let connection = nodes[number].connection { cut(connection, noticed: .coordinator) }
    nodes[number].connection = nil
    nodes[number].worker.jobs = [:]
    nodes[number].worker.incarnation += 1
    nodes[number].worker.isStepping = false
    nodes[number].worker.isUp = true
    nodes[number].jobs = JobTable()
    nodes[number].jobs.workerReady(model)
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

  /// The owner returns: the machine drains, some give their work back at once, and is free later.
  private func ownerReturns(_ number: Int, milliseconds length: Double) {
    guard !nodes[number].isAsleep, nodes[number].jobs.closed == nil else { return }
    happened(.ownerReturns)
    nodes[number].jobs.closed = .ownerActive
    perform(number, nodes[number].machine.say(.draining(.ownerActive)))
    if draw(1) < 0.5 { perform(number, nodes[number].jobs.handBackAll(.ownerActive)) }
    sayCapacity(number)
    queue.add(.wake(number), at: now + milliseconds(length))
  }
}
