import BloomBase
import BloomClient
import BloomCoordinator
import BloomCrypto
import BloomRecords
import Testing

@Suite(.serialized) struct DirectoryTests {
  @Test func `a client verifies the log and finds every connected machine`() async throws {
    try await withCoordinator([.answer(tokens: 1), .answer(tokens: 1)]) { test, nodes in
      let verifier = try DirectoryVerifier(
        origin: TestCoordinator.origin, key: test.logKey.verifyingKey.bytes)
      let now = SystemTime().unixTime()
      var known: KnownLog?
      var found: Set<NodeID> = []
      try await test.until("both are published") {
        let bytes = try await test.client.directory(earlier: known?.size ?? 0)
        let (snapshot, log) = try verifier.snapshot(bytes, known: known, now: now)
        known = log
        found = []
        for (index, tree) in snapshot.trees.enumerated() {
          let indexes = Array(0..<tree.size)
          let records = try verifier.records(
            try await test.client.records(
              snapshot: snapshot.number, tree: index, indexes: indexes), tree: tree,
            indexes: indexes)
          found.formUnion(records.map(\.statement.nodeID))
        }
        return found.count == 2
      }
      #expect(found == Set(nodes.map(\.machine.node)))
    }
  }

  @Test func `a history from another key is not believed`() async throws {
    try await withCoordinator([]) { test, _ in
      let verifier = try DirectoryVerifier(
        origin: TestCoordinator.origin, key: try SigningKey.generate(.ed25519).verifyingKey.bytes)
      let bytes = try await test.client.directory(earlier: 0)
      #expect(throws: DirectoryError.signature) {
        try verifier.snapshot(bytes, known: nil, now: SystemTime().unixTime())
      }
    }
  }

  @Test func `manifests are given by their digest`() async throws {
    try await withCoordinator([]) { test, _ in
      let model = ModelID(SHA256.digest([1, 2, 3]))
      let manifest = try await test.client.manifest(model)
      #expect(manifest == [1, 2, 3])
      await #expect(throws: CoordinatorClient.Refusal.self) {
        try await test.client.manifest(ModelID(.zero))
      }
    }
  }
}
