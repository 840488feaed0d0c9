import BloomBase
import BloomEngine
import BloomLedger
import BloomNet
import BloomStore
import BloomWire
import Testing

@testable import BloomNode

@Suite(.serialized) struct NodeServiceTests {
  /// An owner of whom the test decides.
  final class ScriptedOwner: OwnerSensor {
    private let idle = Locked<Duration>(.seconds(3_600))
    func touch() { idle.withLock { $0 = .zero } }
    func leave() { idle.withLock { $0 = .seconds(3_600) } }
    func inputIdle() -> Duration? { idle.withLock { $0 } }
    func read(into snapshot: inout OwnerSnapshot) {}
  }

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
      // What the status calls earned is what the ledger booked, less the platform's fee.
      try await network.until("earned") {
        ($0["today"]?["earned_micros"]?.string.flatMap { Int64($0) } ?? 0) > 0
      }
      let status = try await network.status()
      let owner = try #require(AccountID("owner"))
      #expect(
        status["earned_micros"]?.string
          == "\(network.store.balance(of: owner).earned.rawValue)")
    }
  }

  @Test func `a worker that dies is started again and serves with new keys`() async throws {
    try await withNetwork { network in
      try await network.untilServed()
      _ = try await network.ask()
      network.launcher.killAll()
      // The restart may be quicker than a look at the status is.
      try await network.until("back") {
        network.launcher.launches == 2
          && $0["models"]?.items?.first?["state"]?.string == "loaded"
      }
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

  @Test func `a quick pause and resume is no crash`() async throws {
    try await withNetwork { network in
      try await network.untilServed()
      let console = NodeConsoleClient(socket: "\(network.folder.path)/s")
      for round in 1...6 {
        let launches = network.launcher.launches
        _ = try await console.ask(.pause)
        _ = try await console.ask(.resume)
        try await network.until("loaded again, round \(round)") {
          network.launcher.launches > launches
            && $0["models"]?.items?.first?["state"]?.string == "loaded"
        }
      }
      let model = try await network.status()["models"]?.items?.first
      #expect(model?["crash_looping"]?.bool == false)
      #expect(model?["failure"]?.string == nil)
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

  @Test func `a coordinator that is gone is found again, and the receipt it missed reaches it`()
    async throws
  {
    var script = ScriptedEngine.Script()
    script.answerTokens = 2_000
    script.timePerToken = .milliseconds(10)
    try await withNetwork(script: script) { network in
      try await network.untilServed()
      let asking = Task { try await network.ask(maxTokens: 2_000) }
      try await network.until("working") { $0["models"]?.items?.first?["active"]?.integer == 1 }
      try await Task.sleep(for: .milliseconds(300))
      await network.coordinator.stop()
      try await network.until("stopped, with a receipt to keep") {
        $0["link"]?.string != "open" && $0["models"]?.items?.first?["active"]?.integer == 0
          && $0["unconfirmed_receipts"]?.integer == 1
      }
      try await network.coordinator.start()
      try await network.until("open again and acknowledged") {
        $0["link"]?.string == "open" && $0["unconfirmed_receipts"]?.integer == 0
      }
      asking.cancel()
      _ = await asking.result
    }
  }

  @Test func `the owner's return stops the answer and frees the weights`() async throws {
    var script = ScriptedEngine.Script()
    script.answerTokens = 5_000
    script.timePerToken = .milliseconds(5)
    let owner = ScriptedOwner()
    try await withNetwork(
      script: script, configure: { $0.owner = OwnerSettings() }, sensor: owner
    ) { network in
      try await network.untilServed()
      let asking = Task { try await network.ask(maxTokens: 4_000) }
      try await network.until("working") { $0["models"]?.items?.first?["active"]?.integer == 1 }
      owner.touch()
      try await network.until("away") {
        $0["level"]?.string == "away" && $0["reason"]?.string == "owner_active"
          && $0["models"]?.items?.first?["state"]?.string == "stored"
          && $0["requests"]?["handed_back"]?.integer == 1
      }
      asking.cancel()
      _ = await asking.result
      owner.leave()
      try await network.until("back") { $0["models"]?.items?.first?["state"]?.string == "loaded" }
    }
  }

  @Test func `the doctor finds what is wrong and does not call a paused node well`() async throws {
    try await withNetwork { network in
      try await network.until("open") { $0["link"]?.string == "open" }
      var settings = network.settings
      settings.workerPath = "\(network.folder.path)/no-worker"
      let doctor = NodeDoctor(configuration: settings)
      let findings = await doctor.examine()
      let faults = findings.filter { $0.state == .fault }.map(\.name)
      // Neither the worker's program nor the model's file exists in this test.
      #expect(faults == ["worker", "model scripted:1"])
      #expect(findings.allSatisfy { $0.state == .ok || $0.fix != nil })
      #expect(findings.last?.text == "serves")
      _ = try await NodeConsoleClient(socket: "\(network.folder.path)/s").ask(.pause)
      #expect(await doctor.examine().last?.state == .warning)
      await network.coordinator.stop()
      let gone = await doctor.examine()
      #expect(gone.contains { $0.name == "coordinator" && $0.state == .fault })
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
