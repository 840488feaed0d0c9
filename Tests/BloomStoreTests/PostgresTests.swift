import BloomBase
import BloomLedger
import BloomStore
import BloomStorePostgres
import BloomTestSupport
import Testing

@Suite struct PostgresTests {
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
    await #expect(throws: StoreError(.unavailable, "PQconnectdb")) {
      try await LedgerStore.open(PostgresBackend("host=/nonexistent"), clock: TestClock())
    }
  }
}
