internal import BloomBase
internal import BloomBench
internal import BloomHTTP
internal import BloomNet
internal import BloomPlatform
internal import BloomWire

#if canImport(Glibc)
internal import Glibc
#else
internal import Darwin
#endif

/// The same HTTP load on a whole network (gateway, coordinator, node, sandboxed worker: sealed and
/// receipted) and on llama-server, in turns.
struct Served {
  /// A server under load.
  private struct Server {
    let process: Subprocess
    let port: Int
    var token = ""
    var model = "x"
  }

  private static let tokens = 96

  static func rows(peers: Peers?) async throws -> [BenchRow] {
    let folder = Peers.output("mktemp -d").filter { !$0.isWhitespace }
    defer { _ = Peers.output("rm -rf \(folder)") }
    let network = try await startNetwork(folder)
    var rows = idleMemory(of: network)
    let server = try await startServer(peers)
    for count in [1, 2, 4, 8] {
      var (ours, theirs) = (0.0, 0.0)
      for round in 0..<BenchEngine.rounds {
        ours = max(ours, try await load(network, streams: count, round: round))
        if let server { theirs = max(theirs, try await load(server, streams: count, round: round)) }
      }
      let ratio = theirs > 0 ? ours / theirs : nil
      rows.append(
        BenchRow(
          "served over HTTP and sealed, \(count) streams", value: ours, unit: "tokens/s",
          peer: "llama-server", ratio: ratio, target: ">= 1.0",
          holds: ratio.map { $0 >= 1 } ?? false))
    }
    for process in [network.process, server?.process].compactMap({ $0 }) {
      process.signal(SIGINT)
      _ = try await process.exit()
    }
    return rows
  }

  private static func startNetwork(_ folder: String) async throws -> Server {
    let port = Int.random(in: 20_000..<30_000)
    var options = Subprocess.Options(
      "\(ProcessEnvironment.programFolder)/darkbloom",
      [
        "up", "--data", folder, "--models", "\(folder)/models", "--port", "\(port)", "--threads",
        "1", "--slots", "8", "--model", BenchEngine.model,
      ])
    options.inheritsOutput = false
    var server = Server(process: try await Subprocess.start(options), port: port)
    for _ in 0..<600 {
      try await Task.sleep(for: .milliseconds(200))
      guard let bytes = try PrivateFile.read("\(folder)/gateway-token"), !bytes.isEmpty else {
        continue
      }
      server.token = String(decoding: bytes, as: UTF8.self)
      // Until it listens every attempt fails, which is what this loop waits out.
      guard let list = try? await get(server, "/v1/models"),
        let name = list["data"]?.items?.first?["id"]?.string
      else { continue }
      server.model = name
      return server
    }
    throw UsageError("darkbloom up was not ready within two minutes")
  }

  /// The peer; `nil` when there is none or it does not start, which its rows say by not holding.
  private static func startServer(_ peers: Peers?) async throws -> Server? {
    guard let peers else { return nil }
    let port = Int.random(in: 30_000..<40_000)
    var options = Subprocess.Options(
      "\(peers.folder)/llama-server",
      [
        "-m", BenchEngine.model, "-t", "1", "-np", "8", "-c", "32768", "--host", "127.0.0.1",
        "--port", "\(port)",
      ])
    options.inheritsOutput = false
    let server = Server(process: try await Subprocess.start(options), port: port)
    for _ in 0..<300 {
      try await Task.sleep(for: .milliseconds(200))
      // As above: it answers once it has loaded.
      if let health = try? await get(server, "/health"), health["status"]?.string == "ok" {
        return server
      }
    }
    ProcessEnvironment.complain("llama-server was not ready within a minute")
    server.process.signal(9)
    _ = try await server.process.exit()
    return nil
  }

  /// Tokens a second of so many streams together, each of ``tokens`` tokens.
  private static func load(_ server: Server, streams: Int, round: Int) async throws -> Double {
    // Connections of its own: a server may close those that wait for another round.
    let client = HTTPClient()
    defer { client.close() }
    let start = BenchEngine.time.now()
    let total = try await withThrowingTaskGroup(of: Int.self) { group in
      for stream in 0..<streams {
        group.addTask {
          let text = "Story \(1000 * streams + 10 * round + stream): tell me of the sea, at length."
          return try await ask(server, client, text)
        }
      }
      return try await group.reduce(0, +)
    }
    return Double(total) / (BenchEngine.time.now() - start).inSeconds
  }

  private static func ask(
    _ server: Server, _ client: HTTPClient, _ text: String
  ) async throws -> Int {
    let body = JSONValue.members([
      "model": .string(server.model), "temperature": .integer(0), "max_tokens": .integer(tokens),
      "stream": .bool(true), "stream_options": .members(["include_usage": .bool(true)]),
      // Never the end: both sides decode exactly as many tokens.
      "logit_bias": .members(["0": .integer(-100), "2": .integer(-100)]),
      "messages": .array([.members(["role": .string("user"), "content": .string(text)])]),
    ])
    var request = try ClientRequest.post(
      "http://127.0.0.1:\(server.port)/v1/chat/completions", body.encoded)
    request.headers.add(.authorization, try HTTPFieldValue("Bearer " + server.token))
    let response = try await client.send(request, timeout: .seconds(120))
    let bytes = try await response.body.collect(upTo: 1 << 24)
    let lines = String(decoding: bytes, as: UTF8.self).split(separator: "\n").filter {
      $0.hasPrefix("data: {")
    }
    guard response.status.code == 200, let last = lines.last,
      let used = try JSONValue(decoding: Array(last.dropFirst(6).utf8))["usage"]?[
        "completion_tokens"]?.integer, used == tokens
    else { throw UsageError("a server did not answer as asked: \(response.status.code)") }
    return Int(used)
  }

  private static func get(_ server: Server, _ path: String) async throws -> JSONValue {
    var request = try ClientRequest.get("http://127.0.0.1:\(server.port)\(path)")
    request.headers.add(.authorization, try HTTPFieldValue("Bearer " + server.token))
    let client = HTTPClient()
    defer { client.close() }
    let response = try await client.send(request, timeout: .seconds(5))
    return try JSONValue(decoding: try await response.body.collect(upTo: 1 << 22))
  }

  /// The worker's resident memory: in all, and what of it is private and not the cache.
  ///
  /// The cache is by far the largest private mapping. Weights, program and libraries are mapped
  /// files, shared with every other worker.
  private static func idleMemory(of network: Server) -> [BenchRow] {
    let script = """
      for node in $(pgrep -P \(network.process.processID)); do
        for worker in $(pgrep -P $node -x darkbloom-worke); do
          awk '/^[0-9a-f]+-/ {name = $6}
            /^Rss:/ {all += $2; if (name ~ /gguf/) model += $2; if (name == "" && $2 > cache) cache = $2}
            /^Private_Dirty:/ {own += $2}
            END {print all, all - model - cache, own - cache}' /proc/$worker/smaps
        done
      done
      """
    let numbers = Peers.output(script).split { $0 == " " || $0 == "\n" }.compactMap { Double($0) }
    // Not measured is a row that does not hold, not one that is missing.
    let megabytes: [Double] =
      numbers.count == 3 ? numbers.map { $0 * 1024 / 1e6 } : [.nan, .nan, .nan]
    return [
      BenchRow("worker idle, resident in all", value: megabytes[0], unit: "MB"),
      BenchRow(
        "worker idle, above weights and caches with program and libraries", value: megabytes[1],
        unit: "MB"),
      BenchRow(
        "worker idle, its own memory above the model", value: megabytes[2], unit: "MB",
        target: "<= 30 MB", holds: megabytes[2] <= 30),
    ]
  }
}
