internal import BloomBase
internal import BloomLink
internal import BloomWire

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
    nodes[number].machine.beat(model, now: now)
    perform(number, nodes[number].machine.tick(now: now))
  }

  func reportCapacity(_ number: Int) {
    guard nodes[number].machine.isOpen, !nodes[number].isAsleep else { return }
    if nodes[number].vice == .babbles, draw(1) < 0.3, let connection = nodes[number].connection {
      carry(connection, toNode: false, [0xff, 0x00, UInt8(network.next() & 0xff)])
    }
    perform(number, nodes[number].machine.say(.capacity(nodes[number].capacity(model))))
    queue.add(.report(number), at: now + .seconds(5))
  }

  /// The prompt is read: decoding begins.
  func read(_ number: Int, _ connection: Int, _ stream: StreamID) {
    guard nodes[number].connection == connection, nodes[number].jobs[stream] != nil else { return }
    if nodes[number].isAsleep {
      return queue.add(
        .firstToken(node: number, connection: connection, stream), at: now + .seconds(1))
    }
    nodes[number].jobs[stream]?.isReading = false
    if !nodes[number].isStepping { armStep(number) }
  }

  /// Eight tokens of every stream.
  func step(_ number: Int) {
    nodes[number].isStepping = false
    if nodes[number].isAsleep {
      nodes[number].isStepping = true
      return queue.add(.step(node: number), at: now + .seconds(1))
    }
    nodes[number].machine.beat(model, now: now)
    for stream in nodes[number].decoding {
      guard var job = nodes[number].jobs[stream], !job.isPaused else { continue }
      let total = job.request.answerTokens
      var bytes: [UInt8] = []
      for _ in 0..<8 where job.request.delivered + job.produced < total {
        let index = job.request.delivered + job.produced
        bytes += SimBytes.words([UInt64(index), SimBytes.token(job.request.seed, index)])
        job.produced += 1
        job.unreceipted += 1
      }
      nodes[number].jobs[stream] = job
      if !bytes.isEmpty { perform(number, nodes[number].machine.answer(stream, bytes)) }
      if job.request.delivered + job.produced >= total {
        endJob(number, stream, .complete)
      } else if job.unreceipted >= 64 {
        nodes[number].jobs[stream]?.unreceipted = 0
        let receipt = nodes[number].receipt(job, .running)
        perform(number, nodes[number].machine.receipt(stream, receipt.bytes))
      }
    }
    if !nodes[number].decoding.isEmpty { armStep(number) }
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
      case .welcomed:
        reportCapacity(number)
      case .request(let stream, _, let body): take(number, stream, body)
      case .stop(let stream, let reason): stop(number, stream, reason)
      case .pause(let stream): nodes[number].jobs[stream]?.isPaused = true
      case .resume(let stream): nodes[number].jobs[stream]?.isPaused = false
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

  private func armStep(_ number: Int) {
    nodes[number].isStepping = true
    queue.add(.step(node: number), at: now + milliseconds(nodes[number].stepSeconds * 1000))
  }

  private func take(_ number: Int, _ stream: StreamID, _ body: [UInt8]) {
    guard let request = SimBytes.Request(body), let connection = nodes[number].connection else {
      return perform(
        number, nodes[number].machine.refuse(stream, .malformed, retryAfterMilliseconds: 0))
    }
    let isFull = nodes[number].jobs.count >= nodes[number].slots
    if isFull || nodes[number].isDraining {
      return perform(
        number, nodes[number].machine.refuse(stream, .busy, retryAfterMilliseconds: 1000))
    }
    nodes[number].jobs[stream] = SimNode.Job(request: request)
    perform(number, nodes[number].machine.accept(stream, now: now))
    let tokens = Double(request.promptTokens + request.delivered)
    let seconds = 0.05 + tokens / nodes[number].prefillRate
    queue.add(
      .firstToken(node: number, connection: connection, stream),
      at: now + milliseconds(seconds * 1000))
  }

  private func stop(_ number: Int, _ stream: StreamID, _ reason: Reason) {
    if nodes[number].vice == .ignoresCancel, reason != .nodeLost { return }
    endJob(number, stream, .stopped)
  }

  private func endJob(_ number: Int, _ stream: StreamID, _ end: SimBytes.Receipt.End) {
    guard let job = nodes[number].jobs.removeValue(forKey: stream) else { return }
    let receipt = nodes[number].receipt(job, end)
    nodes[number].disk.append((receipt.bytes, receipt.digest))
    perform(
      number,
      nodes[number].machine.done(
        stream, receipt: receipt.bytes, digest: receipt.digest, now: now))
    if nodes[number].vice == .repeats, let connection = nodes[number].connection {
      let again = AgentMessage.done(StreamID(0), receipt: receipt.bytes).encoded
      for _ in 0..<2 { carry(connection, toNode: false, again) }
    }
  }
}
