import BloomBase
import BloomNet
import BloomPlatform
import BloomTestSupport
import BloomTestTraits
import BloomWire
import Testing

#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

/// A coordinator whose books are in PostgreSQL, with the program as operators run it.
@Suite(.ownThread, .serialized, .timeLimit(.minutes(2))) struct DatabaseJourneyTests {
  private struct Outcome {
    let code: Int
    let output: String
    var json: JSONValue { (try? JSONValue(decoding: Array(output.utf8))) ?? .null }
  }

  private let folder: String
  private let server: PrivatePostgres
  private let port = Int.random(in: 36_000..<38_000)
  private static let password = "correct-horse"

  init() throws {
    folder = "/tmp/darkbloom-database-\(getpid())-\(UInt32.random(in: 0...UInt32.max))"
    try PrivateFile.makeFolder(folder)
    server = try PrivatePostgres()
  }

  // MARK: Programs

  /// The server of this test trusts every login, so the password is never asked for, and must not
  /// be seen anywhere all the same.
  private var address: String {
    let place = server.address
    return place.replacing("bloom@", with: "bloom:\(Self.password)@")
  }

  private func start(
    _ arguments: [String], database: String?, output: String
  ) async throws -> Subprocess {
    let path = "\(ProcessEnvironment.programFolder)/darkbloom-coordinator"
    let script = #"out=$1; shift; exec "$@" > "$out" 2>&1 < /dev/null"#
    let place = database.map { ["DARKBLOOM_DATABASE=\($0)"] } ?? []
    return try await Subprocess.start(
      .init("/bin/sh", ["-c", script, "sh", output, "/usr/bin/env"] + place + [path] + arguments))
  }

  private func run(_ arguments: [String], database: String? = nil) async throws -> Outcome {
    let output = "\(folder)/output-\(UInt32.random(in: 0...UInt32.max))"
    let exit = try await start(arguments, database: database, output: output).exit()
    let text = try read(output)
    #expect(!text.contains(Self.password), "a password was printed: \(arguments)")
    return Outcome(code: exit.code, output: text)
  }

  private func read(_ file: String) throws -> String {
    String(decoding: try PrivateFile.read(file) ?? [], as: UTF8.self)
  }

  private func serve(_ name: String, database: String?, log: String) async throws -> Subprocess {
    let process = try await start(
      ["serve", "--data", "\(folder)/\(name)", "--listen", "127.0.0.1:\(port)"],
      database: database, output: log)
    try await until("listening") { try read(log).contains("listening on ") }
    return process
  }

  private func until(_ what: String, _ isSo: () async throws -> Bool) async throws {
    for _ in 0..<800 {
      if try await isSo() { return }
      try await Task.sleep(for: .milliseconds(25))
    }
    throw UsageError("\(what) did not come")
  }

  private func ready() async throws -> String {
    let client = HTTPClient()
    defer { client.close() }
    let response = try await client.send(
      try ClientRequest.get("http://127.0.0.1:\(port)/readyz"), timeout: .seconds(5))
    return String(decoding: try await response.body.collect(upTo: 64), as: UTF8.self)
  }

  private func grant(_ micros: Int) async throws -> Outcome {
    try await run(
      ["admin", "accounts", "grant", "admin", "\(micros)", "--data", "\(folder)/c", "--json"])
  }

  /// What the users have by the books of a folder, as `verify` computes it.
  private func credit(_ name: String, database: String?) async throws -> Int64? {
    let verified = try await run(
      ["verify", "--data", "\(folder)/\(name)", "--json"], database: database)
    #expect(verified.json["ok"]?.bool == true, "\(verified.output)")
    return verified.json["totals_micros"]?["credit"]?.integer
  }

  // MARK: The journey

  @Test func `init, serve, an outage, a restart, verify, backup and restore over postgresql`()
    async throws
  {
    try await beginnings()
    let log = "\(folder)/serve-1"
    let first = try await serve("c", database: address, log: log)
    do {
      #expect(try await grant(500).code == 0)
      try await outage(log)
      #expect(try await grant(7).code == 0)
      first.signal(SIGTERM)
      #expect(try await first.exit() == Subprocess.Exit(code: 0, signal: 0))
    } catch {
      first.signal(SIGKILL)
      throw error
    }
    #expect(!(try read(log)).contains(Self.password))
    #expect(try await credit("c", database: address) == 1_000_507)
    try await copies()
  }

  /// What goes wrong at the start says so, and leaves nothing behind.
  private func beginnings() async throws {
    let make = ["init", "--data", "\(folder)/c", "--origin", "bloom.test"]
    try server.stop()
    let away = try await run(make, database: address)
    #expect(away.code == Int(ExitCode.tryAgain.rawValue))
    #expect(away.output.contains("no PostgreSQL server answers"))
    try server.start()
    let typed = try await run(make + ["--database", address.replacing("//", with: "//x:y@")])
    #expect(typed.code == Int(ExitCode.badUsage.rawValue))
    #expect(typed.output.contains("DARKBLOOM_DATABASE"))
    let unknown = try await run(
      make, database: address.replacing("/postgres?", with: "/nothing?"))
    #expect(unknown.code == Int(ExitCode.badConfiguration.rawValue))
    let strange = try await run(make, database: "mysql://\(Self.password)")
    #expect(strange.code == Int(ExitCode.badConfiguration.rawValue))
    #expect(try PrivateFile.read("\(folder)/c/log.key") == nil)

    let made = try await run(make, database: address)
    try #require(made.code == 0, "\(made.output)")
    #expect(try read("\(folder)/c/settings.json5").contains(server.address))
    #expect(try PrivateFile.read("\(folder)/c/ledger.sqlite") == nil)
    let taken = try await run(
      ["init", "--data", "\(folder)/x", "--origin", "bloom.test"], database: address)
    #expect(taken.code == Int(ExitCode.badConfiguration.rawValue))
    #expect(taken.output.contains("holds a ledger already"))
    // A mistaken setting must not open empty books.
    for wrong in ["sqlite", try server.makeDatabase("empty")] {
      let refused = try await run(
        ["serve", "--data", "\(folder)/c", "--listen", "127.0.0.1:\(port)"], database: wrong)
      #expect(refused.code == Int(ExitCode.badConfiguration.rawValue))
      #expect(refused.output.contains("no ledger of this coordinator"))
    }
  }

  private func outage(_ log: String) async throws {
    try server.kill()
    #expect(try await grant(1).code != 0)
    try await until("an outage") { try await ready() == "no database\n" }
    let doctor = try await run(["doctor", "--data", "\(folder)/c"], database: address)
    #expect(doctor.code == 1 && doctor.output.contains("start the server"))
    #expect(try read(log).contains("the database is lost"))
    try server.start()
    try await until("the end of the outage") { try await ready() == "ok\n" }
    #expect(try read(log).contains("the database is back"))
  }

  /// A backup becomes a SQLite folder, and from that a database again, whose old server hears it.
  private func copies() async throws {
    let file = "\(folder)/backup.tar"
    let backup = try await run(["backup", "--data", "\(folder)/c", file], database: address)
    #expect(backup.code == 0 && backup.output.contains("ledger.sqlite"))
    let moved = try await run(
      ["restore", "--data", "\(folder)/d", "--database", "sqlite", file])
    #expect(moved.code == 0 && moved.output.contains("set database in settings.json5"))
    #expect(try await credit("d", database: "sqlite") == 1_000_507)

    let log = "\(folder)/serve-2"
    let old = try await serve("c", database: address, log: log)
    do {
      let careful = try await run(["restore", "--data", "\(folder)/e", file], database: address)
      #expect(careful.code == 1 && careful.output.contains("--force"))
      let forced = try await run(
        ["restore", "--data", "\(folder)/e", file, "--force"], database: address)
      #expect(forced.code == 0, "\(forced.output)")
      #expect(try await grant(1).code != 0)
      #expect(try await old.exit().code == Int(ExitCode.badConfiguration.rawValue))
    } catch {
      old.signal(SIGKILL)
      throw error
    }
    #expect(try read(log).contains("another coordinator has taken over"))
    #expect(try await credit("e", database: address) == 1_000_507)
  }
}
