import BloomPlatform
import Testing

@Suite struct ThreadExecutorTests {
  actor Counter {
    let executor = ThreadExecutor(name: "counter")
    nonisolated var unownedExecutor: UnownedSerialExecutor {
      unsafe executor.asUnownedSerialExecutor()
    }
    var value = 0
    func add() -> Bool {
      value += 1
      return executor.isCurrent
    }
    func stop() { executor.stop() }
  }

  @Test func `every job runs on the one thread`() async {
    let counter = Counter()
    await withTaskGroup(of: Bool.self) { group in
      for _ in 0..<1000 { group.addTask { await counter.add() } }
      for await isOnThread in group { #expect(isOnThread) }
    }
    #expect(await counter.value == 1000)
    await counter.stop()
  }
}
