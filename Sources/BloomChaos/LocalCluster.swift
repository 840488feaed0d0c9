internal import BloomBase
package import BloomClient
internal import BloomCrypto
internal import BloomHTTP
internal import BloomModels
package import BloomNet
internal import BloomPlatform
internal import BloomSeal
internal import BloomWire

#if canImport(Glibc)
internal import Glibc
#else
internal import Darwin
#endif

/// A whole network of real processes on loopback: coordinator, nodes with workers, gateway.
///
/// Processes end with this one, also when it is killed: each watches its parent's channel.
package actor LocalCluster {
  /// What a node computes with.
  package enum Engine: Sendable, Hashable {
    /// `scripted-worker`: no model, words at a fixed pace.
    case scripted
    /// `darkbloom-worker` with the bundled model.
    case real
  }

  private struct Node {
    let engine: Engine
    let folder: String
    var process: Subprocess
    var isStopped = false
  }

  private struct Notice {
    let origin: String
    let logKey: [UInt8]
    let apiKey: String
  }

  /// The cluster's files.
  package nonisolated let folder: String
  /// The scripted model's name.
  package nonisolated let scriptedModel = "scripted:chaos"
  private let programs: String
  private let port: Int
  private var coordinator: Subprocess?
  private var gateway: Subprocess?
  private var nodes: [Node] = []
  private var models: [Engine: ModelManifest] = [:]

  /// Prepares a folder; nothing runs yet.
  ///
  /// - Parameters:
  ///   - folder: Made; the caller removes it.
  ///   - programs: Where the programs are; beside this one when `nil`.
  /// - Throws: When the folder cannot be made.
  package init(folder: String, programs: String? = nil) throws {
    self.folder = folder
    self.programs = programs ?? ProcessEnvironment.programFolder
    port = Int.random(in: 20_000..<30_000)
    for part in ["coordinator", "catalog", "models"] {
      try PrivateFile.makeFolder("\(folder)/\(part)")
    }
  }

  // MARK: Processes

  private func launch(_ program: String, _ arguments: [String]) async throws -> Subprocess {
    var options = Subprocess.Options("\(programs)/\(program)", arguments)
    options.inheritsOutput = ProcessEnvironment.current["CHAOS_VERBOSE"] == "1"
    options.environment =
      ProcessEnvironment.current.filter { $0.key != "DARKBLOOM_PARENT" }
      .map { "\($0.key)=\($0.value)" } + ["DARKBLOOM_PARENT=1"]
    return try await Subprocess.start(options)
  }

  /// Makes the models known and starts the coordinator.
  ///
  /// - Parameter bundled: A GGUF file for real nodes; `nil` when there are none.
  /// - Throws: When the coordinator does not start.
  package func start(bundled: String?) async throws {
    try PrivateFile.write(Array("no weights".utf8), to: "\(folder)/scripted.bin")
    let file = ModelManifest.File(
      role: .weights, name: "scripted.bin", sha256: SHA256.digest(Array("no weights".utf8)),
      byteCount: 10)
    let scripted = ModelManifest(
      name: scriptedModel, kind: .chat, files: [file], licence: "", contextTokens: 4_096,
      weightBytes: 10, contextBytesPerToken: 1)
    try publish(scripted, .scripted)
    try PrivateFile.write(scripted.encoded, to: "\(folder)/scripted.manifest")
    if let bundled {
      let store = try ModelStore(root: "\(folder)/models")
      try publish(try await store.add(bundled, inPlace: true), .real)
    }
    try await startCoordinator()
  }

  private func publish(_ manifest: ModelManifest, _ engine: Engine) throws {
    try PrivateFile.write(
      manifest.encoded, to: "\(folder)/catalog/\(manifest.id.digest.hex).manifest")
    models[engine] = manifest
  }

  /// The name of the model that nodes of a kind serve.
  package func model(of engine: Engine) -> String? { models[engine]?.name }

  /// Starts the coordinator, or starts it again on the same port and data.
  package func startCoordinator() async throws {
    coordinator = try await launch(
      "darkbloom-coordinator",
      [
        "serve", "--local", "--data", "\(folder)/coordinator", "--listen", "127.0.0.1:\(port)",
        "--catalog", "\(folder)/catalog", "--log", "error",
      ])
    for _ in 0..<400 {
      if (try? notice()) != nil, await isListening() { return }
      try await Task.sleep(for: .milliseconds(25))
    }
    throw UsageError("the coordinator did not start within 10 s")
  }

  private func isListening() async -> Bool {
    let client = HTTPClient()
    defer { client.close() }
    guard let request = try? ClientRequest.get("http://127.0.0.1:\(port)/livez") else {
      return false
    }
    return (try? await client.send(request, timeout: .seconds(1)))?.status == .ok
  }

  /// Ends the coordinator at whatever instruction it is.
  package func killCoordinator() async {
    coordinator?.signal(SIGKILL)
    _ = try? await coordinator?.exit()
  }

  /// Where the coordinator listens.
  package nonisolated var coordinatorURL: String { "http://127.0.0.1:\(port)" }

  /// Lets the coordinator end what it has to end.
  ///
  /// - Returns: How it ended; `nil` when none ran.
  @discardableResult
  package func stopCoordinator() async -> Subprocess.Exit? {
    coordinator?.signal(SIGTERM)
    let exit = try? await coordinator?.exit()
    coordinator = nil
    return exit
  }

  private func notice() throws -> Notice {
    guard let bytes = try PrivateFile.read("\(folder)/coordinator/local.json"),
      let value = try? JSONValue(decoding: bytes), let origin = value["origin"]?.string,
      let key = value["log_key"]?.string.flatMap({ Hex.decode($0) }),
      let apiKey = value["api_key"]?.string
    else { throw UsageError("the coordinator did not say how to reach it") }
    return Notice(origin: origin, logKey: key, apiKey: apiKey)
  }

  // MARK: Nodes

  /// The numbers of the nodes of a kind.
  package func nodes(of engine: Engine) -> [Int] {
    nodes.indices.filter { nodes[$0].engine == engine }
  }

  /// Starts a node.
  package func addNode(_ engine: Engine, slots: Int = 8) async throws {
    let data = "\(folder)/node-\(nodes.count)"
    try PrivateFile.makeFolder(data)
    nodes.append(
      Node(engine: engine, folder: data, process: try await run(engine, data, slots)))
  }

  private func run(_ engine: Engine, _ data: String, _ slots: Int = 8) async throws -> Subprocess {
    let network = "\(folder)/coordinator/local.json"
    switch engine {
    case .scripted:
      return try await launch("bloom-chaos", ["node", data, network, folder])
    case .real:
      return try await launch(
        "darkbloom",
        [
          "node", "run", "--always", "--data", data, "--network", network, "--models",
          "\(folder)/models",
          "--model", models[.real]?.name ?? "", "--threads", "1", "--slots", "\(slots)",
          "--log-level", "error",
        ])
    }
  }

  /// Ends a node at whatever instruction it is; its worker goes with it.
  package func killNode(_ index: Int) async {
    nodes[index].process.signal(SIGKILL)
    _ = try? await nodes[index].process.exit()
  }

  /// Starts a killed node again, with the identity it had.
  package func restartNode(_ index: Int) async throws {
    nodes[index].process = try await run(nodes[index].engine, nodes[index].folder)
  }

  /// Stops a node without ending it: it is there and says nothing.
  package func freezeNode(_ index: Int) {
    nodes[index].isStopped = true
    nodes[index].process.signal(SIGSTOP)
  }

  /// Lets a frozen node go on.
  package func thawNode(_ index: Int) {
    nodes[index].isStopped = false
    nodes[index].process.signal(SIGCONT)
  }

  // MARK: Clients

  /// A client in this process.
  ///
  /// - Parameters:
  ///   - configuration: How it asks.
  ///   - http: Its connections.
  /// - Returns: The service and its view of the network.
  /// - Throws: When the coordinator is not there.
  package func client(
    _ configuration: PrivateInference.Configuration, http: HTTPClient = HTTPClient()
  ) throws -> (service: PrivateInference, view: NetworkView) {
    let notice = try notice()
    let access = CoordinatorClient(
      base: "http://127.0.0.1:\(port)", apiKey: notice.apiKey, http: http)
    let view = NetworkView(
      remotes: [
        NetworkView.Remote(
          coordinator: access,
          verifier: try DirectoryVerifier(origin: notice.origin, key: notice.logKey))
      ],
      policy: PlacementPolicy(places: [.public]), time: SystemTime(),
      log: Log("chaos", minimum: .error, sink: StandardErrorLog()))
    return (PrivateInference(configuration: configuration, network: view, time: SystemTime()), view)
  }

  /// Waits until the client sees this many machines of a model.
  package func wait(
    for machines: Int, of model: String, _ service: NetworkView, seconds: Int = 60
  ) async throws {
    for _ in 0..<(seconds * 10) {
      // Not there yet, or the coordinator is between two lives.
      if let found = try? await service.models().first(where: { $0.served.name == model }),
        found.machines >= machines
      {
        return
      }
      try await Task.sleep(for: .milliseconds(100))
    }
    throw UsageError("\(machines) machines of \(model) were not there within \(seconds) s")
  }

  /// Starts a gateway process and waits until it lists models.
  ///
  /// - Returns: Its base URL, its token and its process id.
  package func startGateway(
    candidates: Int = 1
  ) async throws -> (url: String, token: String, processID: Int32) {
    let data = "\(folder)/gateway"
    try PrivateFile.makeFolder(data)
    let process = try await launch(
      "darkbloom",
      [
        "gateway", "--data", data, "--network", "\(folder)/coordinator/local.json", "--port",
        "\(port + 1)", "--candidates", "\(candidates)", "--log-level", "error",
      ])
    gateway = process
    let url = "http://127.0.0.1:\(port + 1)"
    let client = HTTPClient()
    defer { client.close() }
    for _ in 0..<600 {
      if let bytes = try PrivateFile.read("\(data)/gateway-token"), !bytes.isEmpty {
        let token = String(decoding: bytes, as: UTF8.self)
        var request = try ClientRequest.get(url + "/v1/models")
        request.headers.add(.authorization, try HTTPFieldValue("Bearer " + token))
        if let response = try? await client.send(request, timeout: .seconds(2)),
          let body = try? await response.body.collect(upTo: 1 << 20),
          let list = (try? JSONValue(decoding: body))?["data"]?.items, !list.isEmpty
        {
          return (url, token, process.processID)
        }
      }
      try await Task.sleep(for: .milliseconds(50))
    }
    throw UsageError("the gateway was not ready within 30 s")
  }

  /// Ends everything that runs.
  package func stop() async {
    for node in nodes where node.isStopped { node.process.signal(SIGCONT) }
    let all = [gateway, coordinator].compactMap { $0 } + nodes.map(\.process)
    for process in all { process.signal(SIGKILL) }
    // How they ended does not matter.
    for process in all { _ = try? await process.exit() }
  }
}
