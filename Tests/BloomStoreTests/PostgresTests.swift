import BloomBase
import BloomLedger
import BloomStore
import BloomStorePostgres
import Testing

#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

/// A private server on a Unix socket, stopped and removed with its owner.
final class PostgresServer {
  let folder: TemporaryFolder
  private let programs: String

  /// Starts a server as the user `postgres`: it refuses to run as root.
  init() throws {
    folder = try TemporaryFolder()
    let installed = ["15", "16", "17", "14"].map { "/usr/lib/postgresql/\($0)/bin" }
    guard let programs = installed.first(where: { unsafe access("\($0)/initdb", X_OK) == 0 })
    else { throw StoreError(.unavailable, "install the package postgresql to run this test") }
    self.programs = programs
    let data = folder.path + "/data"
    guard getuid() != 0 || Child.run(["/bin/chown", "postgres", folder.path]) == 0 else {
      throw StoreError(.unavailable, "chown")
    }
    try run("\(programs)/initdb -D \(data) -U bloom -A trust --no-sync")
    try run(
      "\(programs)/pg_ctl -D \(data) -w -l \(folder.path)/log "
        + "-o \"-k \(folder.path) -c listen_addresses=''\" start")
  }

  deinit {
    // What is left of a server that does not stop is removed with its folder.
    try? run("\(programs)/pg_ctl -D \(folder.path)/data -m immediate stop")
  }

  var settings: String { "host=\(folder.path) user=bloom dbname=postgres" }

  private func run(_ command: String) throws {
    let user = getuid() == 0 ? ["/bin/su", "postgres", "-c", command] : ["/bin/sh", "-c", command]
    guard Child.run(user) == 0 else { throw StoreError(.unavailable, "a server program failed") }
  }
}

@Suite struct PostgresTests {
  @Test func `postgresql keeps what a backend must keep`() async throws {
    let server = try PostgresServer()
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
