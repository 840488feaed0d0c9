import BloomBase
import BloomHTTP
import BloomModels
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

/// The way of money with the programs as people run them: a price, an answer, a payout, the books.
@Suite(.ownThread, .serialized, .timeLimit(.minutes(2))) struct MoneyJourneyTests {
  private struct Outcome {
    let code: Int
    let output: String
    var json: JSONValue { (try? JSONValue(decoding: Array(output.utf8))) ?? .null }
  }

  private let folder: String

  init() throws {
    folder = "/tmp/darkbloom-money-\(getpid())-\(UInt32.random(in: 0...UInt32.max))"
    try PrivateFile.makeFolder(folder)
  }

  // MARK: Programs

  private func start(_ program: String, _ arguments: [String], output: String) async throws
    -> Subprocess
  {
    let path = "\(ProcessEnvironment.programFolder)/\(program)"
    let script = #"out=$1; shift; exec "$@" > "$out" 2>&1 < /dev/null"#
    return try await Subprocess.start(
      .init("/bin/sh", ["-c", script, "sh", output, path] + arguments))
  }

  private func run(_ program: String, _ arguments: [String]) async throws -> Outcome {
    let output = "\(folder)/output-\(UInt32.random(in: 0...UInt32.max))"
    let exit = try await start(program, arguments, output: output).exit()
    let bytes = try PrivateFile.read(output) ?? []
    return Outcome(code: exit.code, output: String(decoding: bytes, as: UTF8.self))
  }

  private func admin(_ arguments: String...) async throws -> Outcome {
    try await run("darkbloom-coordinator", ["admin"] + arguments + ["--data", "\(folder)/c"])
  }

  private func user(_ arguments: String...) async throws -> Outcome {
    try await run("darkbloom", arguments + ["--data", "\(folder)/alice", "--json"])
  }

  /// Waits until something is there, 20 s at most.
  private func wait<Value>(_ what: String, _ find: () async throws -> Value?) async throws -> Value
  {
    for _ in 0..<800 {
      if let value = try await find() { return value }
      try await Task.sleep(for: .milliseconds(25))
    }
    throw UsageError("\(what) did not come")
  }

  private func listening(_ file: String) async throws {
    _ = try await wait("listening") {
      let text = String(decoding: try PrivateFile.read(file) ?? [], as: UTF8.self)
      return text.contains("listening on ") ? true : nil
    }
  }

  // MARK: The journey

  @Test(arguments: ["SQLite", "PostgreSQL"])
  func `what a user pays is what the owner and the platform get, down to the payout`(
    database: String
  ) async throws {
    let server = database == "PostgreSQL" ? try PrivatePostgres() : nil
    defer { withExtendedLifetime(server) {} }
    let port = Int.random(in: 32_000..<34_000)
    let made = try await run(
      "darkbloom-coordinator",
      [
        "init", "--data", "\(folder)/c", "--origin", "bloom.test", "--url",
        "http://127.0.0.1:\(port)", "--price-prompt", "10000000", "--price-completion", "20000000",
        "--first-credit", "100000000", "--database", server?.address ?? "sqlite",
      ])
    try #require(made.code == 0, "\(made.output)")
    #expect(made.output.contains("20000000 a million completion tokens"))
    let links = made.output.split(whereSeparator: \.isNewline)
      .filter { $0.contains("darkbloom join '") }
      .compactMap { $0.split(separator: "'").dropFirst().first.map(String.init) }
    try #require(links.count == 2)
    var processes: [Subprocess] = []
    do {
      try makeModel()
      processes.append(
        try await start(
          "darkbloom-coordinator",
          [
            "serve", "--data", "\(folder)/c", "--listen", "127.0.0.1:\(port)",
          ], output: "\(folder)/serve"))
      try await listening("\(folder)/serve")
      #expect(try await user("join", links[0]).code == 0)
      let node = "\(folder)/node"
      #expect(try await run("darkbloom", ["join", links[1], "--data", node]).code == 0)
      #expect(try await run("darkbloom", ["node", "enroll", "--data", node]).code == 0)
      processes.append(
        try await start(
          "bloom-chaos", ["node", node, "\(node)/network.json", folder], output: "\(folder)/n"))
      try await listModel()
      processes.append(
        try await start(
          "darkbloom", ["gateway", "--data", "\(folder)/alice", "--port", "\(port + 2_000)"],
          output: "\(folder)/g"))
      let told = try await ask(port + 2_000)
      let cost = try await booked()
      // The header is there when the books were closed before the answer was sent.
      #expect(told == cost)
      try await money(cost)
      for process in processes.reversed() { try await stop(process) }
    } catch {
      for process in processes { process.signal(SIGKILL) }
      throw error
    }
    let verified = try await run(
      "darkbloom-coordinator", ["verify", "--data", "\(folder)/c", "--json"])
    #expect(verified.json["ok"]?.bool == true, "\(verified.output)")
    #expect(verified.json["receipts_proven"]?.integer == 1)
    #expect(verified.json["settlements"]?.integer == 1)
  }

  private func stop(_ process: Subprocess) async throws {
    process.signal(SIGTERM)
    _ = try await process.exit()
  }

  /// The scripted model: its weights are ten bytes that nobody reads.
  private func makeModel() throws {
    let digest = "c814b209e96a87cf0ca1fed24208a969aec4e530546fc4b7ddf194c72c0fe650"
    try PrivateFile.write(Array("no weights".utf8), to: "\(folder)/scripted.bin")
    let manifest = ModelManifest(
      name: "scripted:chaos", kind: .chat,
      files: [
        ModelManifest.File(
          role: .weights, name: "scripted.bin",
          sha256: try #require(Hex.decode(digest).flatMap { Digest($0) }), byteCount: 10)
      ], licence: "", contextTokens: 4_096, weightBytes: 10, contextBytesPerToken: 1)
    try PrivateFile.write(manifest.encoded, to: "\(folder)/scripted.manifest")
  }

  /// Users are told of a machine's model once the operator listed it.
  private func listModel() async throws {
    func first() async throws -> JSONValue? {
      try await admin("models", "list", "--json").json["models"]?.items?.first
    }
    let offered = try await wait("the machine's model") { try await first() }
    #expect(offered["listed"]?.bool == false && offered["machines"]?.integer == 1)
    #expect(try await admin("models", "allow", "another").code == 1)
    #expect(try await admin("models", "allow", "scripted:chaos").code == 0)
    #expect(try await first()?["listed"]?.bool == true)
    #expect(try await admin("models", "remove", "scripted:chaos").code == 0)
    #expect(try await first()?["listed"]?.bool == false)
    #expect(try await admin("models", "add", "\(folder)/scripted.bin").code == 1, "no manifest")
    #expect(try await admin("models", "add", "\(folder)/scripted.manifest").code == 0)
    #expect(try await first()?["listed"]?.bool == true)
  }

  /// Asks once through the gateway and gives the cost that it was told.
  private func ask(_ port: Int) async throws -> Int64 {
    let client = HTTPClient()
    defer { client.close() }
    let token = try await wait("the gateway's token") {
      try PrivateFile.read("\(folder)/alice/gateway-token").flatMap { $0.isEmpty ? nil : $0 }
    }
    let body = JSONValue.members([
      "model": .string("scripted:chaos"), "max_tokens": .integer(32),
      "messages": .array([
        .members(["role": .string("user"), "content": .string("Count.")])
      ]),
    ])
    return try await wait("an answer") {
      var request = try ClientRequest.post(
        "http://127.0.0.1:\(port)/v1/chat/completions", body.encoded)
      request.headers.add(
        .authorization, try HTTPFieldValue("Bearer " + String(decoding: token, as: UTF8.self)))
      // Refused until the gateway listens and the machine is in the directory.
      guard let response = try? await client.send(request, timeout: .seconds(20)) else {
        return nil
      }
      _ = try await response.body.collect(upTo: 1 << 20)
      guard response.status == .ok else { return nil }
      return response.headers["X-Darkbloom-Cost-Micros"].flatMap { Int64("\($0)") } ?? -1
    }
  }

  /// What was booked, as the gateway keeps it with the receipt.
  private func booked() async throws -> Int64 {
    try await wait("the booked cost") {
      try await user("receipts", "list").json.items?.first?["cost_micros"]?.integer
    }
  }

  private func money(_ cost: Int64) async throws {
    #expect(cost > 0)
    // The user: what is left, and the statement of what is gone.
    let account = try await wait("the answer's closing") {
      let account = try await user("account").json["account"]
      return account?["reserved_micros"]?.integer == 0 ? account : nil
    }
    #expect(account["credit_micros"]?.integer == 100_000_000 - cost)
    let mine = try await user("statement")
    #expect(mine.json["change_micros"]?.integer == 100_000_000 - cost, "\(mine.output)")
    let answers = try await user("statement", "--answers").json["lines"]?.items ?? []
    #expect(answers.compactMap { $0["change_micros"]?.integer } == [100_000_000, -cost])
    #expect(answers.allSatisfy { $0["node"] == nil })
    let usage = try await user("usage").json["total"]?["asked"]
    #expect(usage?["paid_micros"]?.integer == cost)

    // The owner: 95 %, rounded in the owner's favour; the platform has the rest.
    let fee = cost * 50 / 1_000
    let share = cost - fee
    #expect(fee > 0)
    let theirs = try await admin("statement", "admin", "--json")
    let served = theirs.json["lines"]?.items?.filter { $0["kind"]?.string == "served" } ?? []
    #expect(served.count == 1, "\(theirs.output)")
    #expect(served.first?["gross_micros"]?.integer == cost)
    #expect(served.first?["fee_micros"]?.integer == fee)
    #expect(served.first?["change_micros"]?.integer == share)
    let csv = try await admin("statement", "admin", "--csv")
    #expect(csv.output.split(whereSeparator: \.isNewline).count == 3, "\(csv.output)")
    let books = try await admin("books", "--json").json
    let platform = books["platform_micros"]
    #expect(
      (platform?["fees"]?.integer ?? 0) + (platform?["replay"]?.integer ?? 0) == fee)
    #expect(books["accounts_micros"]?["earned"]?.integer == share)

    try await payout(share)
    try await dispute(share, cost)
    #expect(try await admin("books", "--json").json["sum_micros"]?.integer == 0)
  }

  /// A policy with a smaller payout, then the payout of all but the last hundred micro-units.
  private func payout(_ share: Int64) async throws {
    let small = try await admin("payouts", "propose", "admin", "--destination", "bank")
    #expect(small.code != 0 && small.output.contains("minimum"))
    let draft = try await admin("policy", "show", "--next").output
    #expect(draft.contains("version=2\n"))
    let edited = draft.split(separator: "\n").map {
      $0.hasPrefix("minimum-payout-micros=") ? "minimum-payout-micros=1" : String($0)
    }.joined(separator: "\n")
    try PrivateFile.write(Array((edited + "\n").utf8), to: "\(folder)/next.policy")
    let unsigned = try await admin("policy", "adopt", "\(folder)/next.policy")
    #expect(unsigned.code != 0 && unsigned.output.contains("not signed"))
    #expect(
      try await admin(
        "policy", "sign", "\(folder)/next.policy", "--output", "\(folder)/signed.policy"
      ).code == 0)
    let adopted = try await admin("policy", "adopt", "\(folder)/signed.policy", "--json")
    #expect(adopted.json["version"]?.integer == 2, "\(adopted.output)")

    let proposed = try await admin(
      "payouts", "propose", "admin", "--micros", "100", "--destination", "bank", "--json")
    let payout = try #require(proposed.json["payouts"]?.items?.first?["payout"]?.integer)
    let export = try await admin("payouts", "export")
    #expect(export.output.contains("\(payout),admin,100,\"bank\","), "\(export.output)")
    #expect(try await admin("payouts", "confirm", "\(payout)", "--reference", "b-1").code == 0)
    let list = try await admin("payouts", "list", "--all", "--json").json["payouts"]?.items
    #expect(list?.first?["state"]?.string == "confirmed")
    let books = try await admin("books", "--json").json
    #expect(books["platform_micros"]?["cash"]?.integer == 100)
    #expect(books["accounts_micros"]?["earned"]?.integer == share - 100)
  }

  /// The user questions the answer by its receipt and gets the money back.
  private func dispute(_ share: Int64, _ cost: Int64) async throws {
    let receipts = try await user("receipts", "list").json.items ?? []
    let answer = try #require(receipts.first?["answer"]?.string)
    let opened = try await user("dispute", answer)
    let entry = try #require(opened.json["entry"]?.integer, "\(opened.output)")
    #expect(opened.json["micros"]?.integer == cost)
    let held = try await admin("books", "--json").json["accounts_micros"]
    #expect(held?["held"]?.integer == share - 100)
    #expect(try await admin("refund", "\(entry)", "0").code == 0)
    let account = try await user("account").json["account"]
    #expect(account?["credit_micros"]?.integer == 100_000_000)
  }
}
