import BloomBase
import BloomNet
import BloomPlatform
import BloomWire
import Testing

#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

/// From nothing to a network with users, machines and a pool, with the programs as people run them.
@Suite(.serialized, .timeLimit(.minutes(2))) struct JourneyTests {
  /// A program's end and what it printed.
  struct Outcome {
    let code: Int
    let output: String

    var json: JSONValue { (try? JSONValue(decoding: Array(output.utf8))) ?? .null }
    var lines: [Substring] { output.split(whereSeparator: \.isNewline) }
  }

  private let folder: String

  init() throws {
    folder = "/tmp/darkbloom-journey-\(getpid())-\(UInt32.random(in: 0...UInt32.max))"
    try PrivateFile.makeFolder(folder)
  }

  private func start(_ program: String, _ arguments: [String], output: String) async throws
    -> Subprocess
  {
    let path = "\(ProcessEnvironment.programFolder)/\(program)"
    let script = #"out=$1; shift; exec "$@" > "$out" 2>&1 < /dev/null"#
    return try await Subprocess.start(
      .init("/bin/sh", ["-c", script, "sh", output, path] + arguments))
  }

  private func run(_ program: String, _ arguments: String...) async throws -> Outcome {
    let output = "\(folder)/output-\(UInt32.random(in: 0...UInt32.max))"
    let exit = try await start(program, arguments, output: output).exit()
    let bytes = try PrivateFile.read(output) ?? []
    return Outcome(code: exit.code, output: String(decoding: bytes, as: UTF8.self))
  }

  private func admin(_ arguments: String...) async throws -> Outcome {
    let output = "\(folder)/output-\(UInt32.random(in: 0...UInt32.max))"
    let all = ["admin"] + arguments + ["--data", "\(folder)/c", "--json"]
    let exit = try await start("darkbloom-coordinator", all, output: output).exit()
    let bytes = try PrivateFile.read(output) ?? []
    return Outcome(code: exit.code, output: String(decoding: bytes, as: UTF8.self))
  }

  /// Waits until a file holds a line that begins so, and gives its rest.
  private func line(_ file: String, _ start: String) async throws -> String {
    for _ in 0..<400 {
      let text = String(decoding: try PrivateFile.read(file) ?? [], as: UTF8.self)
      if let line = text.split(separator: "\n").first(where: { $0.hasPrefix(start) }) {
        return String(line.dropFirst(start.count))
      }
      try await Task.sleep(for: .milliseconds(25))
    }
    throw UsageError("\(start) did not come")
  }

  private func serve(_ port: Int, _ number: Int) async throws -> Subprocess {
    let log = "\(folder)/serve-\(number)"
    let process = try await start(
      "darkbloom-coordinator",
      [
        "serve", "--data", "\(folder)/c", "--listen", "127.0.0.1:\(port)",
      ], output: log)
    _ = try await line(log, "darkbloom-coordinator: listening on ")
    return process
  }

  @Test func `init, serve, join, login, enroll and a pool, over a restart`() async throws {
    let port = Int.random(in: 30_000..<32_000)
    let made = try await run(
      "darkbloom-coordinator", "init", "--data", "\(folder)/c", "--origin", "bloom.test", "--url",
      "http://127.0.0.1:\(port)")
    try #require(made.code == 0, "\(made.output)")
    let links = made.lines.filter { $0.contains("darkbloom join '") }
      .compactMap { $0.split(separator: "'").dropFirst().first.map(String.init) }
    try #require(links.count == 2)
    #expect(made.output.contains("reverse_proxy 127.0.0.1:8640"))
    for name in ["log.key", "ledger.sqlite", "settings.json5", "Caddyfile", "nginx.conf"] {
      var facts = stat()
      let isThere = unsafe stat("\(folder)/c/\(name)", &facts) == 0
      #expect(isThere && facts.st_mode & 0o777 == 0o600, "\(name)")
    }

    try await joinErrors(links[0], port)
    var server = try await serve(port, 1)
    do {
      try await users(links[0])
      try await machines(links[1])
      server.signal(SIGTERM)
      _ = try await server.exit()
      server = try await serve(port, 2)
      try await afterRestart()
      // Loading a model takes longer than all of the above.
      if ProcessEnvironment.current["DARKBLOOM_DEEP"] == "1" { try await ask(port + 2_000) }
      let status = try await admin("status")
      #expect(status.json["draining"]?.bool == false && status.json["requests"]?.integer == 0)
      #expect(try await admin("accounts", "list", "nonsense").code == 2)
      #expect(try await admin("accounts", "block", "nobody").code == 1)
      #expect(try await admin("drain").code == 0)
      #expect(try await server.exit() == Subprocess.Exit(code: 0, signal: 0))
      #expect(try await admin("status").code == Int(ExitCode.unavailable.rawValue))
    } catch {
      server.signal(SIGKILL)
      throw error
    }
  }

  /// The enrolled machine serves the bundled model, and the user who joined by a link asks it.
  private func ask(_ port: Int) async throws {
    let cache = try #require(UserFolders(environment: ProcessEnvironment.current)).cache
    let models = "\(folder)/models"
    let file =
      (ProcessEnvironment.current["DARKBLOOM_BUNDLED_MODELS"]
        ?? "\(cache)/engine/current/share/models") + "/smollm2-135m-instruct-q8_0.gguf"
    let added = try await run("darkbloom", "models", "add", file, "--in-place", "--models", models)
    try #require(added.code == 0, "\(added.output)")
    let manifest = try #require(PrivateFile.names(in: "\(models)/manifests").first)
    #expect(try await admin("models", "add", "\(models)/manifests/\(manifest)").code == 0)
    let account = try #require(
      try await run("darkbloom", "keys", "list", "--data", "\(folder)/alice", "--json")
        .json["keys"]?.items?.first?["account"]?.string)
    #expect(try await admin("accounts", "grant", account, "1000000000").code == 0)
    let node = try await start(
      "darkbloom",
      ["node", "run", "--data", "\(folder)/node", "--models", models, "--threads", "1"],
      output: "\(folder)/node-log")
    let gateway = try await start(
      "darkbloom", ["gateway", "--data", "\(folder)/alice", "--port", "\(port)"],
      output: "\(folder)/gateway-log")
    var answer = Outcome(code: 1, output: "")
    for _ in 0..<120 where answer.code != 0 {
      answer = try await run(
        "darkbloom", "ask", "--data", "\(folder)/alice", "--port", "\(port)", "--max-tokens", "8",
        "Name a colour.")
      if answer.code != 0 { try await Task.sleep(for: .milliseconds(500)) }
    }
    for process in [gateway, node] {
      process.signal(SIGTERM)
      _ = try await process.exit()
    }
    #expect(answer.code == 0 && answer.output.contains("sealed to machine"), "\(answer.output)")
  }

  private func joinErrors(_ link: String, _ port: Int) async throws {
    let data = "\(folder)/alice"
    let bad = try await run("darkbloom", "join", "https://bloom.test", "--data", data)
    #expect(bad.code == Int(ExitCode.badUsage.rawValue))
    let away = try await run("darkbloom", "join", link, "--data", data)
    #expect(away.code != 0 && away.output.contains("cannot be reached"))
    let plain = link.split(separator: "#")[1]
    let open = try await run("darkbloom", "join", "http://bloom.test/join#\(plain)", "--data", data)
    #expect(open.code == Int(ExitCode.badUsage.rawValue) && open.output.contains("TLS"))
    #expect(try PrivateFile.read("\(data)/network.json") == nil)
  }

  private func users(_ link: String) async throws {
    let alice = "\(folder)/alice"
    // Another key than the log's: nothing is believed.
    let parts = link.split(separator: "#")
    let forged = parts[1].split(separator: "&").map {
      $0.hasPrefix("key=") ? "key=\(Base64.encode([UInt8](repeating: 1, count: 32), .url))" : $0
    }.joined(separator: "&")
    let refused = try await run("darkbloom", "join", "\(parts[0])#\(forged)", "--data", alice)
    #expect(refused.code != 0 && refused.output.contains("not signed"))

    let joined = try await run("darkbloom", "join", link, "--data", alice, "--json")
    try #require(joined.code == 0, "\(joined.output)")
    let account = try #require(joined.json["account"]?.string)
    let again = try await run("darkbloom", "join", link, "--data", alice)
    #expect(again.code == Int(ExitCode.badConfiguration.rawValue))
    #expect(again.output.contains("already"))
    let used = try await run("darkbloom", "join", link, "--data", "\(folder)/eve")
    #expect(used.code != 0 && used.output.contains("used up"))

    // The second device of the same account.
    let plain = link.split(separator: "&").filter { !$0.hasPrefix("invite=") }
      .joined(separator: "&")
    let phone = "\(folder)/phone"
    #expect(try await run("darkbloom", "join", plain, "--data", phone).code == 0)
    let keyless = try await run("darkbloom", "pool", "list", "--data", phone)
    #expect(keyless.code != 0 && keyless.output.contains("darkbloom login"))
    let output = "\(folder)/login"
    let login = try await start("darkbloom", ["login", "--data", phone], output: output)
    let code = try await line(output, "code: ")
    let wrong = try await run("darkbloom", "login", "approve", "BBBB-BBBB", "--data", alice)
    #expect(wrong.code != 0 && wrong.output.contains("no device waits"))
    #expect(try await run("darkbloom", "login", "approve", code, "--data", alice).code == 0)
    #expect(try await login.exit() == Subprocess.Exit(code: 0, signal: 0))
    let mine = try await run("darkbloom", "keys", "list", "--data", phone, "--json")
    #expect(mine.json["keys"]?.items?.count == 2)
    #expect(mine.json["keys"]?.items?.first?["account"]?.string == account)
    let pool = try await run("darkbloom", "pool", "create", "lab", "--data", phone, "--json")
    #expect(pool.json["owner"]?.string == account)
  }

  private func machines(_ link: String) async throws {
    let first = "\(folder)/node"
    #expect(try await run("darkbloom", "join", link, "--data", first).code == 0)
    let invited = try await run("darkbloom", "node", "enroll", "--data", first, "--json")
    #expect(invited.json["account"]?.string == "admin", "\(invited.output)")

    let second = "\(folder)/node2"
    let plain = link.split(separator: "&").filter {
      !$0.hasPrefix("invite=") && !$0.hasPrefix("for=")
    }.joined(separator: "&")
    #expect(try await run("darkbloom", "join", plain, "--data", second).code == 0)
    let doubtful = try await run("darkbloom", "node", "doctor", "--data", second, "--json")
    let fix = doubtful.json["checks"]?.items?.first { $0["name"]?.string == "enrolment" }?["fix"]
    #expect(fix?.string == "darkbloom node enroll", "\(doubtful.output)")
    let output = "\(folder)/enroll"
    let waiting = try await start(
      "darkbloom", ["node", "enroll", "--data", second, "--name", "attic"], output: output)
    let code = try await line(output, "code: ")
    let approved = try await admin("approve", code)
    #expect(approved.json["name"]?.string == "attic", "\(approved.output)")
    #expect(try await waiting.exit() == Subprocess.Exit(code: 0, signal: 0))
    #expect(try await admin("nodes", "list").json["nodes"]?.items?.count == 2)
    let left = try await run("darkbloom", "node", "leave", "--purge", "--data", second)
    #expect(left.code == 0, "\(left.output)")
    var facts = stat()
    let isLeft = unsafe stat(second, &facts) == 0
    #expect(!isLeft, "nothing is left, not even the folder")
  }

  private func afterRestart() async throws {
    #expect(try await admin("nodes", "list").json["nodes"]?.items?.count == 1)
    #expect(try await admin("accounts", "list").json["accounts"]?.items?.count == 2)
    let pools = try await run("darkbloom", "pool", "list", "--data", "\(folder)/phone", "--json")
    #expect(pools.json["pools"]?.items?.first?["pool"]?.string == "lab")
    let audit = try await run("darkbloom", "pool", "audit", "lab", "--data", "\(folder)/phone")
    #expect(audit.lines.count == 2 && audit.output.contains(",created,"))
    let revoked = try await run(
      "darkbloom", "keys", "revoke", "00000000", "--data", "\(folder)/phone")
    #expect(revoked.code != 0)
    var facts = stat()
    let isThere = unsafe stat("\(folder)/c/admin.sock", &facts) == 0
    #expect(isThere && facts.st_mode & 0o777 == 0o600)
  }
}
