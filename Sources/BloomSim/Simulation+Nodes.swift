internal import BloomBase
internal import BloomLink
internal import BloomNode
internal import BloomWire

/// The agents: link machine and job table are the real ones.
extension Simulation {
  func connect(_ number: Int) {
    guard nodes[number].connection == nil, !nodes[number].isAsleep else { return }
    guard coordinator.isUp else {
      return queue.add(.connect(number), at: now + milliseconds(200 + draw(300)))
    }
    let connection = connections.count
    connections.append((number, now, now, false))
    nodes[number].connection = connection
    let nonce = SimBytes.digest(SimBytes.words([UInt64(connection), plan.seed]))
    coordinator.links[connection] = CoordinatorLinkMachine(nonce: nonce, exporter: nil, now: now)
    queue.add(.linkDue(connection: connection), at: now + .seconds(10))
    perform(number, nodes[number].machine.connected(now: now))
  }

  func nodeReceives(_ connection: Int, _ bytes: [UInt8]) {
    let number = connections[connection].node
    guard nodes[number].connection == connection else { return }
    if nodes[number].isAsleep {
      // The kernel keeps it for the machine until it wakes or the connection is found dead.
      return queue.add(.toNode(connection: connection, bytes), at: now + .seconds(1))
    }
    perform(number, nodes[number].machine.received(bytes, now: now))
  }

  func nodeDue(_ number: Int) {
    guard nodes[number].armedAt == now else { return }
    nodes[number].armedAt = nil
    guard !nodes[number].isAsleep else { return }
    // A worker beats while it works, reading a prompt or producing.
    if nodes[number].worker.isUp, nodes[number].jobs.count > 0 {
      nodes[number].machine.beat(model, now: now)
    }
    perform(number, nodes[number].machine.tick(now: now))
  }

  func reportCapacity(_ number: Int) {
    guard nodes[number].machine.isOpen, !nodes[number].isAsleep else { return }
    if nodes[number].vice == .babbles, draw(1) < 0.3, let connection = nodes[number].connection {
      carry(connection, toNode: false, [0xff, 0x00, UInt8(network.next() & 0xff)])
    }
    sayCapacity(number)
    queue.add(.report(number), at: now + .seconds(5))
  }

  func sayCapacity(_ number: Int) {
    perform(number, nodes[number].machine.say(.capacity(nodes[number].capacity(model))))
  }

  func perform(_ number: Int, _ effects: [NodeLinkEffect]) {
    for effect in effects {
      switch effect {
      case .send(let bytes):
        if let connection = nodes[number].connection { carry(connection, toNode: false, bytes) }
      case .ping: nodes[number].machine.heard(now: now)
      case .prove:
        let record = SimBytes.words([UInt64(number)])
        let signature = [UInt8](repeating: UInt8(number & 0xff), count: 64)
        perform(
          number,
          nodes[number].machine.prove(record: record, binding: .nonceOnly, signature: signature))
      case .welcomed: reportCapacity(number)
      case .request(let stream, let head, let body):
        perform(number, nodes[number].jobs.requested(stream, head: head, body: body))
      case .stop(let stream, let reason):
        perform(number, nodes[number].jobs.stop(stream, reason))
      case .pause(let stream): nodes[number].jobs.pause(stream)
      case .resume(let stream): perform(number, nodes[number].jobs.resume(stream))
      case .forget(let receipt): nodes[number].disk.removeAll { $0.digest == receipt }
      case .told: break
      case .close(_, let retryAfter):
        if let connection = nodes[number].connection {
          nodes[number].connection = nil
          queue.add(
            .connectionLost(connection: connection, nodeSide: false), at: now + milliseconds(20))
        }
        queue.add(.connect(number), at: now + (retryAfter ?? milliseconds(100 + draw(400))))
      }
    }
    armNode(number)
  }

  func perform(_ number: Int, _ effects: [JobTable.Effect]) {
    for effect in effects {
      switch effect {
      case .command(_, let command): tell(number, command)
      case .accept(let stream): perform(number, nodes[number].machine.accept(stream, now: now))
      case .refuse(let stream, let reason, let retryAfter):
        perform(
          number,
          nodes[number].machine.refuse(stream, reason, retryAfterMilliseconds: retryAfter))
      case .answer(let stream, let bytes):
        perform(number, nodes[number].machine.answer(stream, bytes))
      case .receipt(let stream, let receipt):
        perform(number, nodes[number].machine.receipt(stream, receipt))
      case .done(let stream, let receipt): store(number, receipt, of: stream)
      case .handBack(let stream, let reason):
        perform(number, nodes[number].machine.handBack(stream, reason))
      }
    }
  }

  /// Bytes on their way; one direction of one connection keeps its order.
  func carry(_ connection: Int, toNode: Bool, _ bytes: [UInt8]) {
    guard !connections[connection].isCut else { return }
    if toNode {
      connections[connection].toNode = arrival(after: connections[connection].toNode)
      queue.add(.toNode(connection: connection, bytes), at: connections[connection].toNode)
    } else {
      connections[connection].toCoordinator = arrival(
        after: connections[connection].toCoordinator)
      queue.add(
        .toCoordinator(connection: connection, bytes), at: connections[connection].toCoordinator)
    }
  }

  func armNode(_ number: Int) {
    guard let deadline = nodes[number].machine.nextDeadline else { return }
    let due = max(deadline, now + milliseconds(10))
    if let armed = nodes[number].armedAt, armed > now, armed <= due { return }
    nodes[number].armedAt = due
    queue.add(.nodeDue(number), at: due)
  }

  /// The receipt is money: first the disk, then the link.
  private func store(_ number: Int, _ receipt: [UInt8], of stream: StreamID) {
    let digest = SimBytes.digest(receipt)
    nodes[number].disk.append((receipt, digest))
    perform(
      number,
      nodes[number].machine.done(stream, receipt: receipt, digest: digest, now: now))
    if nodes[number].vice == .repeats, let connection = nodes[number].connection {
      let again = AgentMessage.done(StreamID(0), receipt: receipt).encoded
      for _ in 0..<2 { carry(connection, toNode: false, again) }
    }
  }
}
