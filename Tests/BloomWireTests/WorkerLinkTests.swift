import BloomBase
import BloomWire
import Testing

@Suite struct WorkerLinkTests {
  private static let node = NodeID(.zero)
  private static let kid = KeyID(7)
  private static let key = WorkerKey(
    suite: [0, 16, 0, 1, 0, 2], kid: kid, encryptionKey: [4, 1], receiptKey: [4, 2],
    madeAt: UnixTime(1_700_000_000))

  private static let commands: [WorkerCommand] = [
    .load(
      WorkerOrder(
        manifest: [1, 2, 3], descriptors: [4, 5], node: node, release: .zero, contextTokens: 4096,
        slots: 4, threads: 2, memoryBytes: 1 << 30, requiredFacts: ["no-network"],
        startsGuard: false, allowsDeviceControl: true, verifiesFiles: false,
        policy: OwnerPolicy(
          refusedKinds: [.embeddings, .completion], refusesTools: true, refusesMedia: true,
          refusedPhrases: ["a", "ö"], refusedModels: ["m:q8"]))),
    .begin(StreamID(1), byteCount: 70_000, credit: 65_536),
    .chunk(StreamID(1), [1, 2, 3]), .credit(StreamID(2), byteCount: 9),
    .cancel(StreamID(1 << 32), .cancelled), .rotate, .vouched(kid, evidence: .zero),
    .drain(.ownerActive, milliseconds: 20_000),
  ]

  private static let events: [WorkerEvent] = [
    .progress(permille: 500),
    .ready(
      WorkerReady(
        model: ModelID(.zero), keys: [key], engineIdentity: "engine=x", facts: ["no-files"],
        filter: .zero, contextTokens: 4096, slots: 4, memoryBytes: 9)),
    .keys([key, key]), .beat(engineAgeMilliseconds: 3, active: 1, queued: 2),
    .accept(StreamID(1)), .refuse(StreamID(1), .replay, retryAfterMilliseconds: 0),
    .chunk(StreamID(1), [1]), .receipt(StreamID(1), [2]), .done(StreamID(1), receipt: [3]),
    .handback(StreamID(1), .draining, receipt: []),
    .capacity(
      ModelCapacity(
        model: ModelID(.zero), slots: 4, active: 1, queued: 0, prefillMilliTokensPerSecond: 1,
        decodeMilliTokensPerSecond: 2)),
    .failed("a protection is not in force"),
  ]

  @Test(arguments: commands)
  func `a command comes back as it was sent`(command: WorkerCommand) throws {
    #expect(try WorkerCommand(decoding: command.encoded) == command)
  }

  @Test(arguments: events)
  func `an event comes back as it was sent`(event: WorkerEvent) throws {
    #expect(try WorkerEvent(decoding: event.encoded) == event)
  }

  @Test func `cut messages are errors and changed ones keep one encoding`() {
    for bytes in Self.commands.map(\.encoded) {
      for count in 0..<bytes.count {
        #expect(throws: WireError.self) { try WorkerCommand(decoding: Array(bytes[..<count])) }
      }
      for index in bytes.indices {
        var changed = bytes
        changed[index] ^= 0x21
        _ = try? WorkerCommand(decoding: changed)
      }
    }
    for bytes in Self.events.map(\.encoded) {
      for count in 0..<bytes.count {
        #expect(throws: WireError.self) { try WorkerEvent(decoding: Array(bytes[..<count])) }
      }
    }
  }

  @Test(arguments: [[3, 4], [4, 3], [3, 3]])
  func `an owner's refused kinds come in order, each once`(kinds: [UInt8]) throws {
    let refused = Set(JobKind.allCases.filter { [3, 4].contains($0.rawValue) })
    let order = WorkerOrder(
      manifest: [1], descriptors: [], node: NodeID(.zero), release: .zero,
      policy: OwnerPolicy(refusedKinds: refused))
    // The policy ends the order: its kinds, two truths and two empty lists.
    var bytes = WorkerCommand.load(order).encoded
    bytes.replaceSubrange(bytes.count - 6..<bytes.count - 4, with: kinds)
    if kinds == [3, 4] {
      #expect(try WorkerCommand(decoding: bytes).encoded == bytes)
    } else {
      #expect(throws: WireError.notCanonical) { try WorkerCommand(decoding: bytes) }
    }
  }

  @Test func `messages are found again whatever the pieces`() throws {
    let messages: [[UInt8]] = [[], [1], [UInt8](repeating: 2, count: 300)]
    let stream = messages.flatMap(LengthFraming.framed)
    for size in [1, 2, 3, 5, 100, 1000] {
      var framing = LengthFraming(limit: 300)
      var found: [[UInt8]] = []
      for start in stride(from: 0, to: stream.count, by: size) {
        framing.append(stream[start..<min(start + size, stream.count)])
        while let message = try framing.next() { found.append(message) }
      }
      #expect(found == messages)
      #expect(framing.isAtBoundary)
    }
  }

  @Test func `a message over the limit is refused by its length alone`() {
    var framing = LengthFraming(limit: 10)
    framing.append([0, 0, 0, 11])
    #expect(throws: WireError.tooLarge) { _ = try framing.next() }
  }
}
