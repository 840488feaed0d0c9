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
    try await ConformanceSuite { PostgresBackend(settings) }.run()
    withExtendedLifetime(server) {}
  }

  @Test func `an unreachable server is an error that says to try again`() async {
    await #expect(throws: StoreError(.unavailable, "PQconnectdb")) {
      try await LedgerStore.open(PostgresBackend("host=/nonexistent"), clock: TestClock())
    }
  }
}
