import BloomBase
import BloomTestTraits
import Testing

#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

@Suite struct OwnThreadTests {
  @Test func `tests that block leave the pool's threads to the others`() async throws {
    let test = try #require(Test.current)
    let tests = sysconf(Int32(_SC_NPROCESSORS_ONLN)) + 1
    let blocked = Locked(0)
    let isOver = Locked(false)
    try await withThrowingTaskGroup { group in
      for _ in 0..<tests {
        group.addTask {
          try await OwnThreadTrait.ownThread.provideScope(for: test, testCase: nil) {
            blocked.withLock { $0 += 1 }
            for _ in 0..<10_000 where !isOver.withLock({ $0 }) { usleep(1000) }
            #expect(isOver.withLock { $0 })
          }
        }
      }
      while blocked.withLock({ $0 }) < tests { try await Task.sleep(for: .milliseconds(1)) }
      isOver.withLock { $0 = true }
      try await group.waitForAll()
    }
  }
}
