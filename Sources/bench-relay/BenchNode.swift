internal import BloomBase
internal import BloomCrypto
internal import BloomHTTP
internal import BloomLink
internal import BloomNet
internal import BloomOpen
internal import BloomRecords
internal import BloomWire

/// A node with the real link and real sealing that answers as fast as credit lets it.
actor BenchNode {
  private let machine: BenchMachine
  private let loop: EventLoop
  /// Tokens of every answer; a token is one chunk of 512 bytes.
  private let tokens: Int
  private var link: NodeLinkMachine
  private let outbox = TwoLaneQueue(byteLimit: 64 << 20)
  private var opener: RequestOpener
  private var stopped: Set<StreamID> = []
  private var paused: Set<StreamID> = []
  private let time = SystemTime()
  private let welcome: @Sendable () -> Void

  nonisolated var unownedExecutor: UnownedSerialExecutor {
    unsafe loop.serial.asUnownedSerialExecutor()
  }

  init(
    _ machine: BenchMachine, tokens: Int, loop: EventLoop,
    welcome: @escaping @Sendable () -> Void
  ) {
    self.machine = machine
    self.tokens = tokens
    self.loop = loop
    self.welcome = welcome
    link = NodeLinkMachine(release: machine.identity.release)
    opener = machine.opener()
  }

  /// One connection from beginning to end.
  func run(_ socket: WebSocket) async {
    perform(link.connected(now: time.now()))
    let outbox = outbox
    await withTaskGroup(of: Void.self) { group in
      group.addTask(executorPreference: loop) {
        while true {
          let batch = await outbox.next()
          if batch.isEmpty { return }
          do { try await socket.send(batch) } catch { return }
        }
      }
      group.addTask(executorPreference: loop) {
        do {
          while case .binary(let bytes)? = try await socket.receive() {
            await self.received(bytes)
          }
        } catch {}
      }
      await group.next()
      outbox.finish(dropping: true)
      group.cancelAll()
    }
  }

  /// To be called while requests run: a pulse each 100 ms.
  func tick() { perform(link.tick(now: time.now())) }

  private func received(_ bytes: [UInt8]) { perform(link.received(bytes, now: time.now())) }

  private func perform(_ effects: [NodeLinkEffect]) {
    for effect in effects {
      switch effect {
      case .send(let message): outbox.push(message, isControl: LinkLane.isControl(message))
      case .prove(let nonce): prove(nonce)
      case .welcomed:
        let capacity = ModelCapacity(
          model: BenchMachine.model, slots: 64, active: 0, queued: 0,
          prefillMilliTokensPerSecond: 1_000_000, decodeMilliTokensPerSecond: 100_000)
        perform(
          link.say(
            .capacity(Capacity(models: [capacity], freeMemoryMebibytes: 1024, closed: nil))))
        welcome()
      case .request(let stream, let head, let body):
        Task { await self.work(stream, head + body) }
      case .stop(let stream, _): stopped.insert(stream)
      case .pause(let stream): paused.insert(stream)
      case .resume(let stream): paused.remove(stream)
      case .close: outbox.finish()
      case .forget, .ping, .told: break
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
    perform(link.accept(stream, now: time.now()))
    do {
      let now = time.unixTime()
      let opened = try opener.open(envelope, at: now)
      var sealer = try opened.answer(start: now)
      for index in 0..<tokens {
        while paused.contains(stream) { try await loop.sleep(for: .milliseconds(1)) }
        if stopped.contains(stream) { break }
        var output: [UInt8] = []
        try sealer.send(
          [.tokens(TokenFrame(tokens: [UInt32(index)], deltas: [.content("word ")]))],
          into: &output)
        perform(link.answer(stream, output))
        if index % 64 == 63 {
          var receiptBytes: [UInt8] = []
          let receipt = try sealer.receipt(Self.counts(nil, now), into: &receiptBytes)
          perform(link.answer(stream, receiptBytes))
          perform(link.receipt(stream, receipt.encoded))
          // Others have their turn: a real machine's tokens come one by one.
          await Task.yield()
        }
      }
      var output: [UInt8] = []
      let last = try sealer.finish(Self.counts(.stop, now), into: &output)
      perform(link.answer(stream, output))
      perform(
        link.done(
          stream, receipt: last.encoded, digest: SHA256.digest(last.encoded), now: time.now()))
    } catch {
      perform(link.refuse(stream, .malformed, retryAfterMilliseconds: 0))
    }
  }

  static func counts(_ finish: FinishReason?, _ start: UnixTime) -> ReceiptCounts {
    ReceiptCounts(
      promptTokens: 12, replayedTokens: 0, finish: finish, end: start + 1, sampling: .zero,
      mode: .whole)
  }
}
