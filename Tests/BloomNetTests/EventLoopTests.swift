import BloomBase
@testable import BloomNet
import Testing

@Suite(.timeLimit(.minutes(1))) struct EventLoopTests {
  func isHere(_ loop: EventLoop) async -> Bool { loop.isCurrent }
  @concurrent func isHereConcurrently(_ loop: EventLoop) async -> Bool { loop.isCurrent }

  @Test func `an operation runs on its loop wherever the caller is`() async throws {
    let loop = EventLoopGroup.shared.loops[0]
    let facts = try await loop.run {
      [loop.isCurrent, await isHere(loop), await isHereConcurrently(loop), loop.isCurrent]
    }
    #expect(facts == [true, true, true, true])
    #expect(!loop.isCurrent)
  }

  /// Waits for another thread.
  func pause() async {
    await Task.detached {}.value
  }
  @concurrent func runsTwice(_ loop: EventLoop) async throws -> [Bool] {
    try await loop.run {}
    let stayed = try await loop.run {
      await pause()
      return loop.isCurrent
    }
    try await loop.run { await pause() }
    return [stayed] + (try await runsAgain(loop))
  }
  func runsAgain(_ loop: EventLoop) async throws -> [Bool] {
    try await loop.run {
      await pause()
      return [loop.isCurrent]
    }
  }

  @Test func `the thread alone does not make a caller at home`() async throws {
    let loop = EventLoopGroup.shared.loops[0]
    #expect(try await loop.run { loop.isHome })
    let visit = await withCheckedContinuation { continuation in
      loop.execute { continuation.resume(returning: [loop.isCurrent, loop.isHome]) }
    }
    #expect(visit == [true, false])
  }

  @Test func `an operation comes back to its loop after a wait, whoever ran before`() async throws {
    for loop in EventLoopGroup.shared.loops {
      for _ in 0..<100 { #expect(try await runsTwice(loop) == [true, true]) }
      let fromTask = Task { try await runsTwice(loop) }
      #expect(try await fromTask.value == [true, true])
      // The preference of an outer scope is another loop's: ours must win for the operation.
      for other in EventLoopGroup.shared.loops {
        let facts = try await loop.run { try await runsTwice(other) }
        #expect(facts == [true, true])
      }
    }
  }

  @Test func `sleep ends, also by cancellation, and a time-out names what was awaited`()
    async throws
  {
    let loop = EventLoopGroup.shared.next()
    try await loop.sleep(for: .milliseconds(5))
    try await loop.sleep(for: .zero)
    let long = Task { try await loop.sleep(for: .seconds(600)) }
    long.cancel()
    await #expect(throws: CancellationError.self) { try await long.value }
    let error = await #expect(throws: NetError.self) {
      try await loop.withTimeout(.milliseconds(100), "the test") {
        try await loop.sleep(for: .seconds(600))
      }
    }
    #expect(error == .timedOut("the test"))
    #expect(try await loop.withTimeout(.seconds(60), "nothing") { 7 } == 7)
  }

  @Test func `stop closes what is open, wakes who waits and frees the loop`() async throws {
    weak var weakLoop: EventLoop?
    weak var weakStream: ByteStream?
    do {
      let group = EventLoopGroup(count: 1)
      let loop = group.loops[0]
      weakLoop = loop
      let (a, b) = try await loop.run { try SocketPair.make(on: loop) }
      weakStream = a
      let reading = Task { try await loop.run { try await a.readChunk() } }
      try await loop.sleep(for: .milliseconds(20))
      group.stop()
      await #expect(throws: (any Error).self) { try await reading.value }
      _ = b
    }
    #expect(try await eventually { weakLoop == nil && weakStream == nil })
  }

  @Test func `a cancelled read leaves the stream as it was`() async throws {
    let loop = EventLoopGroup.shared.next()
    let (a, b) = try await loop.run { try SocketPair.make(on: loop) }
    for isEarly in [false, true] {
      let reading = Task { try await loop.run { try await a.readChunk() } }
      if !isEarly { try await loop.sleep(for: .milliseconds(20)) }
      reading.cancel()
      await #expect(throws: CancellationError.self) { try await reading.value }
    }
    try await loop.run { try await b.write([1, 2, 3]) }
    #expect(try await loop.run { try await a.readChunk() } == [1, 2, 3])
    try await loop.run {
      a.close()
      a.close()
      b.close()
    }
  }

  @Test func `a cancelled write closes, and the next writer and the peer see it`() async throws {
    let loop = EventLoopGroup.shared.next()
    let (a, b) = try await loop.run { try SocketPair.make(on: loop) }
    let large = [UInt8](repeating: 1, count: 16 << 20)
    let first = Task { try await loop.run { try await a.write(large) } }
    try await loop.sleep(for: .milliseconds(20))
    let second = Task { try await loop.run { try await a.write([9]) } }
    try await loop.sleep(for: .milliseconds(20))
    first.cancel()
    await #expect(throws: CancellationError.self) { try await first.value }
    await #expect(throws: NetError.self) { try await second.value }
    var count = 0
    while let chunk = try? await loop.run({ try await b.readChunk() }) { count += chunk.count }
    #expect(count < large.count)
  }

  @Test func `closing under a reader wakes it with an error`() async throws {
    let loop = EventLoopGroup.shared.next()
    let (a, b) = try await loop.run { try SocketPair.make(on: loop) }
    let reading = Task { try await loop.run { try await a.readChunk() } }
    try await loop.sleep(for: .milliseconds(20))
    try await loop.run { a.close() }
    await #expect(throws: NetError.self) { try await reading.value }
    try await loop.run { b.close() }
  }

  @Test func `an actor on the loop runs there`() async throws {
    actor Here {
      nonisolated let loop: EventLoop
      init(_ loop: EventLoop) { self.loop = loop }
      nonisolated var unownedExecutor: UnownedSerialExecutor {
        unsafe loop.serial.asUnownedSerialExecutor()
      }
      func isHere() -> Bool { loop.isCurrent }
    }
    #expect(await Here(EventLoopGroup.shared.loops[0]).isHere())
  }
}

@Suite(.timeLimit(.minutes(1))) struct TimerWheelTests {
  final class Entry: WheelEntry {
    var deadline: UInt64?
    var firedAt: [UInt64] = []
    override var nextDeadline: UInt64? { deadline }
    override func expired(at tick: UInt64) {
      firedAt.append(tick)
      deadline = nil
    }
  }

  @Test func `deadlines fire in their tick, moved ones when they are due, cleared ones never`() {
    var random = SeededGenerator(seed: 3)
    var wheel = TimerWheel(slotCount: 16)
    var entries: [Entry] = []
    var due: [UInt64?] = []
    for _ in 0..<200 {
      let entry = Entry()
      entry.deadline = 1 + random.next() % 100
      wheel.schedule(entry)
      switch random.next() % 3 {
      case 0: entry.deadline = nil
      case 1:
        entry.deadline = 1 + random.next() % 100
        wheel.schedule(entry)
      default: break
      }
      entries.append(entry)
      due.append(entry.deadline)
    }
    for tick in UInt64(1)...120 {
      for entry in wheel.advance(to: tick) { entry.expired(at: tick) }
    }
    for (entry, deadline) in zip(entries, due) {
      #expect(entry.firedAt == (deadline.map { [$0] } ?? []))
    }
    #expect(wheel.count == 0)
  }
}
