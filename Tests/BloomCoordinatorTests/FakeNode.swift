import BloomBase
import BloomCrypto
import BloomHTTP
import BloomLink
import BloomNet
import BloomOpen
import BloomRecords
import BloomSeal
import BloomWire

/// A node with the real link machine and real sealing, and an engine that follows a script.
actor FakeNode {
  /// What it does with a request.
  enum Behaviour: Sendable, Equatable {
    /// Answers with this many tokens and receipts for each.
    case answer(tokens: Int)
    /// Sends some tokens, then the connection breaks.
    case breaks(afterTokens: Int)
    /// Sends some tokens, the connection breaks, and it computes the answer to its end.
    case endsAlone(afterTokens: Int)
    /// Accepts and is never heard again, pulses included.
    case silent
    /// Sends some tokens and waits until it is told to stop.
    case waits(afterTokens: Int)
    /// Sends bytes that are no answer.
    case garbage
    /// Answers, and signs a last receipt for more tokens than it sent, with another key.
    case forged
    /// Opens nothing: sends a mark where sealed bytes and a receipt are.
    case echoes(mark: String)
    /// Takes requests and never lets more than their beginning come.
    case hoards
    /// Refuses, and bills the answer that another machine gives.
    case steals
    /// Sends this many bytes at once, whatever the credit.
    case overruns(bytes: Int)
    /// Answers with this many bytes as fast as credit allows.
    case floods(bytes: Int)
  }

  let machine: Machine
  private let behaviour: Behaviour
  private var link: NodeLinkMachine
  private var outbox = TwoLaneQueue(byteLimit: 64 << 20)
  private var opener: RequestOpener
  private var stopped: Set<StreamID> = []
  private var paused: Set<StreamID> = []
  private var isMute = false
  /// Bytes of answers handed to the link so far.
  private(set) var producedByteCount = 0
  private(set) var acknowledged: [Digest] = []
  private(set) var stops: [Reason] = []
  private(set) var requestCount = 0
  private let time = SystemTime()

  init(_ machine: Machine, _ behaviour: Behaviour) {
    self.machine = machine
    self.behaviour = behaviour
    link = NodeLinkMachine(release: machine.identity.release)
    opener = machine.opener()
  }

  /// One connection from beginning to end; another one may follow.
  func run(
    _ client: HTTPClient, _ base: String = "http://coordinator", key: String? = nil
  ) async throws {
    var headers = HTTPFields()
    if let key { headers.add(.authorization, try HTTPFieldValue("Bearer " + key)) }
    let socket = try await client.webSocket(try HTTPURL(base + "/v1/node"), headers: headers)
    let outbox = TwoLaneQueue(byteLimit: 64 << 20)
    self.outbox = outbox
    perform(link.connected(now: time.now()))
    await withTaskGroup(of: Void.self) { group in
      group.addTask {
        while true {
          let batch = await outbox.next()
          if batch.isEmpty { return }
          for message in batch {
            do { try await socket.send(message) } catch { return }
          }
        }
      }
      group.addTask {
        while case .binary(let bytes)? = try? await socket.receive() { await self.received(bytes) }
      }
      group.addTask {
        while !Task.isCancelled {
          try? await Task.sleep(for: .milliseconds(20))
          await self.tick()
        }
      }
      await group.next()
      outbox.finish(dropping: true)
      group.cancelAll()
      await socket.close()
    }
  }

  private func received(_ bytes: [UInt8]) { perform(link.received(bytes, now: time.now())) }

  private func tick() { perform(link.tick(now: time.now())) }

  private func perform(_ effects: [NodeLinkEffect]) {
    for effect in effects {
      switch effect {
      case .send(let message):
        if behaviour == .hoards, case .credit? = try? AgentMessage(decoding: message) { continue }
        if !isMute { outbox.push(message, isControl: LinkLane.isControl(message)) }
      case .prove(let nonce): prove(nonce)
      case .welcomed:
        let capacity = ModelCapacity(
          model: Machine.model, slots: 4, active: 0, queued: 0,
          prefillMilliTokensPerSecond: 1_000_000, decodeMilliTokensPerSecond: 100_000)
        perform(
          link.say(
            .capacity(Capacity(models: [capacity], freeMemoryMebibytes: 1024, closed: nil))))
      case .request(let stream, let head, let body):
        requestCount += 1
        Task { await self.work(stream, head + body) }
      case .stop(let stream, let reason):
        stopped.insert(stream)
        stops.append(reason)
      case .pause(let stream): paused.insert(stream)
      case .resume(let stream): paused.remove(stream)
      case .forget(let digest): acknowledged.append(digest)
      case .close: outbox.finish()
      case .ping, .told: break
      }
    }
  }

  private func prove(_ nonce: Digest) {
    let message = LinkProof.message(
      nonce: nonce, exporter: nil, record: SHA256.digest(machine.record.encoded))
    guard let signature = try? machine.identityKey.sign(message) else { return }
    perform(
      link.prove(record: machine.record.encoded, binding: .nonceOnly, signature: signature))
  }

  private func work(_ stream: StreamID, _ envelope: [UInt8]) async {
    if behaviour == .steals { return steal(stream, envelope) }
    perform(link.accept(stream, now: time.now()))
    if behaviour == .silent { return isMute = true }
    if case .echoes(let mark) = behaviour { return echo(mark, stream) }
    if case .overruns(let bytes) = behaviour { return overrun(bytes, stream) }
    do {
      try await answer(stream, envelope)
    } catch {
      perform(link.refuse(stream, .malformed, retryAfterMilliseconds: 0))
    }
  }

  private func echo(_ mark: String, _ stream: StreamID) {
    let pattern = Array(mark.utf8)
    let bytes = (0..<600).map { pattern[$0 % pattern.count] }
    let key = machine.record.statement.workers.first?.keyID.bytes ?? []
    // The preamble: node, key, nonce; then a chunk of 600 bytes, its length as a varint.
    give(stream, machine.node.digest.bytes + key + bytes.prefix(32) + [0x42, 0x58] + bytes)
    perform(link.receipt(stream, bytes))
    perform(link.done(stream, receipt: bytes, digest: SHA256.digest(bytes), now: time.now()))
  }

  private func steal(_ stream: StreamID, _ envelope: [UInt8]) {
    let now = time.unixTime()
    guard let opened = try? opener.open(envelope, at: now),
      var sealer = try? opened.answer(start: now)
    else { return }
    var output: [UInt8] = []
    let counts = ReceiptCounts(
      promptTokens: 12, replayedTokens: 0, finish: .stop, end: now + 1, sampling: .zero,
      mode: .whole)
    guard let receipt = try? sealer.finish(counts, into: &output) else { return }
    outbox.push(AgentMessage.done(StreamID(0), receipt: receipt.encoded).encoded, isControl: true)
    perform(link.refuse(stream, .busy, retryAfterMilliseconds: 0))
    outbox.push(AgentMessage.done(StreamID(0), receipt: receipt.encoded).encoded, isControl: true)
  }

  private func overrun(_ byteCount: Int, _ stream: StreamID) {
    for _ in 0..<(byteCount / 50_000) {
      let chunk = AgentMessage.chunk(stream, [UInt8](repeating: 7, count: 50_000))
      outbox.push(chunk.encoded, isControl: false)
    }
  }

  private func answer(_ stream: StreamID, _ envelope: [UInt8]) async throws {
    let now = time.unixTime()
    let opened = try opener.open(envelope, at: now)
    let mode: ContinuationMode = opened.routing.part == 0 ? .whole : .continued
    var sealer = try opened.answer(start: now)
    var tokens = 3
    switch behaviour {
    case .answer(let count), .breaks(let count), .endsAlone(let count), .waits(let count):
      tokens = count
    case .floods(let bytes): tokens = bytes / 512
    case .garbage: return give(stream, [UInt8](repeating: 0xee, count: 4_096))
    case .silent, .forged, .hoards, .echoes, .steals, .overruns: break
    }
    func counts(_ finish: FinishReason?) -> ReceiptCounts {
      ReceiptCounts(
        promptTokens: 12, replayedTokens: mode == .whole ? 0 : 5, finish: finish, end: now + 1,
        sampling: .zero, mode: mode)
    }
    for index in 0..<tokens {
      while paused.contains(stream) { try await Task.sleep(for: .milliseconds(2)) }
      if stopped.contains(stream) { break }
      var output: [UInt8] = []
      try sealer.send(
        [.tokens(TokenFrame(tokens: [UInt32(index)], deltas: [.content("t\(index) ")]))],
        into: &output)
      if index < 200 {
        let receipt = try sealer.receipt(counts(nil), into: &output)
        give(stream, output)
        perform(link.receipt(stream, receipt.encoded))
      } else {
        give(stream, output)
      }
    }
    if case .breaks = behaviour { return outbox.finish() }
    if case .endsAlone = behaviour { outbox.finish() }
    if case .waits = behaviour {
      while !stopped.contains(stream) { try await Task.sleep(for: .milliseconds(2)) }
    }
    var output: [UInt8] = []
    let last = try sealer.finish(
      counts(stopped.contains(stream) ? .cancelled : .stop), into: &output)
    give(stream, output)
    var bytes = last.encoded
    if behaviour == .forged { bytes[bytes.count - 1] ^= 1 }
    perform(link.done(stream, receipt: bytes, digest: SHA256.digest(bytes), now: time.now()))
  }

  private func give(_ stream: StreamID, _ bytes: [UInt8]) {
    producedByteCount += bytes.count
    perform(link.answer(stream, bytes))
  }
}
