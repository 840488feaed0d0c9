internal import BloomBase
internal import BloomHTTP
internal import BloomNet
internal import BloomPlatform
internal import BloomWire

/// The real program on loopback, on a data folder of its own.
struct BenchCoordinator: Sendable {
  let process: Subprocess
  let base: String
  let key: String

  /// Starts it and waits until it answers.
  static func start(
    folder: String, port: Int, certificate: String?, group: EventLoopGroup
  ) async throws -> BenchCoordinator {
    var arguments = [
      "serve", "--local", "--data", folder, "--listen", "127.0.0.1:\(port)", "--log", "error",
    ]
    if let certificate {
      arguments += [
        "--tls-certificate", certificate + ".crt", "--tls-key", certificate + ".key",
      ]
    }
    var options = Subprocess.Options(
      "\(ProcessEnvironment.programFolder)/darkbloom-coordinator", arguments)
    options.environment =
      ProcessEnvironment.current.map { "\($0.key)=\($0.value)" }
      + ["DARKBLOOM_LIMITS_ACCOUNT=100000"]
    let process = try await Subprocess.start(options, group: group)
    for _ in 0..<600 {
      try await group.next().sleep(for: .milliseconds(10))
      guard let bytes = try PrivateFile.read("\(folder)/local.json"),
        let value = try? JSONValue(decoding: bytes), let key = value["api_key"]?.string
      else { continue }
      let scheme = certificate == nil ? "http" : "https"
      return BenchCoordinator(process: process, base: "\(scheme)://127.0.0.1:\(port)", key: key)
    }
    throw UsageError("the coordinator did not start within six seconds")
  }

  /// What a node of this machine shows when it connects.
  var nodeHeaders: HTTPFields {
    get throws {
      var headers = HTTPFields()
      headers.add(.authorization, try HTTPFieldValue("Bearer " + key))
      return headers
    }
  }

  /// One number of `/metrics`; `nil` when it does not answer.
  func metric(_ name: String, _ client: HTTPClient) async -> Int? {
    guard let request = try? ClientRequest.get(base + "/metrics"),
      let response = try? await client.send(request, timeout: .seconds(5)),
      let bytes = try? await response.body.collect(upTo: 1 << 20)
    else { return nil }
    let line = String(decoding: bytes, as: UTF8.self).split(separator: "\n").first {
      $0.hasPrefix(name + " ")
    }
    return line?.split(separator: " ").last.flatMap { Int($0) }
  }

  func stop() async throws {
    process.signal(9)
    _ = try await process.exit()
  }
}
