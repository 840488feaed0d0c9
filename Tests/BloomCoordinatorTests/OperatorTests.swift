import BloomBase
import BloomCrypto
import BloomLedger
import BloomPlatform
import BloomRecords
import BloomStore
import BloomStorePostgres
import BloomTestSupport
import BloomTestTraits
import BloomWire
import Testing

@testable import BloomCoordinator

#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

/// Backup, restore and verify on real files.
@Suite(.serialized) struct OperatorTests {
  private static func folder(_ name: String = "") throws -> CoordinatorFolder {
    try CoordinatorFolder(
      "/tmp/coordinator-ops-\(getpid())-\(UInt32.random(in: 0...UInt32.max))\(name)")
  }

  private static func remove(_ folder: CoordinatorFolder) {
    let path = folder.folder.path
    for name in PrivateFile.names(in: path) { PrivateFile.remove("\(path)/\(name)") }
    _ = unsafe rmdir(path)
  }

  /// A coordinator's folder with one account that has some money.
  private static func filled() async throws -> CoordinatorFolder {
    let folder = try folder()
    _ = try folder.initialise(origin: "test")
    let store = try await folder.openStore()
    try await store.apply(.grant(key: "first", try #require(AccountID("user")), Micros(500)))
    await store.close()
    try folder.folder.append("directory.log", [UInt8](repeating: 1, count: 64))
    return folder
  }

  private static func balance(_ folder: CoordinatorFolder) async throws -> Micros {
    let store = try await folder.openStore()
    let balance = store.balance(of: try #require(AccountID("user"))).credit
    await store.close()
    return balance
  }

  private static let now = UnixTime(1_800_000_000)

  @Test func `a backup made while money moves is a whole one of some moment`() async throws {
    let folder = try await Self.filled()
    defer { Self.remove(folder) }
    let file = folder.folder.path + "-backup.tar"
    defer { PrivateFile.remove(file) }
    let store = try await folder.openStore()
    let user = try #require(AccountID("user"))
    let spending = Task {
      for number in 0..<200 {
        try await store.apply(.grant(key: "g\(number)", user, Micros(1)))
      }
    }
    let summary = try CoordinatorBackup(folder, now: Self.now).make(file)
    try await spending.value
    await store.close()
    #expect(
      Set(summary.names)
        == ["ledger.sqlite", "log.key", "settings.json5", "directory.log"])
    #expect(ByteFile.mode(of: file) == 0o600)
    let other = try Self.folder("-restored")
    defer { Self.remove(other) }
    _ = try CoordinatorBackup(other, now: Self.now).restore(file, force: false)
    #expect(try other.logKey().verifyingKey == folder.logKey().verifyingKey)
    #expect((Micros(500)...Micros(700)).contains(try await Self.balance(other)))
    let result = try await OfflineVerification.run(other)
    #expect(result.findings == [])
    #expect(result.entries > 0)
    #expect(PrivateFile.names(in: other.folder.path).allSatisfy { !$0.hasPrefix(".") })
  }

  @Test func `a restore leaves a folder alone that is a coordinator's, unless it is forced`()
    async throws
  {
    let folder = try await Self.filled()
    defer { Self.remove(folder) }
    let file = folder.folder.path + "-backup.tar"
    defer { PrivateFile.remove(file) }
    let backup = CoordinatorBackup(folder, now: Self.now)
    _ = try backup.make(file)
    #expect(throws: BackupError.self) { try backup.make(file) }
    let store = try await folder.openStore()
    try await store.apply(.grant(key: "later", try #require(AccountID("user")), Micros(9)))
    await store.close()
    #expect(throws: BackupError.self) { try backup.restore(file, force: false) }
    #expect(try await Self.balance(folder) == Micros(509))
    // The log went on since: clients have seen it, so it stays.
    try folder.folder.append("directory.log", [UInt8](repeating: 2, count: 32))
    _ = try backup.restore(file, force: true)
    #expect(try await Self.balance(folder) == Micros(500))
    #expect(try folder.folder.read("directory.log", limitBytes: 1 << 20)?.count == 96)
  }

  @Test func `a restore waits for nobody: a folder in use is refused`() async throws {
    let folder = try await Self.filled()
    defer { Self.remove(folder) }
    let file = folder.folder.path + "-backup.tar"
    defer { PrivateFile.remove(file) }
    let backup = CoordinatorBackup(folder, now: Self.now)
    _ = try backup.make(file)
    let lock = try #require(try FolderLock(folder: folder.folder.path))
    #expect(throws: BackupError.self) { try backup.restore(file, force: true) }
    withExtendedLifetime(lock) {}
  }

  @Test(arguments: [0, 511, 600, 1_100, 3_000, -1_600, -5_000])
  func `a damaged backup changes nothing`(place: Int) async throws {
    let folder = try await Self.filled()
    defer { Self.remove(folder) }
    let file = folder.folder.path + "-backup.tar"
    defer { PrivateFile.remove(file) }
    _ = try CoordinatorBackup(folder, now: Self.now).make(file)
    var bytes = try #require(try PrivateFile.read(file, limitBytes: 1 << 24))
    if place < 0 {
      bytes.removeLast(-place)
    } else {
      bytes[place] ^= 0x41
    }
    try PrivateFile.write(bytes, to: file)
    let other = try Self.folder("-restored")
    defer { Self.remove(other) }
    #expect(throws: BackupError.self) {
      try CoordinatorBackup(other, now: Self.now).restore(file, force: false)
    }
    #expect(PrivateFile.names(in: other.folder.path).filter { $0 != "serving.lock" } == [])
  }

  @Test(arguments: ["../evil", "/etc/x", ".hidden", "a/b", "", String(repeating: "x", count: 100)])
  func `names that leave the folder are no names`(name: String) {
    #expect(!TapeArchive.isPlain(name))
    let head = TapeArchive.Head(name: name, byteCount: 5, time: Self.now)
    #expect(TapeArchive.decode(TapeArchive.encode(head)) == nil)
  }

  @Test(arguments: [0, 1, 511, 512, 8_589_934_591, 8_589_934_592, 1 << 40])
  func `a head comes back as it was`(byteCount: Int) {
    let head = TapeArchive.Head(name: "ledger.sqlite", byteCount: byteCount, time: Self.now)
    #expect(TapeArchive.decode(TapeArchive.encode(head)) == head)
    #expect((byteCount + TapeArchive.padding(byteCount)) % 512 == 0)
  }

  // MARK: Verify

  @Test func `every receipt that was paid is proven again, and another one is not`() async throws {
    let backend = MemoryBackend()
    try await Self.work(on: backend)
    try await Self.expectAllProven(backend)
    // A receipt that somebody changed on disk is found.
    let entries = try await backend.entries(after: 0, limit: 1_000)
    let entry = try #require(entries.first { $0.settlement != nil })
    let kept = try await backend.proofs(entry.sequence...entry.sequence)
    let (id, proof) = try #require(kept.first)
    var changes = StoreChanges()
    changes.ledger.proofs[id] = proof.dropLast() + [(proof.last ?? 0) ^ 1]
    try await backend.commit(changes)
    let again = try await OfflineVerification(backend)
    #expect(again.receipts == 2)
    #expect(again.findings.count == 1)
  }

  @Test func `the copy of a file in use proves every receipt`() async throws {
    let folder = try TemporaryFolder("verify")
    let backend = SQLiteBackend(path: folder.path + "/ledger.sqlite")
    let copy = folder.path + "/copy.sqlite"
    try await Self.work(on: backend) { try await backend.backUp(to: copy) }
    try await Self.expectAllProven(SQLiteBackend(path: copy))
  }

  @Test(.ownThread) func `the dump of a database in use proves every receipt`() async throws {
    let server = try PrivatePostgres()
    let copy = Locked("")
    try await Self.work(on: PostgresBackend(server.settings)) {
      let settings = try server.restoreDump(as: "copy")
      copy.withLock { $0 = settings }
    }
    try await Self.expectAllProven(PostgresBackend(copy.withLock { $0 }))
    withExtendedLifetime(server) {}
  }

  /// Two answers, one of two parts, on a ledger; `end` runs before the coordinator stops.
  private static func work(
    on backend: any StoreBackend, end: () async throws -> Void = {}
  ) async throws {
    try await withCoordinator([.answer(tokens: 20), .breaks(afterTokens: 4)], backend: backend) {
      test, nodes in
      let (_, key) = try await test.account("payer", credit: 1_000_000_000)
      let first = try test.seal(newAnswer(), to: [nodes[0].machine])
      #expect(try await test.ask(first, using: test.client(key: key)).isFinished)
      let answer = newAnswer()
      _ = try await test.ask(
        test.seal(answer, to: [nodes[1].machine]), using: test.client(key: key))
      _ = try await test.ask(
        test.seal(answer, to: [nodes[0].machine], part: 1), using: test.client(key: key))
      for _ in 0..<500 {
        let entries = try await backend.entries(after: 0, limit: 1_000)
        if entries.filter({ $0.settlement != nil }).count == 2 { break }
        try await Task.sleep(for: .milliseconds(10))
      }
      try await end()
    }
  }

  private static func expectAllProven(_ backend: any StoreBackend) async throws {
    let result = try await OfflineVerification(backend)
    #expect(result.findings == [])
    #expect(result.settlements == 2)
    #expect(result.receipts == 3)
    #expect(result.receiptsMissing == 0)
    await backend.close()
  }

  // MARK: Beginning

  @Test func `a folder whose books could not be opened is no coordinator's and can be tried again`()
    async throws
  {
    let folder = try Self.folder()
    defer { Self.remove(folder) }
    try PrivateFile.makeFolder(folder.databasePath)
    let words = ["init", "--data", folder.folder.path, "--origin", "test"]
    #expect(await CoordinatorProgram.run(words, environment: [:]) != .done)
    #expect(throws: CoordinatorFolder.Problem.notInitialised) { _ = try folder.logKey() }
    _ = unsafe rmdir(folder.databasePath)
    #expect(await CoordinatorProgram.run(words, environment: [:]) == .done)
    _ = try folder.logKey()
    let store = try await folder.openStore()
    #expect(store.balance(of: CoordinatorProgram.admin).credit > .zero)
    await store.close()
  }

  // MARK: Doctor

  private static func findings(
    _ folder: CoordinatorFolder, settings: String? = nil
  ) async throws -> [String: CoordinatorDoctor.Finding] {
    if let settings { try folder.folder.replace("settings.json5", with: Array(settings.utf8)) }
    let outcome = try CommandParser.parse(
      ["doctor", "--data", folder.folder.path], environment: [:], CoordinatorProgram.spec,
      version: "")
    guard case .run(let command) = outcome else { return [:] }
    let doctor = CoordinatorDoctor(
      folder, settings: Result { try ServeSettings(command, [:], folder) }, time: SystemTime())
    return Dictionary(
      await doctor.run().map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
  }

  @Test func `a folder that is all right has no fault`() async throws {
    let folder = try await Self.filled()
    defer { Self.remove(folder) }
    let found = try await Self.findings(
      folder, settings: #"{ origin: "test", listen: ["127.0.0.1:1"] }"#)
    for name in ["log key", "modes", "settings", "database", "clock"] {
      #expect(found[name]?.status == .good, "\(name)")
    }
    #expect(found["port"]?.status == .warning)
    #expect(found.values.allSatisfy { $0.status == .good || !$0.fix.isEmpty })
  }

  @Test func `each fault is found and has its fix`() async throws {
    let folder = try await Self.filled()
    defer { Self.remove(folder) }
    _ = unsafe chmod(folder.folder.path(of: "log.key"), 0o644)
    var found = try await Self.findings(folder, settings: "{ nonsense: 1 }")
    #expect(found["modes"]?.status == .fault)
    #expect(found["settings"]?.status == .fault)
    try folder.folder.replace("log.key", with: [1, 2, 3])
    try folder.folder.replace("ledger.sqlite", with: [UInt8](repeating: 7, count: 5_000))
    found = try await Self.findings(folder)
    #expect(found["log key"]?.status == .fault)
    #expect(found["database"]?.status == .fault)
    #expect(found.values.allSatisfy { $0.status == .good || !$0.fix.isEmpty })
    let json = try JSONValue(decoding: CoordinatorDoctor.json(Array(found.values)))
    #expect(json["ok"]?.bool == false)
  }

  @Test func `a leaf that the disk refused does not stand before the next`() async throws {
    let folder = try TemporaryFolder()
    let log = LeafLog(try PrivateFolder(making: folder.path))
    let file = "\(folder.path)/\(LeafLog.networkFile)"
    let leaves = (UInt8(0)..<3).map { SHA256.digest([$0]) }
    try await log.append(leaves[0])
    let kept = try #require(try PrivateFile.read(file))
    PrivateFile.remove(file)
    try PrivateFile.makeFolder(file)
    await #expect(throws: PrivateFolderError.self) { try await log.append(leaves[1]) }
    _ = unsafe rmdir(file)
    // It is there after all, and a part of another.
    try PrivateFile.write(kept + leaves[1].bytes + [1, 2, 3], to: file)
    try await log.append(leaves[2])
    #expect(try await log.load() == [leaves[0], leaves[2]])
  }

  @Test func `no password of an address is kept, whatever it opens`() throws {
    let address = try PostgresAddress(
      "postgresql://bloom:se@cret@db/bloom?sslpassword=two&sslmode=require&p%61ssword=three")
    #expect(address.hasPassword)
    #expect(address.withoutPassword.text == "postgresql://bloom@db/bloom?sslmode=require")
  }

  @Test(arguments: [
    ("/bloom", false),
    ("bloom@/bloom?host=/run/postgresql", false),
    ("bloom@localhost:5433/bloom", false),
    ("bloom@db.example/bloom?sslmode=verify-full", false),
    ("bloom@db.example/bloom", true),
    ("bloom@127.db.example/bloom", true),
    ("bloom@[::1]:5433/bloom", false),
    ("bloom@127.0.0.1,db.example/bloom", true),
    ("bloom@/bloom?host=db.example", true),
  ])
  func `books on another machine are exposed unless its certificate is asked for`(
    address: String, isExposed: Bool
  ) throws {
    #expect(try PostgresAddress("postgresql://" + address).isExposed == isExposed)
  }
}
