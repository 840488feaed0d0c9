internal import BloomBase
internal import BloomClient
internal import BloomHTTP
internal import BloomModels
internal import BloomNet
internal import BloomNode
internal import BloomPlatform
internal import BloomWire

/// What the node's commands share: options, files, and the configuration that a node would run
/// with.
struct NodeSetup {
  static let socket = OptionSpec(
    "socket", value: "PATH", "the node's local socket, DATA/node.sock unless given")
  static let settings = OptionSpec(
    "settings", value: "DIR", "folder of the settings file node.json5")
  static let network = OptionSpec(
    "network", value: "FILE", "the network to serve, DATA/network.json unless given")
  /// Options of `run`, `start` and `doctor`: the same words mean the same machine.
  static let serving: [OptionSpec] = [
    CommandContext.data, CommandContext.models, CommandContext.logLevel, socket, settings, network,
    OptionSpec("model", value: "NAME", "a model of the store to serve", repeats: true),
    OptionSpec(
      "coordinator", value: "URL",
      "a further coordinator of the network, tried when its own is gone",
      repeats: true),
    OptionSpec("threads", value: "N", "compute threads of each worker"),
    OptionSpec("slots", value: "N", "requests at once for each model"), RefusalOption.spec,
    OptionSpec("always", "serve whatever the owner does: for machines without another use"),
  ]

  let context: CommandContext

  init(_ context: CommandContext) { self.context = context }

  var socketPath: String { context.command.value("socket") ?? "\(context.dataFolder)/node.sock" }

  /// The network that is served.
  var networkPath: String {
    context.command.value("network") ?? JoinedNetwork.path(context.dataFolder)
  }

  var settingsFile: OwnerSettingsFile {
    OwnerSettingsFile(folder: context.command.value("settings") ?? context.folders.configuration)
  }

  /// Asks the running node: this data folder's, or else the one that `up` runs in it.
  func ask(_ call: NodeConsoleClient.Call) async throws -> JSONValue {
    do {
      return try await NodeConsoleClient(socket: socketPath).ask(call)
    } catch let error as NodeError where error.code == .notRunning {
      let own = "\(context.dataFolder)/up"
      guard context.command.value("socket") == nil, UpLock.isHeld(folder: own) else { throw error }
      return try await NodeConsoleClient(socket: "\(own)/node/node.sock").ask(call)
    }
  }

  /// The owner's settings, with `--always`.
  func owner() throws -> OwnerSettings { try Self.owner(settingsFile, always: isAlways) }

  private var isAlways: Bool { context.command.has("always") }

  private static func owner(_ file: OwnerSettingsFile, always: Bool) throws -> OwnerSettings {
    var settings = try file.load()
    guard always else { return settings }
    guard !file.isManaged || settings.isDedicated else {
      throw ConfigurationError(
        "--always is not allowed here: \(file.fleetPath) is locked by an administrator")
    }
    settings.isDedicated = true
    return settings
  }

  /// The models of the store that were named, or all of them.
  func models() throws -> [NodeModel] {
    let store = try ModelStore(root: context.modelFolder)
    let names = context.command.all("model")
    let manifests =
      names.isEmpty ? try store.list() : try names.map { try store.manifest(named: $0) }
    return try manifests.map { manifest in
      try NodeModel(manifest: manifest, paths: manifest.files.map { store.path(of: $0) })
    }
  }

  /// What a node would run with.
  func configuration() throws -> NodeService.Configuration {
    let data = context.dataFolder
    try PrivateFile.makeFolder(data)
    let network = try JoinedNetwork(path: networkPath)
    let owner = try owner()
    var configuration = NodeService.Configuration(
      dataFolder: data,
      coordinators: [network.url] + context.command.all("coordinator") + owner.coordinators,
      models: try models())
    configuration.consoleSocket = socketPath
    configuration.apiKey = network.apiKey
    configuration.refusals = try RefusalOption.policy(context.command.all("refuse"))
    configuration.owner = owner
    let (file, always) = (settingsFile, isAlways)
    configuration.loadOwner = { try Self.owner(file, always: always) }
    configuration.environment = context.environment
    let proxy = try ProxyChoice(setting: owner.proxy, environment: context.environment)
    // One that is none is told now, not by every attempt of the link.
    if let url = try? HTTPURL(network.url) { _ = try proxy.choose(for: url) }
    configuration.client.proxy = proxy
    configuration.workers.threads = try context.command.integer("threads", in: 1...256) ?? 0
    configuration.workers.slots = try context.command.integer("slots", in: 1...64) ?? 0
    return configuration
  }

  /// The command line that a service manager runs, with paths that hold anywhere.
  func serviceArguments() -> [String] {
    var arguments = ["node", "run", "--data", absolute(context.dataFolder)]
    arguments += ["--models", absolute(context.modelFolder)]
    for name in ["socket", "settings", "network"] {
      if let path = context.command.value(name) { arguments += ["--\(name)", absolute(path)] }
    }
    for name in ["model", "coordinator", "refuse"] {
      for value in context.command.all(name) { arguments += ["--\(name)", value] }
    }
    for name in ["threads", "slots", "log-level"] {
      if let value = context.command.value(name) { arguments += ["--\(name)", value] }
    }
    return arguments + (isAlways ? ["--always"] : [])
  }

  func absolute(_ path: String) -> String {
    path.hasPrefix("/") ? path : "\(context.environment["PWD"] ?? "")/\(path)"
  }
}

/// The client's half of a node's self-test, which the agent itself does not have.
struct SelfTestBySealing: NodeSelfTest {
  func run(
    _ manifest: ModelManifest, record: [UInt8],
    send: @Sendable ([UInt8]) async throws -> [UInt8]
  ) async throws -> Int {
    try await SealedSelfTest().run(manifest, record: record, send: send)
  }
}
