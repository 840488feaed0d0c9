import BloomBase
import Testing

@Suite struct RetryBackoffTests {
  @Test func `delays double up to the longest, with half of each random`() {
    var generator = SeededGenerator(seed: 1)
    var backoff = RetryBackoff(first: .milliseconds(100), longest: .seconds(1))
    for ceiling in [100, 200, 400, 800, 1_000, 1_000] {
      let delay = backoff.failed(using: &generator)
      #expect(delay >= .milliseconds(ceiling / 2) && delay <= .milliseconds(ceiling))
    }
    #expect(backoff.failures == 6)
    backoff.succeeded()
    #expect(backoff.failed(using: &generator) <= .milliseconds(100))
  }

  @Test func `the same seed gives the same delays`() {
    func delays(_ seed: UInt64) -> [Duration] {
      var generator = SeededGenerator(seed: seed)
      var backoff = RetryBackoff()
      return (0..<20).map { _ in backoff.failed(using: &generator) }
    }
    #expect(delays(5) == delays(5))
    #expect(delays(5) != delays(6))
  }

  @Test func `folders follow the environment`() {
    let plain = UserFolders(environment: ["HOME": "/h"])
    #expect(plain?.configuration == "/h/.config/darkbloom" && plain?.runtime == nil)
    let set = UserFolders(environment: [
      "HOME": "/h", "XDG_CACHE_HOME": "/c", "XDG_DATA_HOME": "relative", "XDG_RUNTIME_DIR": "/r",
    ])
    #expect(set?.cache == "/c/darkbloom" && set?.data == "/h/.local/share/darkbloom")
    #expect(set?.runtime == "/r/darkbloom")
    #expect(UserFolders(environment: [:]) == nil && UserFolders(environment: ["HOME": "x"]) == nil)
  }
}
