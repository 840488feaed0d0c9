package import BloomBase
package import BloomWire

/// What the coordinator's driver of one node link must do, in order.
package enum CoordinatorLinkEffect: Equatable, Sendable {
  /// Write one binary message. Control leaves at once; data only within the node's credit.
  case send([UInt8])
  /// Ask the transport for a sign of life, and say ``CoordinatorLinkMachine/heard(now:)`` when it comes.
  case ping
  /// Check the record and the signature over ``LinkProof``, then call `proven` or `disproven`.
  ///
  /// `exporter` is `nil` when the proof is bound to the nonce only.
  case verify(record: [UInt8], nonce: Digest, exporter: [UInt8]?, signature: [UInt8])
  /// The link is open: the node may be given to the scheduler.
  case opened(NodeID)
  /// A new node record to be checked; the link's node must be the same.
  case record([UInt8])
  /// The node's regular report.
  case capacity(Capacity)
  /// What the node has on disk and in memory.
  case models([ModelPresence])
  /// The manifest of a model that the node has.
  case manifest([UInt8])
  /// The node takes no new work.
  case draining(Reason)
  /// The node works on the request.
  case accepted(StreamID)
  /// The node does not; the stream is closed.
  case refused(StreamID, Reason, retryAfterMilliseconds: Int)
  /// Bytes of the sealed answer. Give credit back with `consumed` when they have left.
  case bytes(StreamID, [UInt8])
  /// A running receipt to be checked and kept.
  case receipt(StreamID, [UInt8])
  /// The last receipt; the stream is closed. Acknowledge with `stored` after the ledger has it.
  /// Stream 0 carries receipts of earlier links.
  case done(StreamID, receipt: [UInt8])
  /// The node gave the work back; the stream is closed.
  case handedBack(StreamID, Reason)
  /// The node has been silent while it worked, or one of its workers has.
  case suspected
  /// It was heard again.
  case recovered
  /// Close the connection. All streams that are still open are lost with the node.
  case close(Reason)
}

/// The coordinator's half of one node link: bytes and times in, effects out.
///
/// hello → challenge → proof → welcome; then streams with credit, pulses and silence. One machine a
/// connection. After ``CoordinatorLinkEffect/close(_:)`` it ignores everything.
package struct CoordinatorLinkMachine: Sendable {
  private enum State: Equatable, Sendable {
    /// Waits for the hello.
    case connected
    /// The challenge is out.
    case challenged(nonce: Digest, version: UInt64)
    /// The driver checks the proof.
    case proving(version: UInt64)
    /// Proven.
    case open(NodeID)
    /// Over.
    case closed
  }

  private struct Stream: Equatable, Sendable {
    var body: ByteWindow
    /// Answer bytes that the node may still send.
    var credit: Int
    /// Bytes that have left and for which no credit was given back yet.
    var owed = 0
    var isCancelled = false
  }

  private let limits: LinkLimits
  private let exporter: [UInt8]?
  private let nonce: Digest
  private var state = State.connected
  private var streams: [StreamID: Stream] = [:]
  private var nextStream: UInt64 = 1
  private var startedAt: Instant
  private var heardAt: Instant
  private var pingedAt: Instant
  private var isSuspect = false
  /// Whether the last pulse told of a worker that hangs.
  private var hasLateWorker = false
  private var effects: [CoordinatorLinkEffect] = []

  /// Starts on a new connection.
  ///
  /// - Parameters:
  ///   - nonce: 32 fresh random bytes for the challenge.
  ///   - exporter: `tls-exporter` of the connection (RFC 9266); `nil` behind a proxy.
  ///   - now: The time.
  ///   - limits: Times and sizes.
  package init(
    nonce: Digest, exporter: [UInt8]?, now: Instant, limits: LinkLimits = LinkLimits()
  ) {
    self.nonce = nonce
    self.exporter = exporter
    self.limits = limits
    startedAt = now
    heardAt = now
    pingedAt = now
  }

  /// The proven node; `nil` before the welcome and after the end.
  package var node: NodeID? {
    if case .open(let node) = state { return node }
    return nil
  }

  /// Streams that have not ended.
  package var openStreams: [StreamID] { streams.keys.sorted { $0.rawValue < $1.rawValue } }

  /// Takes one binary message.
  ///
  /// Bytes that cannot be read close the link; unknown types are ignored.
  package mutating func received(_ bytes: [UInt8], now: Instant) -> [CoordinatorLinkEffect] {
    guard state != .closed else { return [] }
    noteHeard(now)
    do throws(WireError) {
      try take(AgentMessage(decoding: bytes), now)
    } catch .unknownMessage {
      // A newer agent may say more; what is not understood is passed over.
    } catch .unknownVersion {
      refuse(.versionUnsupported)
    } catch {
      close(.malformed)
    }
    return flush()
  }

  /// The driver found the proof good.
  ///
  /// - Parameters:
  ///   - node: The record's node.
  ///   - time: For the owner's display.
  ///   - now: The time.
  /// - Returns: What to do.
  package mutating func proven(
    _ node: NodeID, time: UnixTime, now: Instant
  ) -> [CoordinatorLinkEffect] {
    guard case .proving(let version) = state else { return [] }
    state = .open(node)
    noteHeard(now)
    send(.welcome(version: version, time: time))
    effects.append(.opened(node))
    return flush()
  }

  /// The driver found the proof bad, or refuses the machine for another reason.
  package mutating func disproven(_ reason: Reason = .notProven) -> [CoordinatorLinkEffect] {
    guard case .proving = state else { return [] }
    refuse(reason)
    return flush()
  }

  /// Gives the node a request; `nil` when the link cannot take one.
  ///
  /// - Parameters:
  ///   - head: The envelope's head with this node as the only candidate.
  ///   - body: The envelope's body.
  ///   - now: The time.
  /// - Returns: The new stream and what to do.
  package mutating func begin(
    head: [UInt8], body: [UInt8], now: Instant
  ) -> (stream: StreamID, effects: [CoordinatorLinkEffect])? {
    guard case .open = state, streams.count < limits.streams else { return nil }
    let stream = StreamID(nextStream)
    nextStream += 1
    // Silence counts from here: an idle node owes no pulses.
    if streams.isEmpty { noteHeard(now) }
    var window = ByteWindow(credit: limits.initialCredit)
    window.append(body)
    streams[stream] = Stream(body: window, credit: limits.initialCredit)
    send(.requestBegin(stream, head: head, bodyByteCount: body.count))
    sendBody(stream)
    return (stream, flush())
  }

  /// Tells the node to stop.
  ///
  /// The stream stays until the node confirms with its last receipt.
  package mutating func cancel(_ stream: StreamID, _ reason: Reason) -> [CoordinatorLinkEffect] {
    guard streams[stream] != nil, streams[stream]?.isCancelled == false else { return [] }
    streams[stream]?.isCancelled = true
    // A node that never confirms holds no envelope.
    streams[stream]?.body.drop()
    send(.cancel(stream, reason))
    return flush()
  }

  /// Answer bytes have left towards the gateway: the node may send as many more.
  package mutating func consumed(
    _ stream: StreamID, byteCount: Int
  ) -> [CoordinatorLinkEffect] {
    guard byteCount > 0, var open = streams[stream] else { return [] }
    open.owed += byteCount
    // Given back by the quarter: the node has the rest to go on with, and a message for each chunk
    // would cost as much as the chunk.
    if open.owed >= limits.initialCredit / 4 {
      send(.credit(stream, byteCount: open.owed))
      open.credit += open.owed
      open.owed = 0
    }
    streams[stream] = open
    return flush()
  }

  /// A final receipt is in the ledger: the agent may forget it.
  package mutating func stored(receipt: Digest) -> [CoordinatorLinkEffect] {
    say(.receiptAck(receipt: receipt))
  }

  /// Sends a message that belongs to no stream: standing, settlement, desired models.
  package mutating func say(_ message: CoordinatorMessage) -> [CoordinatorLinkEffect] {
    guard case .open = state else { return [] }
    send(message)
    return flush()
  }

  /// Ends the link from this side.
  package mutating func goodbye(
    _ reason: Reason, retryAfterMilliseconds: Int
  ) -> [CoordinatorLinkEffect] {
    guard state != .closed else { return [] }
    send(.goodbye(reason, retryAfterMilliseconds: retryAfterMilliseconds))
    close(reason)
    return flush()
  }

  /// The transport heard the other side, for example by a pong.
  package mutating func heard(now: Instant) -> [CoordinatorLinkEffect] {
    guard state != .closed else { return [] }
    // A transport's pong proves the machine, not the agent: it does not count while work runs.
    if streams.isEmpty { noteHeard(now) }
    return flush()
  }

  /// The connection is gone.
  package mutating func disconnected() {
    state = .closed
    streams = [:]
  }

  /// Time passed; needed at ``nextDeadline``.
  package mutating func tick(now: Instant) -> [CoordinatorLinkEffect] {
    switch state {
    case .closed: return []
    case .connected, .challenged, .proving:
      if now - startedAt >= limits.handshake { close(.notProven) }
    case .open:
      let silence = now - heardAt
      if streams.isEmpty {
        if silence >= limits.idleAfter {
          close(.nodeSilent)
        } else if silence >= limits.pingEvery, now - pingedAt >= limits.pingEvery {
          pingedAt = now
          effects.append(.ping)
        }
      } else if silence >= limits.deadAfter {
        close(.nodeSilent)
      } else if silence >= limits.suspectAfter, !isSuspect {
        isSuspect = true
        effects.append(.suspected)
      }
    }
    return flush()
  }

  /// When ``tick(now:)`` is due next; `nil` after the end.
  package var nextDeadline: Instant? {
    switch state {
    case .closed: nil
    case .connected, .challenged, .proving: startedAt + limits.handshake
    case .open:
      if streams.isEmpty {
        min(max(heardAt, pingedAt) + limits.pingEvery, heardAt + limits.idleAfter)
      } else {
        heardAt + (isSuspect ? limits.deadAfter : limits.suspectAfter)
      }
    }
  }

  private mutating func take(_ message: AgentMessage, _ now: Instant) throws(WireError) {
    switch (state, message) {
    case (.connected, .hello(let versions, _)):
      let version = try LinkVersion.choose(versions)
      state = .challenged(nonce: nonce, version: version)
      send(.challenge(nonce: nonce))
    case (.challenged(let nonce, let version), .proof(let record, let binding, let signature)):
      guard binding == .nonceOnly || exporter != nil else { return refuse(.notProven) }
      state = .proving(version: version)
      effects.append(
        .verify(
          record: record, nonce: nonce, exporter: binding == .exporter ? exporter : nil,
          signature: signature))
    case (.open, _): takeOpen(message, now)
    default: close(.malformed)
    }
  }

  private mutating func takeOpen(_ message: AgentMessage, _ now: Instant) {
    switch message {
    case .hello, .proof: close(.malformed)
    case .record(let record): effects.append(.record(record))
    case .capacity(let capacity): effects.append(.capacity(capacity))
    case .models(let models): effects.append(.models(models))
    case .manifest(let manifest): effects.append(.manifest(manifest))
    case .draining(let reason): effects.append(.draining(reason))
    case .pulse(let beats): take(beats)
    case .accept(let stream):
      if streams[stream] != nil { effects.append(.accepted(stream)) }
    case .refuse(let stream, let reason, let retryAfter):
      guard streams.removeValue(forKey: stream) != nil else { return }
      effects.append(.refused(stream, reason, retryAfterMilliseconds: retryAfter))
    case .chunk(let stream, let bytes):
      guard let credit = streams[stream]?.credit else { return }
      guard bytes.count <= credit else { return close(.malformed) }
      streams[stream]?.credit -= bytes.count
      effects.append(.bytes(stream, bytes))
    case .receipt(let stream, let receipt):
      if streams[stream] != nil { effects.append(.receipt(stream, receipt)) }
    case .done(let stream, let receipt):
      // Also on stream 0, for work of a link that broke before the acknowledgement.
      streams[stream] = nil
      effects.append(.done(stream, receipt: receipt))
    case .handback(let stream, let reason):
      guard streams.removeValue(forKey: stream) != nil else { return }
      effects.append(.handedBack(stream, reason))
    case .credit(let stream, let byteCount):
      guard streams[stream] != nil else { return }
      guard streams[stream]?.body.grant(byteCount) == true else { return close(.malformed) }
      sendBody(stream)
    }
  }

  private mutating func take(_ beats: [Beat]) {
    // A worker that hangs while its agent is well is as silent as a dead machine.
    let oldest = beats.map(\.ageMilliseconds).max() ?? 0
    hasLateWorker = Duration.milliseconds(oldest) >= limits.suspectAfter
    guard hasLateWorker else { return recover() }
    guard !streams.isEmpty, !isSuspect else { return }
    isSuspect = true
    effects.append(.suspected)
  }

  private mutating func noteHeard(_ now: Instant) {
    heardAt = max(heardAt, now)
    // While work waits for a worker that hangs, its agent's voice proves nothing.
    if !hasLateWorker || streams.isEmpty { recover() }
  }

  private mutating func recover() {
    guard isSuspect else { return }
    isSuspect = false
    effects.append(.recovered)
  }

  private mutating func sendBody(_ stream: StreamID) {
    while let chunk = streams[stream]?.body.next() { send(.requestChunk(stream, chunk)) }
  }

  private mutating func send(_ message: CoordinatorMessage) {
    effects.append(.send(message.encoded))
  }

  /// Tells the node why it is not taken: then its owner can do something about it.
  private mutating func refuse(_ reason: Reason) {
    let retry = limits.refusedRetry.components.seconds * 1_000
    send(.goodbye(reason, retryAfterMilliseconds: Int(retry)))
    close(reason)
  }

  private mutating func close(_ reason: Reason) {
    state = .closed
    streams = [:]
    effects.append(.close(reason))
  }

  private mutating func flush() -> [CoordinatorLinkEffect] {
    var result: [CoordinatorLinkEffect] = []
    swap(&result, &effects)
    return result
  }
}
