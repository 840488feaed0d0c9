import BloomBase
import BloomLedger
import BloomStore
import BloomStorePostgres
import BloomTestSupport
import BloomTestTraits
import Testing

@Suite(.ownThread) struct PostgresTests {
  @Test func `postgresql keeps what a backend must keep`() async throws {
    let server = try PrivatePostgres()
    let settings = server.settings
    let suite = ConformanceSuite { PostgresBackend(settings) }
    try await suite.run()
    try await Self.restores(server, suite)
    withExtendedLifetime(server) {}
  }

  /// A dump made in use, restored elsewhere, is a whole ledger.
  private static func restores(_ server: PrivatePostgres, _ suite: ConformanceSuite) async throws {
    let store = try await suite.open()
    try await store.apply(.grant(key: "dumped", suite.user, Micros(7)))
    let balance = store.balance(of: suite.user)
    let copy = PostgresBackend(try server.restoreDump(as: "copy"))
    try await store.apply(.grant(key: "later", suite.user, Micros(7)))
    await store.close()
    #expect(try await copy.verify().findings == [])
    let restored = try await LedgerStore.open(copy, clock: suite.clock)
    #expect(restored.balance(of: suite.user) == balance)
    try await restored.apply(.grant(key: "restored", suite.user, Micros(7)))
    await restored.close()
  }

  @Test func `an unreachable server is an error that says to try again`() async {
    await #expect(throws: StoreError(.unavailable, "no PostgreSQL server answers")) {
      try await LedgerStore.open(PostgresBackend("host=/nonexistent"), clock: TestClock())
    }
  }

  @Test func `a ledger moves to sqlite and back and is the same`() async throws {
    let server = try PrivatePostgres()
    let folder = try TemporaryFolder("move")
    let suite = ConformanceSuite { PostgresBackend(server.settings) }
    try await suite.run()
    let store = try await suite.open()
    try await store.apply(.deposit(key: "open", suite.user, Micros(1_000_000)))
    try await store.apply(.reserve(suite.reservation(900)))
    try await store.settle(suite.facts(900, 7))
    try await store.apply(.reserve(suite.reservation(901)))
    let row = KeyStatementRecord(
      digest: digest(9), bytes: [4, 5], expires: suite.clock.unixTime() + 10)
    try await store.write([.put(row)])
    let file = folder.path + "/ledger.sqlite"
    try PostgresBackend.copy(server.settings, to: file)
    // What comes after the copy is not in it.
    try await store.apply(.grant(key: "later", suite.user, Micros(7)))
    await store.close()
    let address = try server.makeDatabase("other")
    #expect(try PostgresBackend.look(address) == PostgresBackend.Look())
    try PostgresBackend.fill(address, from: file)
    let look = try PostgresBackend.look(address)
    #expect(look.isFilled && look.lastEntrySeconds == suite.clock.unixTime().seconds)
    for backend in [SQLiteBackend(path: file), PostgresBackend(address)] as [any StoreBackend] {
      try await Self.expectSame(backend, PostgresBackend(server.settings), suite)
      let moved = try await LedgerStore.open(backend, clock: suite.clock)
      #expect(try await moved.fetch(KeyStatementRecord.self, row.id) == row)
      try await moved.apply(.receipt(suite.facts(901, 9)))
      try await moved.apply(.close(answer(901)))
      await moved.close()
      #expect(try await backend.verify().findings == [])
    }
  }

  /// All of a copy is as it was, but for the one entry that was made later.
  private static func expectSame(
    _ copy: any StoreBackend, _ original: any StoreBackend, _ suite: ConformanceSuite
  ) async throws {
    let (old, new) = (try await original.verify(), try await copy.verify())
    #expect(new.findings == [])
    #expect(new.entryCount == old.entryCount - 1)
    #expect(
      try await copy.entries(after: 0, limit: .max)
        == (try await original.entries(after: 0, limit: .max)).dropLast())
    #expect(try await copy.proofs(1...10_000) == (try await original.proofs(1...10_000)))
    let now = suite.clock.unixTime()
    let (before, after) = (try await original.load(now: now), try await copy.load(now: now))
    #expect(Set(after.records) == Set(before.records))
    #expect(after.ledger.prices == before.ledger.prices)
    #expect(Set(after.ledger.answers) == Set(before.ledger.answers))
    let days = Int32(0)...Int32(now.seconds / 86_400 + 10)
    for account in [suite.user, suite.owner] {
      let usage = try await original.usage(of: account, days: days)
      #expect(try await copy.usage(of: account, days: days) == usage)
      #expect(!usage.isEmpty)
    }
    await copy.close()
    await original.close()
  }

  @Test func `a server that comes back loses nothing acknowledged`() async throws {
    let server = try PrivatePostgres()
    let store = try await LedgerStore.open(PostgresBackend(server.settings), clock: TestClock())
    let user = account("user")
    let heard = Locked<[StoreError?]>([])
    store.observe { trouble in heard.withLock { $0.append(trouble) } }
    var credit = Int64(0)
    for isKilled in [true, false] {
      let name = isKilled ? "killed" : "stopped"
      try await store.apply(.grant(key: "before-\(name)", user, Micros(1)))
      if isKilled { try server.kill() } else { try server.stop() }
      await #expect(throws: StoreError.self) {
        try await store.apply(.grant(key: "lost-\(name)", user, Micros(2)))
      }
      #expect(store.trouble?.code == .unavailable)
      // Nobody waits for a database that is not there.
      await #expect(throws: StoreError.self) {
        try await store.apply(.grant(key: "refused-\(name)", user, Micros(4)))
      }
      try server.start()
      for _ in 0..<1000 where store.trouble != nil { try await Task.sleep(for: .milliseconds(20)) }
      #expect(store.balance(of: user).credit == Micros(credit + 1))
      try await store.apply(.grant(key: "lost-\(name)", user, Micros(2)))
      try await store.apply(.grant(key: "before-\(name)", user, Micros(1)))
      credit += 3
      #expect(store.balance(of: user).credit == Micros(credit))
    }
    #expect(heard.withLock { $0.map { $0?.code } } == [.unavailable, nil, .unavailable, nil])
    await store.close()
    #expect(try await PostgresBackend(server.settings).verify().findings == [])
  }

  @Test func `a server that stands still is given up, and nothing is written twice`() async throws {
    let server = try PrivatePostgres()
    let backend = PostgresBackend(
      "\(server.settings) connect_timeout=2", patience: .milliseconds(500))
    let store = try await LedgerStore.open(backend, clock: TestClock())
    let user = account("user")
    try await store.apply(.grant(key: "before", user, Micros(1)))
    try server.freeze(true)
    await #expect(throws: StoreError.self) {
      try await store.apply(.grant(key: "frozen", user, Micros(2)))
    }
    await #expect(throws: StoreError.self) {
      try await backend.entries(after: 0, limit: .max)
    }
    try server.freeze(false)
    for _ in 0..<1000 where store.trouble != nil { try await Task.sleep(for: .milliseconds(20)) }
    try await store.apply(.grant(key: "frozen", user, Micros(2)))
    #expect(store.balance(of: user).credit == Micros(3))
    await store.close()
    #expect(try await PostgresBackend(server.settings).verify().findings == [])
  }

  @Test func `a connection that breaks while the server lives is not noticed`() async throws {
    let server = try PrivatePostgres()
    let store = try await LedgerStore.open(PostgresBackend(server.settings), clock: TestClock())
    let user = account("user")
    for number in 0..<3 {
      try await store.apply(.grant(key: "\(number)", user, Micros(1)))
      try server.endConnections()
    }
    #expect(store.balance(of: user).credit == Micros(3))
    #expect(store.trouble == nil)
    // The same number of writer, and yet another that takes over is noticed.
    let other = try await LedgerStore.open(PostgresBackend(server.settings), clock: TestClock())
    try server.endConnections()
    await #expect(throws: StoreError(.deposed, "postgres")) {
      try await store.apply(.grant(key: "late", user, Micros(1)))
    }
    #expect(store.trouble?.isCurable == false)
    try await other.apply(.grant(key: "new", user, Micros(1)))
    #expect(other.balance(of: user).credit == Micros(4))
    await store.close()
    await other.close()
  }
}
