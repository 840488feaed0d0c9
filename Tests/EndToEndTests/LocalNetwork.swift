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

/// A whole network on loopback, made by `darkbloom up` as a user would.
final class LocalNetwork: Sendable {
  let process: Subprocess
  let port: Int
  let token: String
  let folder: String

  private init(_ process: Subprocess, port: Int, token: String, folder: String) {
    self.process = process
    self.port = port
    self.token = token
    self.folder = folder
  }

  /// A folder that nobody else uses.
  static func makeFolder() throws -> String {
    let folder = "/tmp/darkbloom-e2e-\(getpid())-\(UInt32.random(in: 0...UInt32.max))"
    try PrivateFile.makeFolder(folder)
    return folder
  }

  /// Starts `up` and waits until it lists its models, at most three minutes.
  ///
  /// - Parameters:
  ///   - folder: Of keys and state.
  ///   - model: A GGUF file to serve instead of the two bundled models.
  ///   - options: Of `up`, besides those that every test wants.
  /// - Returns: The network, which answers.
  /// - Throws: `UsageError` when it is not ready in time.
  static func start(
    in folder: String, model: String? = nil, options: [String] = []
  ) async throws -> LocalNetwork {
    let port = Int.random(in: 20_000..<30_000)
    var program = Subprocess.Options(
      "\(ProcessEnvironment.programFolder)/darkbloom",
      [
        "up", "--data", folder, "--models", "\(folder)/models", "--port", "\(port)", "--threads",
        "1", "--keep-content",
      ] + (model.map { ["--model", $0] } ?? []) + options)
    // What a shell sets for another coordinator must not reach the local one, which would have
    // no database and take no machine.
    let settings = [
      "DARKBLOOM_DATABASE": "postgresql://nobody@/none", "DARKBLOOM_TIER": "hardware",
    ]
    let variables = ProcessEnvironment.current.merging(settings) { $1 }
    program.environment = variables.map { "\($0.key)=\($0.value)" }
    let process = try await Subprocess.start(program)
    let network = { token in
      LocalNetwork(process, port: port, token: token, folder: folder)
    }
    for _ in 0..<1800 {
      if let bytes = try PrivateFile.read("\(folder)/gateway-token"), !bytes.isEmpty {
        let candidate = network(String(decoding: bytes, as: UTF8.self))
        if let models = try? await candidate.get("/v1/models"),
          (models["data"]?.items?.count ?? 0) >= (model == nil ? 2 : 1)
        {
          return candidate
        }
      }
      try await Task.sleep(for: .milliseconds(100))
    }
    process.signal(SIGTERM)
    throw UsageError("darkbloom up was not ready within three minutes")
  }

  /// Stops it as Ctrl-C does, and gives its exit.
  func stop() async throws -> Subprocess.Exit {
    process.signal(SIGINT)
    return try await process.exit()
  }

  /// Runs a script of `Tests/Peers` with the Python of `scripts/deps-test`, to its end.
  static func python(_ script: String, _ arguments: [String]) async throws -> Subprocess.Exit {
    let python =
      ProcessEnvironment.current["DARKBLOOM_TEST_PYTHON"] ?? "\(root)/.build/test-python/bin/python"
    var options = Subprocess.Options(python, ["\(root)/Tests/Peers/\(script)"] + arguments)
    options.inheritsOutput = true
    return try await Subprocess.start(options).exit()
  }

  /// The repository.
  static var root: String {
    #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast(3)
      .joined(separator: "/")
  }

  func get(_ path: String) async throws -> JSONValue {
    var request = try ClientRequest.get("http://127.0.0.1:\(port)\(path)")
    request.headers.add(.authorization, try HTTPFieldValue("Bearer " + token))
    let client = HTTPClient()
    defer { client.close() }
    let response = try await client.send(request, timeout: .seconds(10))
    return try JSONValue(decoding: try await response.body.collect(upTo: 1 << 22))
  }

  func post(
    _ path: String, _ body: JSONValue
  ) async throws -> (status: Int, headers: HTTPFields, body: [UInt8]) {
    var request = try ClientRequest.post("http://127.0.0.1:\(port)\(path)", body.encoded)
    request.headers.add(.authorization, try HTTPFieldValue("Bearer " + token))
    let client = HTTPClient()
    defer { client.close() }
    let response = try await client.send(request, timeout: .seconds(120))
    return (
      response.status.code, response.headers, try await response.body.collect(upTo: 1 << 24)
    )
  }

  /// The `data:` lines of a stream.
  static func events(_ body: [UInt8]) -> [String] {
    String(decoding: body, as: UTF8.self).split(separator: "\n").compactMap {
      $0.hasPrefix("data: ") ? String($0.dropFirst(6)) : nil
    }
  }
}
