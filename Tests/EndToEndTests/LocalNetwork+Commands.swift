import BloomBase
import BloomHTTP
import BloomNet
import BloomPlatform
import BloomWire
import Testing

extension LocalNetwork {
  /// What a command printed, and how it ended.
  struct Output: Sendable {
    let code: Int
    let out: String
    let messages: String
  }

  /// Runs `darkbloom` with this network's folder, as a user would.
  ///
  /// - Parameters:
  ///   - arguments: The command, its options and arguments.
  ///   - input: Standard input.
  /// - Returns: Exit code, standard output and standard error.
  /// - Throws: When the shell cannot be started.
  func darkbloom(_ arguments: [String], input: String = "") async throws -> Output {
    let name = "\(folder)/command-\(UInt32.random(in: 0...UInt32.max))"
    try PrivateFile.write(Array(input.utf8), to: "\(name).in")
    let script = #"name=$1; shift; "$@" <"$name.in" >"$name.out" 2>"$name.err""#
    var options = Subprocess.Options(
      "/bin/sh",
      ["-c", script, "sh", name, "\(ProcessEnvironment.programFolder)/darkbloom"] + arguments)
    options.environment =
      ProcessEnvironment.current.map { "\($0.key)=\($0.value)" } + [
        "DARKBLOOM_DATA=\(folder)", "DARKBLOOM_GATEWAY_PORT=\(port)", "XDG_CONFIG_HOME=\(folder)",
      ]
    let exit = try await Subprocess.start(options).exit()
    func text(_ suffix: String) throws -> String {
      String(decoding: try PrivateFile.read("\(name).\(suffix)") ?? [], as: UTF8.self)
    }
    return Output(code: exit.code, out: try text("out"), messages: try text("err"))
  }

  /// What the node says of itself.
  func nodeStatus() async throws -> JSONValue {
    var request = try ClientRequest.get("http://node/v1/status")
    request.unixSocket = "\(folder)/up/node/node.sock"
    let client = HTTPClient()
    defer { client.close() }
    let response = try await client.send(request, timeout: .seconds(10))
    return try JSONValue(decoding: try await response.body.collect(upTo: 1 << 20))
  }

  /// Requests that the node's workers compute now.
  func activeRequests() async throws -> Int64 {
    try await nodeStatus()["models"]?.items?.compactMap { $0["active"]?.integer }.reduce(0, +) ?? 0
  }

  /// Requests that the node has done, its models' self-tests too, once none is under way.
  func requestsDone() async throws -> Int64 {
    for _ in 0..<300 {
      let status = try await nodeStatus()
      let requests = status["requests"]
      let done = requests?["done"]?.integer ?? 0
      let over = done + (requests?["handed_back"]?.integer ?? 0)
      let areTested = status["models"]?.items?.allSatisfy { $0["self_test"]?.members != nil }
      if areTested == true, requests?["accepted"]?.integer == over { return done }
      try await Task.sleep(for: .milliseconds(100))
    }
    throw UsageError("a self-test or a request of the node did not end")
  }

  /// Begins a stream that never ends by itself, reads past its first receipt and leaves.
  ///
  /// The connection closes when this returns: nothing holds the response any more.
  func leaveStream(_ body: JSONValue) async throws {
    var request = try ClientRequest.post(
      "http://127.0.0.1:\(port)/v1/chat/completions", body.encoded)
    request.headers.add(.authorization, try HTTPFieldValue("Bearer " + token))
    let client = HTTPClient()
    defer { client.close() }
    let response = try await client.send(request, timeout: .seconds(60))
    // A receipt comes every 64 tokens, and a token's event has more than 200 bytes.
    var count = 0
    for try await bytes in response.body {
      count += bytes.count
      if count > 20_000 { break }
    }
  }
}
