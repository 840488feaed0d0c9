import BloomBase
import BloomClient
import BloomCoordinator
import BloomCrypto
import BloomNet
import BloomPlatform
import BloomRecords
import BloomSeal
import BloomStore
import BloomTestSupport
import Testing

#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

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

  @Test func `the second client verifies the log and finds every connected machine`() async throws {
    try await withCoordinator([.answer(tokens: 1), .answer(tokens: 1)]) { test, nodes in
      let key = test.logKey.verifyingKey.bytes
      let verifier = try DirectoryVerifier(origin: TestCoordinator.origin, key: key)
      let now = SystemTime().unixTime()
      var known: KnownLog?
      var values: [(name: String, bytes: [UInt8])] = []
      try await test.until("both are published") {
        let bytes = try await test.client.directory(earlier: known?.size ?? 0)
        let (snapshot, log) = try verifier.snapshot(bytes, known: known, now: now)
        defer { known = log }
        guard let before = known, let tree = snapshot.trees.first, tree.size == 2 else {
          return false
        }
        values = [
          ("origin", Array(TestCoordinator.origin.utf8)), ("log-key", key),
          ("known-size", bigEndian(before.size)), ("known-root", before.root.bytes),
          ("now", bigEndian(UInt64(now.seconds))), ("directory", bytes), ("tree", [0]),
          (
            "records",
            try await test.client.records(
              snapshot: snapshot.number, tree: 0, indexes: Array(0..<tree.size))
          ),
        ]
        return true
      }
      let vectors = "\(SecondClient.root)/Tests/Vectors/directory.txt"
      let found = try SecondClient.run("directory", values: values, vectors: vectors)
      #expect(
        Set(found.split(separator: "\n").map { String($0) })
          == Set(nodes.map { "machine \($0.machine.node.digest.hex)" }))
      #expect(try SecondClient.run("directory", vectors).split(separator: "\n").count == 2)
      // A byte of what the log signed, and one of a record.
      for name in ["directory", "records"] {
        var changed = values
        let index = try #require(changed.firstIndex { $0.name == name })
        changed[index].bytes[90] ^= 1
        #expect(throws: TestSupportError.self) {
          try SecondClient.run("directory", values: changed)
        }
      }
    }
  }

  private func bigEndian(_ number: UInt64) -> [UInt8] {
    (0..<8).map { UInt8(truncatingIfNeeded: number >> (56 - 8 * UInt64($0))) }
  }

  @Test(.timeLimit(.minutes(1)))
  func `two publishes at once over a slow disk are one snapshot and one leaf`() async throws {
    let folder = try TemporaryFolder()
    let disk = LeafLog(try PrivateFolder(making: folder.path))
    let store = try await LedgerStore.open(MemoryBackend(), clock: SystemTime())
    let service = CoordinatorService(
      configuration: CoordinatorService.Configuration(listen: [.memory(MemoryNetwork())]),
      store: store, logKey: try SigningKey.generate(.ed25519), leafLog: disk,
      catalog: ManifestCatalog(), log: Log("test", sink: RecentLog()))
    // The log's thread waits in open(2) until somebody opens the other end: mkfifo(3).
    let gate = "\(folder.path)/gate"
    let made = unsafe mkfifo(gate, 0o600)
    try #require(made == 0)
    let stuck = Task { try? await disk.load("gate") }
    try await Task.sleep(for: .milliseconds(50))
    let hub = service.hub
    let publishing = (0..<2).map { _ in Task { await hub.publishDirectory() } }
    // Long enough for both to wait for the disk, if both had something to publish.
    try await Task.sleep(for: .milliseconds(200))
    // For both ends, so that it waits for nobody.
    let end = unsafe open(gate, O_RDWR)
    close(end)
    _ = await stuck.value
    for task in publishing { await task.value }
    #expect(try await disk.load().count == 1)
    await store.close()
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
