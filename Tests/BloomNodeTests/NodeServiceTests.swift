import BloomBase
import BloomEngine
import BloomNet
import BloomWire
import Testing

@testable import BloomNode

@Suite(.serialized) struct NodeServiceTests {
  @Test func `a private answer goes from client to worker and back, and is paid`() async throws {
    try await withNetwork { network in
      try await network.until("open") { $0["link"]?.string == "open" }
      try await network.untilServed()
      let answer = try await network.ask()
      #expect(answer.failure == nil)
      #expect(!answer.text.isEmpty)
      #expect(answer.tokens > 0)
      #expect(answer.parts == 1)
      try await network.until("paid and acknowledged") {
        $0["unconfirmed_receipts"]?.integer == 0 && $0["requests"]?["done"]?.integer == 1
      }
    }
  }

  @Test func `a worker that dies is started again and serves with new keys`() async throws {
    try await withNetwork { network in
      try await network.untilServed()
      _ = try await network.ask()
      network.launcher.killAll()
      try await network.until("gone") { $0["models"]?.items?.first?["state"]?.string != "loaded" }
      try await network.until("back") { $0["models"]?.items?.first?["state"]?.string == "loaded" }
      #expect(network.launcher.launches == 2)
      var answer: TestNetwork.Answer?
      for _ in 0..<40 {
        // The client's directory still names the dead worker's key for a moment.
        answer = try? await network.ask()
        if answer?.failure == nil, answer != nil { break }
        try await Task.sleep(for: .milliseconds(100))
      }
      #expect(answer?.failure == nil)
      #expect(answer?.text.isEmpty == false)
    }
  }

  @Test func `a pause unloads the worker, outlives a look, and a resume brings it back`()
    async throws
  {
    try await withNetwork { network in
      try await network.untilServed()
      let console = NodeConsoleClient(socket: "\(network.folder.path)/s")
      let paused = try await console.ask(.pause)
      #expect(paused["reason"]?.string == "paused")
      try await network.until("unloaded") {
        $0["models"]?.items?.first?["state"]?.string == "stored"
      }
      let status = try await network.status()
      #expect(status["link"]?.string == "open", "the link stays")
      _ = try await console.ask(.resume)
      try await network.until("loaded") {
        $0["models"]?.items?.first?["state"]?.string == "loaded"
      }
    }
  }

  @Test func `a cancelled service ends its running answer and keeps its receipt`() async throws {
    var script = ScriptedEngine.Script()
    script.answerTokens = 2_000
    script.timePerToken = .milliseconds(10)
    try await withNetwork(script: script) { network in
      try await network.untilServed()
      let asking = Task { try await network.ask(maxTokens: 2_000) }
      try await network.until("working") {
        $0["models"]?.items?.first?["active"]?.integer == 1
      }
      network.node.cancel()
      try await network.node.value
      asking.cancel()
      _ = await asking.result
    }
  }

  @Test func `a second agent on the same folder is refused`() async throws {
    let folder = try TemporaryFolder()
    let first = try FolderLock(StateFolder(creating: folder.path))
    #expect(throws: NodeError.self) {
      _ = try FolderLock(StateFolder(creating: folder.path))
    }
    withExtendedLifetime(first) {}
  }
}
