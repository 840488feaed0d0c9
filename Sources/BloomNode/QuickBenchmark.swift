package import BloomBase
internal import BloomPlatform
package import BloomWire

#if canImport(Glibc)
internal import Glibc
#else
internal import Darwin
#endif

/// What a machine can compute, measured in a few seconds: a first guess, never a ground for
/// payment.
package struct MachineFacts: Sendable, Equatable {
  /// One graphics processor.
  package struct Graphics: Sendable, Equatable {
    /// The maker's name for it.
    package var name: String
    /// Its memory.
    package var memoryBytes: UInt64
    /// Bytes a second between its memory and itself, by its clock; 0 when unknown.
    package var bytesPerSecond: Double
  }

  /// `x86_64` or `arm64`.
  package var architecture: String
  /// Processors that the process may run on.
  package var cores: Int
  /// Main memory.
  package var memoryBytes: UInt64
  /// Bytes a second that all cores together read from main memory, measured.
  package var bytesPerSecond: Double
  /// Graphics processors.
  package var graphics: [Graphics]

  /// Tokens a second that one stream of a model may reach, about ±25 %; `nil` when nothing is
  /// known.
  ///
  /// Each token reads every weight once: 1.07 × bytes / bandwidth, and 6 ms for the layers of a
  /// 7-billion model, less for smaller ones. Models that use a part of their weights are faster.
  package func tokensPerSecond(weightBytes: UInt64) -> Double? {
    let bandwidth = graphics.filter { $0.memoryBytes > weightBytes }.map(\.bytesPerSecond).max()
    let speed = max(bandwidth ?? 0, bytesPerSecond)
    guard speed > 0, weightBytes > 0 else { return nil }
    let reading = 1.07 * Double(weightBytes) / speed
    let layers = 0.006 * min(1, Double(weightBytes) / 3.8e9)
    return 1 / (reading + layers)
  }

  /// The facts as JSON.
  package var json: JSONValue {
    .members([
      "architecture": .string(architecture), "cores": .integer(cores),
      "memory_mib": .integer(memoryBytes >> 20),
      "memory_megabytes_per_second": .integer(Int64(bytesPerSecond / 1e6)),
      "graphics": .array(
        graphics.map {
          .members([
            "name": .string($0.name), "memory_mib": .integer($0.memoryBytes >> 20),
            "memory_megabytes_per_second": .integer(Int64($0.bytesPerSecond / 1e6)),
          ])
        }),
    ])
  }
}

/// Measures ``MachineFacts``: under five seconds, and nothing leaves the machine.
package enum QuickBenchmark: Sendable {
  /// Reads more memory than any cache holds, with all cores, for a fixed time.
  ///
  /// - Parameters:
  ///   - time: Measures.
  ///   - duration: How long each thread reads.
  /// - Returns: What was found.
  package static func run(
    time: any TimeSource = SystemTime(), duration: Duration = .milliseconds(600)
  ) async -> MachineFacts {
    let facts = HardwareFacts.current()
    let threads = max(1, min(facts.usableCores, 16))
    // A cache of 32 MiB and more is common; an eighth of what is free disturbs nobody.
    let free = UInt64(max(0, MachineMemory.availableMebibytes())) << 20
    let bytes = Int(min(512 << 20, max(64 << 20, free / 8))) / threads
    let rates = await withTaskGroup(of: Double.self) { group in
      for _ in 0..<threads {
        group.addTask {
          let reader = MemoryReader()
          return await reader.bytesPerSecond(byteCount: bytes, time: time, duration: duration)
        }
      }
      var sum = 0.0
      for await rate in group { sum += rate }
      return sum
    }
    return MachineFacts(
      architecture: facts.architecture, cores: facts.usableCores, memoryBytes: facts.memoryBytes,
      bytesPerSecond: rates, graphics: graphics())
  }

  private static func graphics() -> [MachineFacts.Graphics] {
    #if os(Linux)
    (NvidiaManagement()?.read() ?? []).map {
      .init(name: $0.name, memoryBytes: $0.memoryBytes, bytesPerSecond: $0.bytesPerSecond)
    }
    #else
    []
    #endif
  }
}

/// Reads memory on a thread of its own.
private actor MemoryReader {
  private let executor = ThreadExecutor(name: "memory-reader")

  nonisolated var unownedExecutor: UnownedSerialExecutor {
    unsafe executor.asUnownedSerialExecutor()
  }

  deinit { executor.stop() }

  func bytesPerSecond(byteCount: Int, time: any TimeSource, duration: Duration) -> Double {
    let count = byteCount / 64
    guard count > 0, let memory = unsafe malloc(count * 64) else { return 0 }
    defer { unsafe free(memory) }
    // Written first, so that every page is there.
    unsafe memset(memory, 1, count * 64)
    let lines = unsafe memory.bindMemory(to: SIMD8<UInt64>.self, capacity: count)
    var sum = SIMD8<UInt64>(repeating: 0)
    var rounds = 0
    let start = time.now()
    while true {
      for index in 0..<count { unsafe sum &+= lines[index] }
      rounds += 1
      let spent = time.now() - start
      if spent >= duration || rounds == 100_000 {
        // The sum is used, so that the compiler cannot leave the reading out.
        let seconds = Double(max(1, spent.wholeNanoseconds)) / 1e9
        return sum[0] == 0 ? 0 : Double(rounds * count * 64) / seconds
      }
    }
  }
}
