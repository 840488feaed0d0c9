import BloomBase
import BloomClient
import BloomEngine
import BloomHTTP
import BloomModels
import BloomNet
import BloomRecords
import BloomSeal
import BloomWire
import Testing

@testable import BloomNode

/// This device's own node, asked over its socket: no coordinator, no network, the same seal.
@Suite(.serialized) struct LocalDoorTests {
  /// A client that knows nothing but the socket.
  private func own(
    _ network: TestNetwork, _ kept: Locked<[SealedPartRunner.KeptReceipt]>
  ) -> PrivateInference {
    let local = LocalNode(
      socket: "\(network.folder.path)/s", http: HTTPClient(), time: SystemTime())
    let view = NetworkView(
      remotes: [], local: local, policy: PlacementPolicy(places: [.device]), time: SystemTime(),
      log: Log("test", sink: RecentLog()))
    return PrivateInference(
      network: view, time: SystemTime(), keep: { receipt in kept.withLock { $0.append(receipt) } })
  }

  @Test func `it answers with no coordinator, sealed and receipted`() async throws {
    try await withNetwork { network in
      try await network.untilServed()
      await network.coordinator.stop()
      let kept = Locked<[SealedPartRunner.KeptReceipt]>([])
      let client = own(network, kept)
      let names = try await client.models().map(\.name)
      #expect(names == [network.model.manifest.name])
      let answer = try await network.ask(through: client)
      #expect(answer.failure == nil)
      #expect(answer.tokens == 24)
      #expect(answer.parts == 1)
      // It is kept once the stream has ended, a moment after the last token.
      for _ in 0..<200 where kept.withLock({ $0.isEmpty }) {
        try await Task.sleep(for: .milliseconds(10))
      }
      let receipt = try #require(kept.withLock { $0.first })
      let claims = try Receipt(unverified: receipt.file.receipt).claims
      #expect(claims.completionTokens == 24)
      #expect(claims.node == answer.node)
      let record = try NodeRecord(verifying: receipt.file.record)
      #expect(record.statement.nodeID == claims.node)
    }
  }

  @Test func `a worker that is killed under its answer costs a pause`() async throws {
    var script = ScriptedEngine.Script()
    script.answerTokens = 120
    script.timePerToken = .milliseconds(10)
    try await withNetwork(script: script) { network in
      try await network.untilServed()
      await network.coordinator.stop()
      let client = own(network, Locked([]))
      let whole = try await network.ask(through: client, maxTokens: 120)
      let asking = Task { try await network.ask(through: client, maxTokens: 120) }
      try await network.until("working") { $0["models"]?.items?.first?["active"]?.integer == 1 }
      network.launcher.killAll()
      let answer = try await asking.value
      #expect(answer.failure == nil)
      #expect(answer.text == whole.text)
      #expect(answer.usage?.completionTokens == 120)
      #expect(answer.parts > 1)
    }
  }

  @Test
  func `the owner who is here is served though strangers are not, and loads the model for it`()
    async throws
  {
    let owner = NodeServiceTests.ScriptedOwner()
    try await withNetwork(configure: { $0.owner = OwnerSettings() }, sensor: owner) { network in
      try await network.untilServed()
      owner.touch()
      try await network.until("away") {
        $0["level"]?.string == "away" && $0["models"]?.items?.first?["state"]?.string == "stored"
      }
      let client = own(network, Locked([]))
      // The first asks for a model that is not loaded, and the wish loads it.
      var answer = try? await network.ask(through: client)
      for _ in 0..<100 where answer == nil || answer?.failure != nil {
        try await Task.sleep(for: .milliseconds(100))
        answer = try? await network.ask(through: client)
      }
      #expect(answer?.failure == nil && answer?.tokens == 24)
      let status = try await network.status()
      #expect(status["level"]?.string == "away" && status["reason"]?.string == "owner_active")
      #expect(status["models"]?.items?.first?["state"]?.string == "loaded")
      #expect(NodeStatusPage(status).text.contains("serves its owner alone"))
      // A pause is for the owner's own requests too: it frees the memory.
      _ = try await NodeConsoleClient(socket: "\(network.folder.path)/s").ask(.pause)
      try await network.until("freed") {
        $0["models"]?.items?.first?["state"]?.string == "stored"
      }
    }
  }

  @Test func `what is not sealed to this machine is not taken`() async throws {
    try await withNetwork { network in
      try await network.untilServed()
      var request = try ClientRequest.post("http://node/v1/sealed", [1, 2, 3])
      request.unixSocket = "\(network.folder.path)/s"
      let http = HTTPClient()
      defer { http.close() }
      #expect(try await http.send(request).status.code == 400)
    }
  }
}
