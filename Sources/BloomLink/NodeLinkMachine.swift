package import BloomBase
package import BloomWire

/// What the agent's driver of its link must do, in order.
package enum NodeLinkEffect: Equatable, Sendable {
  /// Write one binary message.
  case send([UInt8])
  /// Ask the transport for a sign of life, and say ``NodeLinkMachine/heard(now:)`` when it comes.
  case ping
  /// Sign ``LinkProof`` over this nonce with the identity key, then call `prove`.
  case prove(nonce: Digest)
  /// The link is open.
  case welcomed(UnixTime)
  /// A complete sealed request for the worker. Answer with `accept` or `refuse`.
  case request(StreamID, head: [UInt8], body: [UInt8])
  /// Stop the work: cancelled, or the link broke. When the link is still there, say `done` with the
  /// last receipt.
  case stop(StreamID, Reason)
  /// Enough answer bytes wait for credit: pause the worker's stream.
  case pause(StreamID)
  /// Credit came: go on.
  case resume(StreamID)
  /// The coordinator has this final receipt: it may be deleted from disk.
  case forget(receipt: Digest)
  /// Something for the owner's display or the model store.
  case told(CoordinatorMessage)
  /// Close the connection and come back after this long, counted from now.
  case close(Reason, retryAfter: Duration?)
}

/// The agent's half of its link to the coordinator: bytes and times in, effects out.
///
/// It outlives connections: final receipts are sent again, on stream 0 of a later link, until they are
/// acknowledged. Everything else ends with its connection.
package struct NodeLinkMachine: Sendable {
  private enum State: Equatable, Sendable {
    /// No connection.
    case idle
    /// The hello is out.
    case greeting
    /// The driver signs.
    case proving
    /// The proof is out.
    case proven
    /// Welcome.
    case open
  }

  private struct Incoming: Equatable, Sendable {
    var head: [UInt8]
    var body: [UInt8] = []
    var byteCount: Int
  }

  private struct Outgoing: Equatable, Sendable {
    var answer: ByteWindow
    var isPaused = false
    /// The newest running receipt, sent when the bytes that it covers have left.
    var running: [UInt8]?
    /// The last receipt, sent when the bytes before it have left.
    var last: (receipt: [UInt8], digest: Digest)?
    var handback: Reason?

    static func == (a: Outgoing, b: Outgoing) -> Bool {
      a.answer == b.answer && a.isPaused == b.isPaused && a.running == b.running
        && a.last?.digest == b.last?.digest
        && a.handback == b.handback
    }
  }

  private struct Unconfirmed: Equatable, Sendable {
    var digest: Digest
    var receipt: [UInt8]
    var sentAt: Instant?
  }

  private let limits: LinkLimits
  private let release: Digest
  private var state = State.idle
  private var incoming: [StreamID: Incoming] = [:]
  private var outgoing: [StreamID: Outgoing] = [:]
  private var unconfirmed: [Unconfirmed] = []
  private var beats: [ModelID: Instant] = [:]
  private var startedAt = Instant(nanoseconds: 0)
  private var heardAt = Instant(nanoseconds: 0)
  private var pulsedAt = Instant(nanoseconds: 0)
  private var pingedAt = Instant(nanoseconds: 0)
  private var effects: [NodeLinkEffect] = []

  /// Starts without a connection.
  ///
  /// - Parameters:
  ///   - release: The digest of the release that runs.
  ///   - limits: Times and sizes.
  package init(release: Digest, limits: LinkLimits = LinkLimits()) {
    self.release = release
    self.limits = limits
  }

  /// Whether the link is welcome.
  package var isOpen: Bool { state == .open }

  /// Final receipts that the coordinator has not acknowledged.
  package var unconfirmedCount: Int { unconfirmed.count }

  /// Takes over a final receipt that was found on disk at the start.
  package mutating func restore(receipt: [UInt8], digest: Digest) {
    keep(receipt, digest, sentAt: nil)
  }

  /// A connection is there.
  package mutating func connected(now: Instant) -> [NodeLinkEffect] {
    dropStreams()
    state = .greeting
    startedAt = now
    heardAt = now
    pingedAt = now
    send(.hello(versions: LinkVersion.supported, release: release))
    return flush()
  }

  /// The connection is gone.
  ///
  /// Work for it has no reader any more and is stopped.
  package mutating func disconnected() -> [NodeLinkEffect] {
    state = .idle
    dropStreams()
    for index in unconfirmed.indices { unconfirmed[index].sentAt = nil }
    return flush()
  }

  /// The proof that ``NodeLinkEffect/prove(nonce:)`` asked for.
  ///
  /// - Parameters:
  ///   - record: The node record as it is now.
  ///   - binding: Whether the signature covers the connection's exporter.
  ///   - signature: 64 bytes by the identity key over ``LinkProof``.
  /// - Returns: What to do.
  package mutating func prove(
    record: [UInt8], binding: ChannelBinding, signature: [UInt8]
  ) -> [NodeLinkEffect] {
    guard state == .proving else { return [] }
    state = .proven
    send(.proof(record: record, binding: binding, signature: signature))
    return flush()
  }

  /// Takes one binary message.
  ///
  /// Bytes that cannot be read end the connection.
  package mutating func received(_ bytes: [UInt8], now: Instant) -> [NodeLinkEffect] {
    guard state != .idle else { return [] }
    heardAt = max(heardAt, now)
    do throws(WireError) {
      take(try CoordinatorMessage(decoding: bytes), now)
    } catch .unknownMessage {
      // A newer coordinator may say more; what is not understood is passed over.
    } catch {
      close(.malformed, nil)
    }
    return flush()
  }

  /// A worker gave a sign of life.
  package mutating func beat(_ model: ModelID, now: Instant) { beats[model] = now }

  /// A worker is gone; it owes no beats any more.
  package mutating func workerEnded(_ model: ModelID) { beats[model] = nil }

  /// The worker takes the request.
  package mutating func accept(_ stream: StreamID, now: Instant) -> [NodeLinkEffect] {
    guard outgoing[stream] != nil else { return [] }
    send(.accept(stream))
    return flush()
  }

  /// The request is not taken; nothing will be charged.
  package mutating func refuse(
    _ stream: StreamID, _ reason: Reason, retryAfterMilliseconds: Int
  ) -> [NodeLinkEffect] {
    guard outgoing.removeValue(forKey: stream) != nil else { return [] }
    send(.refuse(stream, reason, retryAfterMilliseconds: retryAfterMilliseconds))
    return flush()
  }

  /// Bytes of a sealed answer; they leave in order as credit allows.
  package mutating func answer(_ stream: StreamID, _ bytes: [UInt8]) -> [NodeLinkEffect] {
    guard outgoing[stream] != nil else { return [] }
    outgoing[stream]?.answer.append(bytes)
    sendAnswer(stream)
    if let waiting = outgoing[stream]?.answer.waiting, waiting > limits.answerBytes,
      outgoing[stream]?.isPaused == false
    {
      outgoing[stream]?.isPaused = true
      effects.append(.pause(stream))
    }
    return flush()
  }

  /// A running receipt.
  ///
  /// It leaves after the bytes that came before it: ahead of them it would be refused. Only the
  /// newest waits, since receipts are cumulative.
  package mutating func receipt(_ stream: StreamID, _ receipt: [UInt8]) -> [NodeLinkEffect] {
    guard outgoing[stream] != nil else { return [] }
    outgoing[stream]?.running = receipt
    sendAnswer(stream)
    return flush()
  }

  /// The answer is over.
  ///
  /// The receipt must be on disk; it is resent until acknowledged.
  package mutating func done(
    _ stream: StreamID, receipt: [UInt8], digest: Digest, now: Instant
  ) -> [NodeLinkEffect] {
    guard outgoing[stream] != nil else {
      // The link broke meanwhile: stream 0 of this or a later link carries it.
      keep(receipt, digest, sentAt: nil)
      resend(now)
      return flush()
    }
    keep(receipt, digest, sentAt: now)
    outgoing[stream]?.last = (receipt, digest)
    sendAnswer(stream)
    return flush()
  }

  /// The work is given back: the owner returned.
  ///
  /// What was delivered stands.
  package mutating func handBack(_ stream: StreamID, _ reason: Reason) -> [NodeLinkEffect] {
    guard outgoing[stream] != nil else { return [] }
    outgoing[stream]?.handback = reason
    sendAnswer(stream)
    return flush()
  }

  /// Sends a message that belongs to no stream: record, capacity, models, draining.
  package mutating func say(_ message: AgentMessage) -> [NodeLinkEffect] {
    guard state == .open else { return [] }
    send(message)
    return flush()
  }

  /// The transport heard the other side, for example by a pong.
  package mutating func heard(now: Instant) { heardAt = max(heardAt, now) }

  /// Time passed; needed at ``nextDeadline``.
  package mutating func tick(now: Instant) -> [NodeLinkEffect] {
    switch state {
    case .idle: return []
    case .greeting, .proving, .proven:
      if now - startedAt >= limits.handshake { close(.nodeSilent, nil) }
    case .open:
      if now - heardAt >= limits.idleAfter {
        close(.nodeSilent, nil)
        return flush()
      }
      if isWorking, now - pulsedAt >= limits.pulse { pulse(now) }
      if now - heardAt >= limits.pingEvery, now - pingedAt >= limits.pingEvery {
        pingedAt = now
        effects.append(.ping)
      }
      resend(now)
    }
    return flush()
  }

  /// When ``tick(now:)`` is due next; `nil` without a connection.
  package var nextDeadline: Instant? {
    switch state {
    case .idle: return nil
    case .greeting, .proving, .proven: return startedAt + limits.handshake
    case .open:
      var next = min(
        heardAt + limits.idleAfter, max(heardAt, pingedAt) + limits.pingEvery)
      if isWorking { next = min(next, pulsedAt + limits.pulse) }
      for receipt in unconfirmed.prefix(8) {
        if let sentAt = receipt.sentAt { next = min(next, sentAt + limits.resendAfter) }
      }
      return next
    }
  }

  private var isWorking: Bool { !outgoing.isEmpty || !incoming.isEmpty }

  private mutating func take(_ message: CoordinatorMessage, _ now: Instant) {
    switch message {
    case .challenge(let nonce):
      guard state == .greeting else { return close(.malformed, nil) }
      state = .proving
      effects.append(.prove(nonce: nonce))
    case .welcome(_, let time):
      guard state == .proven else { return close(.malformed, nil) }
      state = .open
      effects.append(.welcomed(time))
      resend(now)
    case .goodbye(let reason, let retryAfter):
      close(reason, retryAfter > 0 ? .milliseconds(retryAfter) : nil)
    case .requestBegin, .requestChunk, .cancel, .credit, .desiredModels, .standing, .settlement,
      .receiptAck:
      guard state == .open else { return close(.malformed, nil) }
      takeOpen(message, now)
    }
  }

  private mutating func takeOpen(_ message: CoordinatorMessage, _ now: Instant) {
    switch message {
    case .requestBegin(let stream, let head, let byteCount):
      guard incoming[stream] == nil, outgoing[stream] == nil else {
        return close(.malformed, nil)
      }
      let held = incoming.values.reduce(0) { $0 + $1.byteCount }
      guard incoming.count + outgoing.count < limits.streams,
        held + byteCount <= limits.requestBytes
      else { return send(.refuse(stream, .busy, retryAfterMilliseconds: 1000)) }
      if !isWorking { pulse(now) }
      incoming[stream] = Incoming(head: head, byteCount: byteCount)
      complete(stream)
    case .requestChunk(let stream, let bytes):
      guard let request = incoming[stream] else { return }
      guard request.body.count + bytes.count <= request.byteCount else {
        return close(.malformed, nil)
      }
      incoming[stream]?.body.append(contentsOf: bytes)
      send(.credit(stream, byteCount: bytes.count))
      complete(stream)
    case .cancel(let stream, let reason):
      if incoming.removeValue(forKey: stream) != nil {
        return send(.refuse(stream, .cancelled, retryAfterMilliseconds: 0))
      }
      if outgoing[stream] != nil { effects.append(.stop(stream, reason)) }
    case .credit(let stream, let byteCount):
      guard outgoing[stream] != nil else { return }
      guard outgoing[stream]?.answer.grant(byteCount) == true else {
        return close(.malformed, nil)
      }
      sendAnswer(stream)
    case .receiptAck(let digest):
      unconfirmed.removeAll { $0.digest == digest }
      effects.append(.forget(receipt: digest))
    case .desiredModels, .standing, .settlement: effects.append(.told(message))
    case .challenge, .welcome, .goodbye: close(.malformed, nil)
    }
  }

  private mutating func complete(_ stream: StreamID) {
    guard let request = incoming[stream], request.body.count == request.byteCount else { return }
    incoming[stream] = nil
    outgoing[stream] = Outgoing(answer: ByteWindow(credit: limits.initialCredit))
    effects.append(.request(stream, head: request.head, body: request.body))
  }

  private mutating func sendAnswer(_ stream: StreamID) {
    while let chunk = outgoing[stream]?.answer.next() { send(.chunk(stream, chunk)) }
    guard let state = outgoing[stream] else { return }
    if state.isPaused, state.answer.waiting <= limits.answerBytes / 2 {
      outgoing[stream]?.isPaused = false
      effects.append(.resume(stream))
    }
    guard state.answer.waiting == 0 else { return }
    if let receipt = state.running {
      outgoing[stream]?.running = nil
      send(.receipt(stream, receipt))
    }
    if let last = state.last {
      outgoing[stream] = nil
      send(.done(stream, receipt: last.receipt))
    } else if let reason = state.handback {
      outgoing[stream] = nil
      send(.handback(stream, reason))
    }
  }

  private mutating func keep(_ receipt: [UInt8], _ digest: Digest, sentAt: Instant?) {
    guard !unconfirmed.contains(where: { $0.digest == digest }) else { return }
    // Beyond the bound the oldest waits on disk until the next start.
    if unconfirmed.count >= limits.unconfirmed { unconfirmed.removeFirst() }
    unconfirmed.append(Unconfirmed(digest: digest, receipt: receipt, sentAt: sentAt))
  }

  private mutating func resend(_ now: Instant) {
    guard state == .open else { return }
    for index in unconfirmed.indices {
      if let sentAt = unconfirmed[index].sentAt, now - sentAt < limits.resendAfter { continue }
      unconfirmed[index].sentAt = now
      // Behind bytes that wait for credit it was not sent yet: sent here too, it would be taken for
      // another link's and counted twice.
      let digest = unconfirmed[index].digest
      if outgoing.values.contains(where: { $0.last?.digest == digest }) { continue }
      send(.done(StreamID(0), receipt: unconfirmed[index].receipt))
    }
  }

  private mutating func pulse(_ now: Instant) {
    pulsedAt = now
    let ages = beats.sorted { $0.key < $1.key }.map { model, beat in
      let age = (now - beat).wholeNanoseconds / 1_000_000
      return Beat(model: model, ageMilliseconds: Int(min(max(age, 0), 604_800_000)))
    }
    send(.pulse(Array(ages.prefix(Limits.models))))
  }

  private mutating func dropStreams() {
    for stream in outgoing.keys.sorted(by: { $0.rawValue < $1.rawValue }) {
      effects.append(.stop(stream, .nodeLost))
    }
    outgoing = [:]
    incoming = [:]
  }

  private mutating func close(_ reason: Reason, _ retryAfter: Duration?) {
    state = .idle
    dropStreams()
    for index in unconfirmed.indices { unconfirmed[index].sentAt = nil }
    effects.append(.close(reason, retryAfter: retryAfter))
  }

  private mutating func send(_ message: AgentMessage) { effects.append(.send(message.encoded)) }

  private mutating func flush() -> [NodeLinkEffect] {
    var result: [NodeLinkEffect] = []
    swap(&result, &effects)
    return result
  }
}
