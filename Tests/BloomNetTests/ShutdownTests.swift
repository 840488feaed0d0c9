import BloomBase
import BloomNet
import Testing

#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

@Suite(.timeLimit(.minutes(1))) struct ShutdownTests {
  @Test func `a child's environment names its parent, and holds settings when they are for it`() {
    let current = [
      "HOME": "/h", "DARKBLOOM_TIER": "hardware", "DARKBLOOM_PARENT": "0", "DARKBLOOMED": "1",
    ]
    #expect(
      ParentWatch.childEnvironment(current)
        == ["DARKBLOOMED=1", "DARKBLOOM_TIER=hardware", "HOME=/h", "DARKBLOOM_PARENT=1"])
    #expect(
      ParentWatch.childEnvironment(current, keepsSettings: false)
        == ["DARKBLOOMED=1", "HOME=/h", "DARKBLOOM_PARENT=1"])
  }

  @Test func `the first signal cancels the service and lets it drain`() async {
    await #expect(processExitsWith: .exitCode(7)) {
      let signal = ShutdownSignal()
      try await EventLoopGroup.shared.loops[0].run {}  // the loop watches from here on
      try await signal.run {
        kill(getpid(), SIGTERM)
        try? await Task.sleep(for: .seconds(600))
        exit(Task.isCancelled ? 7 : 1)
      }
    }
  }

  @Test func `the second signal ends the process at once`() async {
    await #expect(processExitsWith: .exitCode(128 + SIGINT)) {
      let signal = ShutdownSignal()
      try await EventLoopGroup.shared.loops[0].run {}
      kill(getpid(), SIGINT)
      await signal.wait()
      kill(getpid(), SIGINT)
      try await Task.sleep(for: .seconds(600))
    }
  }

  @Test func `waiting ends with the task that waits`() async throws {
    await #expect(processExitsWith: .success) {
      let signal = ShutdownSignal()
      // libuv's own clean-up at exit aborts a loop that is just then setting a signal handler up.
      try await EventLoopGroup.shared.loops[0].run {}
      let waiting = Task { await signal.wait() }
      waiting.cancel()
      await waiting.value
    }
  }
}
