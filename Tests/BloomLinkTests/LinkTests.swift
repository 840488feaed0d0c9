import BloomBase
import BloomLink
import BloomWire
import Testing

/// Both machines joined by a wire that carries encoded bytes.
private final class Pair {
  var node = NodeLinkMachine(release: .zero)
  var coordinator: CoordinatorLinkMachine
  var now = Instant(nanoseconds: 5_000_000_000)
  var nodeEffects: [NodeLinkEffect] = []
  var coordinatorEffects: [CoordinatorLinkEffect] = []
  let name = NodeID(.zero)

  init() {
    coordinator = CoordinatorLinkMachine(
      nonce: .zero, exporter: nil, now: now, limits: LinkLimits())
  }

  func connect() {
    coordinator = CoordinatorLinkMachine(nonce: .zero, exporter: nil, now: now)
    carry(node.connected(now: now))
  }

  private var wire: [(toNode: Bool, bytes: [UInt8])] = []
  private var isPumping = false

  func carry(_ effects: [NodeLinkEffect]) {
    for effect in effects {
      nodeEffects.append(effect)
      switch effect {
      case .send(let bytes): wire.append((false, bytes))
      case .prove:
        let signature = [UInt8](repeating: 1, count: 64)
        carry(node.prove(record: [1, 2], binding: .nonceOnly, signature: signature))
      default: break
      }
    }
    pump()
  }

  func carry(_ effects: [CoordinatorLinkEffect]) {
    for effect in effects {
      coordinatorEffects.append(effect)
      switch effect {
      case .send(let bytes): wire.append((true, bytes))
      case .verify: carry(coordinator.proven(name, time: UnixTime(1), now: now))
      default: break
      }
    }
    pump()
  }

  /// Delivers in order, one message at a time.
  private func pump() {
    guard !isPumping else { return }
    isPumping = true
    defer { isPumping = false }
    while !wire.isEmpty {
      let message = wire.removeFirst()
      if message.toNode {
        carry(node.received(message.bytes, now: now))
      } else {
        carry(coordinator.received(message.bytes, now: now))
      }
    }
  }

  func begin(_ body: [UInt8]) -> StreamID? {
    guard let begun = coordinator.begin(head: [7], body: body, now: now) else { return nil }
    carry(begun.effects)
    return begun.stream
  }

  func tick(_ time: Instant) -> [CoordinatorLinkEffect] { coordinator.tick(now: time) }

  func hear(_ bytes: [UInt8]) -> [CoordinatorLinkEffect] { coordinator.received(bytes, now: now) }

  func stop(_ stream: StreamID) -> [CoordinatorLinkEffect] {
    coordinator.cancel(stream, .cancelled)
  }

  var received: [UInt8] {
    coordinatorEffects.flatMap { effect -> [UInt8] in
      if case .bytes(_, let bytes) = effect { bytes } else { [] }
    }
  }
}

@Suite struct LinkTests {
  @Test func `hello, challenge, proof and welcome open the link`() {
    let pair = Pair()
    pair.connect()
    #expect(pair.node.isOpen)
    #expect(pair.coordinator.node == pair.name)
    #expect(pair.coordinatorEffects.contains(.opened(pair.name)))
  }

  @Test func `a proof that does not hold closes the link`() {
    let pair = Pair()
    let now = pair.now
    _ = pair.coordinator.received(
      AgentMessage.hello(versions: 1...1, release: .zero).encoded, now: now)
    let signature = [UInt8](repeating: 0, count: 64)
    let bound = AgentMessage.proof(record: [1], binding: .exporter, signature: signature)
    let goodbye = CoordinatorMessage.goodbye(.notProven, retryAfterMilliseconds: 10_000)
    #expect(pair.hear(bound.encoded) == [.send(goodbye.encoded), .close(.notProven)])
    #expect(pair.begin([]) == nil)
  }

  @Test func `a request larger than the first credit arrives whole`() {
    let pair = Pair()
    pair.connect()
    let body = (0..<700_000).map { UInt8(truncatingIfNeeded: $0) }
    guard let stream = pair.begin(body) else {
      Issue.record("no stream")
      return
    }
    #expect(pair.nodeEffects.contains(.request(stream, head: [7], body: body)))
  }

  @Test func `answer bytes wait for credit and the worker is paused and resumed`() {
    let pair = Pair()
    pair.connect()
    guard let stream = pair.begin([1]) else { return }
    let answer = (0..<2_000_000).map { UInt8(truncatingIfNeeded: $0 / 3) }
    pair.carry(pair.node.answer(stream, answer))
    #expect(pair.nodeEffects.contains(.pause(stream)))
    #expect(pair.received.count == LinkLimits().initialCredit)
    var consumed = 0
    while consumed < answer.count {
      let arrived = pair.received.count
      guard arrived > consumed else { break }
      pair.carry(pair.coordinator.consumed(stream, byteCount: arrived - consumed))
      consumed = arrived
    }
    #expect(pair.received == answer)
    #expect(pair.nodeEffects.contains(.resume(stream)))
  }

  @Test func `a final receipt follows the bytes and is resent until acknowledged`() {
    let pair = Pair()
    pair.connect()
    guard let stream = pair.begin([1]) else { return }
    pair.carry(pair.node.answer(stream, [1, 2, 3]))
    pair.carry(pair.node.done(stream, receipt: [9], digest: .zero, now: pair.now))
    let done = CoordinatorLinkEffect.done(stream, receipt: [9])
    #expect(pair.coordinatorEffects.suffix(2) == [.bytes(stream, [1, 2, 3]), done])
    pair.now = pair.now + .seconds(6)
    pair.carry(pair.node.tick(now: pair.now))
    #expect(pair.coordinatorEffects.last == .done(StreamID(0), receipt: [9]))
    pair.carry(pair.coordinator.stored(receipt: .zero))
    #expect(pair.node.unconfirmedCount == 0)
    #expect(pair.nodeEffects.contains(.forget(receipt: .zero)))
  }

  @Test func `a final receipt behind bytes that wait for credit is sent once`() {
    let pair = Pair()
    pair.connect()
    guard let stream = pair.begin([1]) else { return }
    let credit = LinkLimits().initialCredit
    pair.carry(pair.node.answer(stream, Array(repeating: 1, count: credit + 1)))
    pair.carry(pair.node.done(stream, receipt: [9], digest: .zero, now: pair.now))
    pair.now = pair.now + .seconds(6)
    pair.carry(pair.node.tick(now: pair.now))
    #expect(!pair.coordinatorEffects.contains(.done(StreamID(0), receipt: [9])))
    pair.carry(pair.coordinator.consumed(stream, byteCount: credit))
    #expect(pair.coordinatorEffects.last == .done(stream, receipt: [9]))
    #expect(pair.node.unconfirmedCount == 1)
  }

  @Test func `a final receipt outlives its link`() {
    let pair = Pair()
    pair.connect()
    guard let stream = pair.begin([1]) else { return }
    pair.coordinator.disconnected()
    pair.carry(pair.node.disconnected())
    #expect(pair.nodeEffects.contains(.stop(stream, .nodeLost)))
    pair.carry(pair.node.done(stream, receipt: [4], digest: .zero, now: pair.now))
    pair.connect()
    #expect(pair.coordinatorEffects.last == .done(StreamID(0), receipt: [4]))
  }

  @Test func `a working node that is silent is suspect, then dead; an idle one is neither`() {
    let pair = Pair()
    pair.connect()
    #expect(pair.tick(pair.now + .seconds(5)).isEmpty)
    _ = pair.begin([1])
    let start = pair.now
    #expect(pair.tick(start + .milliseconds(349)).isEmpty)
    #expect(pair.tick(start + .milliseconds(350)) == [.suspected])
    #expect(pair.tick(start + .milliseconds(900)).isEmpty)
    #expect(pair.tick(start + .seconds(2)) == [.close(.nodeSilent)])
    #expect(pair.coordinator.nextDeadline == nil)
  }

  @Test func `pulses keep a long prefill from being taken for death`() {
    let pair = Pair()
    pair.connect()
    _ = pair.begin([1])
    for _ in 0..<100 {
      pair.now = pair.now + .milliseconds(100)
      pair.node.beat(ModelID(.zero), now: pair.now)
      pair.carry(pair.node.tick(now: pair.now))
      pair.carry(pair.coordinator.tick(now: pair.now))
    }
    #expect(!pair.coordinatorEffects.contains(.suspected))
  }

  @Test func `a worker that hangs makes its node suspect, once, although pulses come`() {
    let pair = Pair()
    pair.connect()
    pair.node.beat(ModelID(.zero), now: pair.now)
    _ = pair.begin([1])
    for _ in 0..<10 {
      pair.now = pair.now + .milliseconds(100)
      pair.carry(pair.node.tick(now: pair.now))
    }
    let said = pair.coordinatorEffects.filter { $0 == .suspected || $0 == .recovered }
    #expect(said == [.suspected])
    pair.node.beat(ModelID(.zero), now: pair.now)
    pair.now = pair.now + .milliseconds(100)
    pair.carry(pair.node.tick(now: pair.now))
    #expect(pair.coordinatorEffects.last == .recovered)
  }

  @Test func `a cancelled request is stopped and ends with its last receipt`() {
    let pair = Pair()
    pair.connect()
    guard let stream = pair.begin([1]) else { return }
    pair.carry(pair.coordinator.cancel(stream, .cancelled))
    #expect(pair.nodeEffects.contains(.stop(stream, .cancelled)))
    #expect(pair.stop(stream).isEmpty)
    pair.carry(pair.node.done(stream, receipt: [1], digest: .zero, now: pair.now))
    #expect(pair.coordinator.openStreams.isEmpty)
  }

  @Test func `more bytes than the credit allows close the link`() {
    let pair = Pair()
    pair.connect()
    guard let stream = pair.begin([1]) else { return }
    let chunk = AgentMessage.chunk(stream, Array(repeating: 0, count: 65_536)).encoded
    for _ in 0..<4 { _ = pair.coordinator.received(chunk, now: pair.now) }
    #expect(pair.hear(chunk) == [.close(.malformed)])
    #expect(pair.hear(chunk).isEmpty)
  }

  @Test(arguments: 0..<50)
  func `no bytes trap either machine`(seed: UInt64) {
    var generator = SeededGenerator(seed: seed)
    let pair = Pair()
    if seed.isMultiple(of: 2) { pair.connect() }
    for _ in 0..<20 {
      var bytes = AgentMessage.credit(StreamID(1), byteCount: 5).encoded
      for _ in 0..<Int.random(in: 0...8, using: &generator) {
        bytes.append(UInt8.random(in: 0...255, using: &generator))
      }
      bytes[Int.random(in: 0..<bytes.count, using: &generator)] ^= 0x41
      _ = pair.coordinator.received(bytes, now: pair.now)
      _ = pair.node.received(bytes, now: pair.now)
    }
    #expect(pair.coordinator.openStreams.isEmpty)
  }
}
