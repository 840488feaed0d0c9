import BloomBase
import BloomHTTP
import BloomNet
import BloomPlatform
import BloomWire
import Testing

#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

/// One real network, real weights, real sealing, real sockets: what the README promises.
@Suite(.serialized, .timeLimit(.minutes(10))) struct PrivateAnswerTests {
  static func chat(
    _ model: String, _ text: String, _ extra: KeyValuePairs<String, JSONValue> = [:]
  ) -> JSONValue {
    var members: [JSONValue.Member] = [
      .init("model", .string(model)),
      .init(
        "messages",
        .array([.members(["role": .string("user"), "content": .string(text)])])),
    ]
    members += extra.map { .init($0.key, $0.value) }
    return .object(members)
  }

  @Test func `a fresh network answers privately and stops cleanly`() async throws {
    let isDeep = ProcessEnvironment.current["DARKBLOOM_DEEP"] == "1"
    // Only this profile promises the same text after tokens were computed again.
    let network = try await LocalNetwork.start(
      in: try LocalNetwork.makeFolder(), options: isDeep ? ["--exact"] : [])
    do {
      let models = try await network.get("/v1/models")["data"]?.items ?? []
      let model = try #require(models.first?["id"]?.string)
      try await answers(network, model)
      try await streams(network, model)
      try await embeds(network, models.compactMap { $0["id"]?.string })
      try await refuses(network, model)
      try await stops(network, model)
      try await leavesEarly(network, model)
      try await commands(network)
      try await keys(network)
      try await ReceiptCommands(network).run()
      // A worker that ends five times is taken for one that always will, and started late.
      if isDeep { for _ in 0..<4 { try await goesOn(network, model) } }
      try await pythonPackages(network, models.compactMap { $0["id"]?.string })
    } catch {
      _ = try await network.stop()
      throw error
    }
    let exit = try await network.stop()
    #expect(exit == Subprocess.Exit(code: 0, signal: 0))
  }

  /// A greedy answer is the same each time, names its machine and counts its tokens.
  private func answers(_ network: LocalNetwork, _ model: String) async throws {
    let body = Self.chat(
      model, "Name three colours.", ["temperature": .integer(0), "max_tokens": .integer(24)])
    let first = try await network.post("/v1/chat/completions", body)
    try #require(first.status == 200, "\(String(decoding: first.body, as: UTF8.self))")
    let value = try JSONValue(decoding: first.body)
    let text = value["choices"]?.items?.first?["message"]?["content"]?.string ?? ""
    #expect(!text.isEmpty)
    #expect((value["usage"]?["completion_tokens"]?.integer ?? 0) > 0)
    #expect((value["usage"]?["prompt_tokens"]?.integer ?? 0) > 0)
    #expect(first.headers["X-Darkbloom-Node"]?.count == 64)
    #expect(first.headers["X-Darkbloom-Tier"] == "software")
    #expect(first.headers["X-Darkbloom-Placement"]?.contains(" chosen wait=") == true)
    let second = try await network.post("/v1/chat/completions", body)
    let again = try JSONValue(decoding: second.body)["choices"]?.items?.first?["message"]?[
      "content"]
    #expect(again?.string == text)
  }

  /// A stream shows the same text in pieces and ends as OpenAI's does.
  private func streams(_ network: LocalNetwork, _ model: String) async throws {
    let options: KeyValuePairs<String, JSONValue> = [
      "temperature": .integer(0), "max_tokens": .integer(24), "stream": .bool(true),
      "stream_options": .members(["include_usage": .bool(true)]),
    ]
    let stream = try await network.post(
      "/v1/chat/completions", Self.chat(model, "Name three colours.", options))
    #expect(stream.status == 200)
    let events = LocalNetwork.events(stream.body)
    #expect(events.last == "[DONE]")
    let chunks = try events.dropLast().map { try JSONValue(decoding: Array($0.utf8)) }
    let text = chunks.compactMap {
      $0["choices"]?.items?.first?["delta"]?["content"]?.string
    }.joined()
    let whole = try await network.post(
      "/v1/chat/completions",
      Self.chat(
        model, "Name three colours.", ["temperature": .integer(0), "max_tokens": .integer(24)]))
    let expected = try JSONValue(decoding: whole.body)["choices"]?.items?.first?["message"]
    #expect(text == expected?["content"]?.string)
    let reasons = chunks.compactMap {
      $0["choices"]?.items?.first?["finish_reason"]?.string
    }
    #expect(reasons.count == 1)
    #expect((chunks.last?["usage"]?["completion_tokens"]?.integer ?? 0) > 0)
  }

  private func embeds(_ network: LocalNetwork, _ models: [String]) async throws {
    let model = try #require(models.last)
    let answer = try await network.post(
      "/v1/embeddings",
      .members([
        "model": .string(model),
        "input": .array([.string("a cat"), .string("a kitten"), .string("tax law")]),
      ]))
    try #require(answer.status == 200, "\(String(decoding: answer.body, as: UTF8.self))")
    let vectors = try JSONValue(decoding: answer.body)["data"]?.items?.map {
      $0["embedding"]?.items?.compactMap(\.double) ?? []
    }
    let found = try #require(vectors)
    try #require(found.count == 3 && found.allSatisfy { $0.count == 384 })
    func product(_ a: [Double], _ b: [Double]) -> Double {
      zip(a, b).reduce(0) { $0 + $1.0 * $1.1 }
    }
    #expect(product(found[0], found[1]) > product(found[0], found[2]))
  }

  private func refuses(_ network: LocalNetwork, _ model: String) async throws {
    let unknown = try await network.post(
      "/v1/chat/completions", Self.chat("no-such-model", "hi"))
    #expect(unknown.status == 404)
    let wrong = try await network.post(
      "/v1/chat/completions", Self.chat(model, "hi", ["temperature": .string("warm")]))
    #expect(wrong.status == 400)
    #expect(
      try JSONValue(decoding: wrong.body)["error"]?["param"]?.string == "temperature")
    let long = try await network.post(
      "/v1/chat/completions",
      Self.chat(model, String(repeating: "word ", count: 60_000), ["max_tokens": .integer(4)]))
    #expect(long.status == 400, "a prompt longer than the context is the user's error")
  }

  /// A worker that is killed in mid-answer costs a pause: the text is the one it would have been.
  private func goesOn(_ network: LocalNetwork, _ model: String) async throws {
    let whole = try await network.post(
      "/v1/chat/completions",
      Self.chat(
        model, "Write a story about a fox.",
        ["temperature": .integer(0), "max_tokens": .integer(150)]))
    let body = Self.chat(
      model, "Write a story about a fox.",
      [
        "temperature": .integer(0), "max_tokens": .integer(150), "stream": .bool(true),
        "stream_options": .members(["include_usage": .bool(true)]),
      ])
    async let stream = network.post("/v1/chat/completions", body)
    try await Task.sleep(for: .milliseconds(700))
    let script = "for c in $(pgrep -P $1); do pkill -9 -P $c -x darkbloom-worke; done; true"
    let killer = try await Subprocess.start(
      .init("/bin/sh", ["-c", script, "sh", "\(network.process.processID)"]))
    #expect(try await killer.exit().code == 0)
    let events = LocalNetwork.events(try await stream.body)
    #expect(events.last == "[DONE]")
    let chunks = try events.dropLast().map { try JSONValue(decoding: Array($0.utf8)) }
    let text = chunks.compactMap {
      $0["choices"]?.items?.first?["delta"]?["content"]?.string
    }.joined()
    let expected = try JSONValue(decoding: whole.body)["choices"]?.items?.first?["message"]
    #expect(text == expected?["content"]?.string)
    #expect(chunks.last?["usage"]?["completion_tokens"]?.integer == 150)
    try await Task.sleep(for: .seconds(3))
  }

  /// A program that leaves in mid-answer stops the machine: it computes nothing for nobody.
  private func stops(_ network: LocalNetwork, _ model: String) async throws {
    let before = try await network.requestsDone()
    // Without its end token the model would go on for a minute.
    let body = Self.chat(
      model, "Write a long story.",
      [
        "max_tokens": .integer(4000), "stream": .bool(true),
        "logit_bias": .members(["2": .integer(-100)]),
      ])
    try await network.leaveStream(body)
    var done = before
    var active: Int64 = 1
    for _ in 0..<100 where done == before || active > 0 {
      try await Task.sleep(for: .milliseconds(100))
      done = try await network.nodeStatus()["requests"]?["done"]?.integer ?? 0
      active = try await network.activeRequests()
    }
    // Done, not handed back: the worker was told that its user has left, and signed for that.
    #expect(done == before + 1)
    #expect(active == 0)
    let status = try await network.nodeStatus()
    #expect(status["requests"]?["handed_back"]?.integer == 0)
  }

  /// A program that leaves before the first token is no fault of the machine: it goes on serving.
  private func leavesEarly(_ network: LocalNetwork, _ model: String) async throws {
    let before = try await network.requestsDone()
    let client = HTTPClient()
    let words = (0..<1_000).map { "\($0)" }.joined(separator: " ")
    var request = try ClientRequest.post(
      "http://127.0.0.1:\(network.port)/v1/chat/completions",
      Self.chat(model, words, ["max_tokens": .integer(4)]).encoded)
    request.headers.add(.authorization, try HTTPFieldValue("Bearer " + network.token))
    let asking = Task { [request] in try await client.send(request).status.code }
    for _ in 0..<100 where try await network.activeRequests() == 0 {
      try await Task.sleep(for: .milliseconds(20))
    }
    asking.cancel()
    #expect((try? await asking.value) == nil, "it was answered before the program left")
    client.close()
    var status = try await network.nodeStatus()
    for _ in 0..<100 where status["requests"]?["done"]?.integer == before {
      try await Task.sleep(for: .milliseconds(100))
      status = try await network.nodeStatus()
    }
    #expect(status["requests"]?["done"]?.integer == before + 1)
    let next = try await network.post(
      "/v1/chat/completions", Self.chat(model, "hi", ["max_tokens": .integer(1)]))
    #expect(next.status == 200, "\(String(decoding: next.body, as: UTF8.self))")
  }

  /// The commands of the README, and what they promise.
  private func commands(_ network: LocalNetwork) async throws {
    for arguments in [
      ["ask", "--max-tokens", "8", "Hello!"], ["env"], ["receipts", "list"],
      ["wiretap", "--last", "--json"], ["netcheck"], ["node", "status"], ["keys", "list"],
      ["receipts", "verify", "--json"],
    ] {
      #expect(try await network.darkbloom(arguments).code == 0, "\(arguments[0])")
    }
    let chat = try await network.darkbloom(
      ["chat", "--max-tokens", "8"], input: "Hi!\n/receipt\n/privacy\n/clear\n/help\n")
    #expect(chat.code == 0, "\(chat.messages)")
    #expect(chat.out.contains("nothing was refuted"))
    #expect(chat.out.contains("never saw"))
    #expect(try await network.darkbloom(["chat"], input: "/modle\n").code == 69)
    let piped = try await network.darkbloom(["ask", "--max-tokens", "4", "-"], input: "Hello")
    #expect(piped.code == 0 && piped.messages.contains("sealed to machine"))
    let seen = try await network.darkbloom(["wiretap", "--last"])
    #expect(seen.out.contains("bytes of ciphertext") && !seen.out.contains("Hi!"))
    let joined = "\(network.folder)/up/coordinator/local.json"
    let check = try await network.darkbloom(["netcheck", "--network", joined, "--json"])
    #expect(check.code == 0, "\(check.out)")
    let findings = try JSONValue(decoding: Array(check.out.utf8))["findings"]?.items ?? []
    #expect(findings.allSatisfy { $0["verdict"]?.string == "fine" }, "\(check.out)")
    let broken = try await network.darkbloom(["netcheck", "--network", "/nowhere", "--json"])
    #expect(broken.code == 69 && broken.out.contains(#""fix":"join"#))
    let report = try await network.darkbloom(["bugreport", "--network", joined])
    #expect(report.code == 0 && report.out.contains("darkbloom_gateway_answers_total"))
    #expect(!report.out.contains(network.token))
    let second = try await network.darkbloom(["up"])
    #expect(second.code == 2 && second.messages.contains("runs already"))
  }

  /// An organisation's key is refused before it exists, works while it does, and no longer.
  private func keys(_ network: LocalNetwork) async throws {
    let made = try await network.darkbloom(
      ["gateway", "keys", "add", "ann", "--model", "none"])
    #expect(made.code == 0)
    let token = made.out.filter { !$0.isWhitespace }
    func status() async throws -> Int {
      var request = try ClientRequest.get("http://127.0.0.1:\(network.port)/v1/models")
      request.headers.add(.authorization, try HTTPFieldValue("Bearer " + token))
      let client = HTTPClient()
      defer { client.close() }
      return try await client.send(request).status.code
    }
    func becomes(_ code: Int) async throws -> Bool {
      for _ in 0..<100 {
        if try await status() == code { return true }
        try await Task.sleep(for: .milliseconds(100))
      }
      return false
    }
    #expect(try await becomes(200))
    let list = try await network.darkbloom(["gateway", "keys", "list", "--json"])
    #expect(list.out.contains(#""name":"ann""#) && !list.out.contains(token))
    #expect(try await network.darkbloom(["gateway", "keys", "revoke", "ann"]).code == 0)
    #expect(try await becomes(401))
  }

  /// The official packages, as the README shows them.
  private func pythonPackages(_ network: LocalNetwork, _ models: [String]) async throws {
    let base = "http://127.0.0.1:\(network.port)"
    for (script, arguments) in [
      ("openai_client.py", ["\(base)/v1", network.token, models[0]]),
      ("live_dialects.py", [base, network.token] + models),
      (
        "live_parameters.py",
        [base, network.token] + models + ["\(LocalNetwork.root)/docs/api.md"]
      ),
    ] {
      let exit = try await LocalNetwork.python(script, arguments)
      #expect(exit == Subprocess.Exit(code: 0, signal: 0), "\(script)")
    }
  }
}
