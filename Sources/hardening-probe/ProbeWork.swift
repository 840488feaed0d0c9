import BloomBase
import BloomPlatform

/// Work that needs new threads, timers and memory inside the sandbox.
enum ProbeWork {
  private actor Owner {
    let executor = ThreadExecutor(name: "probe")
    nonisolated var unownedExecutor: UnownedSerialExecutor {
      unsafe executor.asUnownedSerialExecutor()
    }
    func add(_ numbers: [Int]) -> Int { numbers.reduce(0, +) }
    func stop() { executor.stop() }
  }

  /// 64 tasks on the cooperative pool, each with a timer and a megabyte, and one own thread.
  static func run() async -> Int {
    let owner = Owner()
    let sum = await withTaskGroup(of: Int.self) { group in
      for number in 0..<64 {
        group.addTask {
          // A cancelled sleep is not possible here; the probe has no other use for its error.
          try? await Task.sleep(for: .milliseconds(5))
          let numbers = [Int](repeating: number, count: 1 << 17)
          return await owner.add(numbers) / numbers.count
        }
      }
      return await group.reduce(0, +)
    }
    await owner.stop()
    return sum
  }
}
