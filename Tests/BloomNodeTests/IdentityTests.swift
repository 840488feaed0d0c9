import BloomBase
import BloomCrypto
import BloomHPKE
import BloomRecords
import BloomWire
import Testing

@testable import BloomNode

#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

@Suite struct NodeIdentityTests {
  @Test func `an identity is made once and survives`() throws {
    let folder = try TemporaryFolder()
    let first = try NodeIdentity.software(folder: folder.path)
    let second = try NodeIdentity.software(folder: folder.path)
    #expect(first.nodeID == second.nodeID)
    #expect(try StateFolder(creating: folder.path).mode(of: NodeIdentity.fileName) == 0o600)
    let other = try TemporaryFolder()
    #expect(try NodeIdentity.software(folder: other.path).nodeID != first.nodeID)
  }

  @Test func `a file that others can read, or that is damaged, is refused`() throws {
    let folder = try TemporaryFolder()
    _ = try NodeIdentity.software(folder: folder.path)
    let path = "\(folder.path)/\(NodeIdentity.fileName)"
    unsafe chmod(path, 0o644)
    #expect(throws: NodeError.self) { _ = try NodeIdentity.software(folder: folder.path) }
    try StateFolder(creating: folder.path).write(NodeIdentity.fileName, [1, 2, 3])
    #expect(throws: NodeError.self) { _ = try NodeIdentity.software(folder: folder.path) }
  }
}

@Suite struct RecordMakerTests {
  static func ready(madeAt: Int64, slots: Int = 4, facts: [String] = []) throws -> WorkerReady {
    let receipt = try SigningKey.generate(.p256).verifyingKey.bytes
    let keys = try [HPKESuite.p256, .x25519].map { suite in
      let key = try SoftwareKEMKey.generate(suite.kem).publicKey
      return WorkerKey(
        suite: suite.bytes, kid: key.keyID, encryptionKey: key.bytes, receiptKey: receipt,
        madeAt: UnixTime(madeAt))
    }
    return WorkerReady(
      model: ModelID(.zero), keys: keys, engineIdentity: "engine", facts: facts, filter: .zero,
      contextTokens: 4_096, slots: slots, memoryBytes: 1)
  }

  static func maker(_ folder: TemporaryFolder) throws -> (RecordMaker, NodeIdentity) {
    let identity = try NodeIdentity.software(folder: folder.path)
    return (RecordMaker(identity: identity, release: SHA256.digest([9])), identity)
  }

  @Test func `a record verifies, names its machine and ends with its keys`() throws {
    let folder = try TemporaryFolder()
    let (maker, identity) = try Self.maker(folder)
    let facts = ["no-network", "no-files", "not-traceable", "no-core-dumps", "news"]
    let ready = try Self.ready(madeAt: 1_000, slots: 5, facts: facts)
    let record = try #require(
      try maker.record(of: [WorkerOffer(ready)], epoch: 3, now: UnixTime(1_600)))
    let again = try NodeRecord(verifying: record.encoded)
    #expect(again.statement.nodeID == identity.nodeID)
    #expect(again.statement.notAfter == UnixTime(4_600))
    #expect(again.statement.workers.map(\.keyID) == ready.keys.map(\.kid))
    #expect(again.statement.capacityBucket == 2)
    #expect(again.statement.sandbox == [.noNetwork, .noFiles, .noDebugger])
    #expect(again.statement.engine == SHA256.digest(Array("engine".utf8)))
    let verified = try TierPolicy(minimum: .software).admit(again, at: UnixTime(1_600))
    #expect(verified.tier == .software)
  }

  @Test func `keys near their end make no record`() throws {
    let folder = try TemporaryFolder()
    let (maker, _) = try Self.maker(folder)
    let offer = WorkerOffer(try Self.ready(madeAt: 1_000))
    #expect(try maker.record(of: [offer], epoch: 1, now: UnixTime(4_541)) == nil)
    #expect(try maker.record(of: [offer], epoch: 1, now: UnixTime(4_540)) != nil)
    #expect(try maker.record(of: [], epoch: 1, now: UnixTime(1_000)) == nil)
  }

  @Test func `a clock that went back gives no key more than an hour`() throws {
    let folder = try TemporaryFolder()
    let (maker, _) = try Self.maker(folder)
    let offer = WorkerOffer(try Self.ready(madeAt: 10_000))
    let record = try #require(try maker.record(of: [offer], epoch: 1, now: UnixTime(2_000)))
    #expect(record.statement.notAfter == UnixTime(5_600))
  }

  @Test func `a key that is none is the worker's fault`() throws {
    let folder = try TemporaryFolder()
    let (maker, _) = try Self.maker(folder)
    var ready = try Self.ready(madeAt: 1_000)
    ready.keys[0].encryptionKey = [1, 2, 3]
    #expect(throws: NodeError.self) {
      _ = try maker.record(of: [WorkerOffer(ready)], epoch: 1, now: UnixTime(1_000))
    }
  }
}

@Suite struct ReceiptShelfTests {
  @Test func `receipts outlive a restart until they are forgotten`() async throws {
    let folder = try TemporaryFolder()
    let (a, b): ([UInt8], [UInt8]) = ([1, 2], [3])
    let shelf = try ReceiptShelf(folder: folder.path)
    try await shelf.store(a, SHA256.digest(a))
    try await shelf.store(b, SHA256.digest(b))
    try await shelf.store(b, SHA256.digest(b))
    let second = try ReceiptShelf(folder: folder.path)
    #expect(Set(await second.restore().map(\.receipt)) == [a, b])
    await second.forget(SHA256.digest(a))
    #expect(await second.restore().map(\.receipt) == [b])
  }

  @Test func `a file that is not what its name says is dropped`() async throws {
    let folder = try TemporaryFolder()
    let shelf = try ReceiptShelf(folder: folder.path)
    let inside = try StateFolder(creating: "\(folder.path)/receipts")
    try inside.write(SHA256.digest([1]).hex, [2])
    try inside.write("note", [2])
    #expect(await shelf.restore().isEmpty)
    // The gateway keeps its own receipts in the same folder, by other names.
    #expect(inside.names() == ["note"])
  }
}

@Suite struct CrashHistoryTests {
  @Test func `five ends in ten minutes are a loop, and delays grow to a minute`() {
    var history = CrashHistory()
    var random = SeededGenerator(seed: 1)
    var now = Instant(nanoseconds: 1_000_000_000)
    var delays: [Duration] = []
    for count in 1...5 {
      delays.append(history.ended(served: .zero, now: now, using: &random))
      #expect(history.isLooping(now: now) == (count == 5))
      now = now + .seconds(20)
    }
    #expect(delays.last! > delays.first!)
    for _ in 0..<20 { delays.append(history.ended(served: .zero, now: now, using: &random)) }
    #expect(delays.allSatisfy { $0 <= .seconds(60) })
    #expect(!history.isLooping(now: now + .seconds(601)))
    let rested = history.ended(served: .seconds(61), now: now, using: &random)
    #expect(rested <= .milliseconds(500))
  }
}
