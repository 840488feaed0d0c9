#if os(Linux)
import BloomBase
import BloomEngine
import Glibc
import Synchronization
import Testing

@testable import BloomEngineLlama

/// What stays in the process's memory, and how the pulse goes on inside long calculations.
@Suite(.serialized) struct ContextMemoryTests {
  /// A clock that counts how often it is read.
  private final class CountingTime: TimeSource {
    let reads = Atomic<UInt64>(0)
    func now() -> Instant {
      Instant(nanoseconds: reads.add(1, ordering: .relaxed).newValue)
    }
    func unixTime() -> UnixTime { UnixTime(0) }
  }

  private func makeContext(time: any TimeSource = SystemTime()) throws -> LlamaContext {
    let descriptor = unsafe open(
      "\(Fixtures.share)/models/smollm2-135m-instruct-q4_1.gguf", O_RDONLY)
    try #require(descriptor >= 0, "run make deps: the bundled model is missing")
    defer { close(descriptor) }
    let model = try LlamaModel(
      descriptor: descriptor, facts: try FileFacts(descriptor: descriptor), progress: { _ in true })
    return try LlamaContext(
      model: model, slots: 2, contextTokens: 256, threads: 1, beat: EngineBeat(), time: time)
  }

  private func entries(_ count: Int) -> [BatchEntry] {
    (0..<count).map {
      BatchEntry(token: Int32(1000 + 7 * $0), position: $0, slot: 0, wantsLogits: $0 == count - 1)
    }
  }

  /// How often a text stands in the process's writable memory.
  private func occurrences(_ wanted: [UInt8]) throws -> Int {
    let maps = unsafe fopen("/proc/self/maps", "r")
    let file = unsafe try #require(maps)
    defer { unsafe fclose(file) }
    let memory = unsafe open("/proc/self/mem", O_RDONLY)
    try #require(memory >= 0)
    defer { close(memory) }
    var found = 0
    var line = [CChar](repeating: 0, count: 512)
    var buffer = [UInt8](repeating: 0, count: 1 << 20)
    while unsafe fgets(&line, Int32(line.count), file) != nil {
      let text = String(
        decoding: line.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
      let fields = text.split(separator: " ")
      guard fields.count > 1, fields[1].hasPrefix("rw") else { continue }
      let bounds = fields[0].split(separator: "-").compactMap { UInt64($0, radix: 16) }
      guard bounds.count == 2 else { continue }
      // The file is read, not the addresses: this buffer must not find itself.
      let own = unsafe buffer.withUnsafeBytes { UInt64(UInt(bitPattern: $0.baseAddress)) }
      var at = bounds[0]
      while at < bounds[1] {
        let size = UInt64(buffer.count)
        if (own..<own + size).contains(at) {
          at = own + size
          continue
        }
        let count = min(size, (at < own ? min(own, bounds[1]) : bounds[1]) - at)
        if unsafe pread(memory, &buffer, Int(count), off_t(at)) == Int(count) {
          unsafe found += Self.count(buffer, Int(count), wanted)
        }
        // What lies across two reads is seen in the second.
        at += count == size ? count - 63 : count
      }
    }
    return found
  }

  /// memmem(3), which Swift does not see.
  private static func count(
    _ bytes: UnsafePointer<UInt8>, _ count: Int, _ wanted: UnsafePointer<UInt8>
  ) -> Int {
    var (at, hits) = (0, 0)
    while count - at >= 64,
      let found = unsafe memchr(bytes + at, Int32(wanted[0]), count - at - 63)
    {
      at = unsafe UnsafeRawPointer(found) - UnsafeRawPointer(bytes)
      if unsafe memcmp(found, wanted, 64) == 0 { hits += 1 }
      at += 1
    }
    return hits
  }

  @Test func `clearing overwrites what was computed, not only its index`() throws {
    let context = try makeContext()
    #expect(context.decode(entries(100)) == .done)
    #expect(context.copy(slot: 0, to: 1))
    // A piece of what the slots hold, kept disguised so that the search does not find it here.
    let disguised = context.scratch[10_000..<10_064].map { ~$0 }
    #expect(Set(disguised).count > 16, "real values, not a run of one")
    func search() throws -> Int {
      var plain = disguised.map { ~$0 }
      defer { for index in plain.indices { plain[index] = 0 } }
      return try occurrences(plain)
    }
    let before = try search()
    context.clear()
    let after = try search()
    #expect(before >= 3, "two slots and the way between them; \(before)")
    // What is left is the searching array itself.
    #expect(after <= 1, "\(after)")
    #expect(!context.holds(slot: 0, count: 100))
    #expect(context.decode(entries(100)) == .done, "it goes on serving")
  }

  @Test func `the pulse goes on inside one piece of a prompt`() throws {
    let time = CountingTime()
    let context = try makeContext(time: time)
    let before = time.reads.load(ordering: .relaxed)
    #expect(context.decode(entries(100)) == .done)
    // Hundreds of nodes, and the pulse is renewed after every sixteenth at the least.
    #expect(time.reads.load(ordering: .relaxed) - before > 30)
  }

  @Test func `slow nodes renew the pulse each`() throws {
    /// A clock that jumps 20 ms with each look: every node seems slow.
    final class SlowTime: TimeSource {
      let reads = Atomic<UInt64>(0)
      func now() -> Instant {
        Instant(nanoseconds: reads.add(20_000_000, ordering: .relaxed).newValue)
      }
      func unixTime() -> UnixTime { UnixTime(0) }
    }
    let (quick, slow) = (CountingTime(), SlowTime())
    #expect(try makeContext(time: quick).decode(entries(100)) == .done)
    #expect(try makeContext(time: slow).decode(entries(100)) == .done)
    let nodes = slow.reads.load(ordering: .relaxed) / 20_000_000
    #expect(nodes > 8 * quick.reads.load(ordering: .relaxed))
  }
}
#endif
