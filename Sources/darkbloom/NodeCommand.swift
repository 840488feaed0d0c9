internal import BloomBase
internal import BloomModels
internal import BloomNet
internal import BloomNode
internal import BloomPlatform
internal import BloomWire

/// `darkbloom node`: serve this machine to the network, and ask it how it does.
struct NodeCommand {
  private static let socketOption = OptionSpec(
    "socket", value: "PATH", "the node's local socket, DATA/node.sock unless given")

  static let spec = CommandSpec(
    "node", "serve this machine to the network",
    subcommands: [
      CommandSpec(
        "run", "serve until stopped",
        options: [
          CommandContext.data, CommandContext.models, CommandContext.logLevel, socketOption,
          OptionSpec(
            "network", value: "FILE", "the network to serve, DATA/network.json unless given"),
          OptionSpec("model", value: "NAME", "a model of the store to serve", repeats: true),
          OptionSpec("threads", value: "N", "compute threads of each worker"),
          OptionSpec("slots", value: "N", "requests at once for each model"),
          RefusalOption.spec,
        ],
        examples: [
          .init("darkbloom node run --model qwen3-8b", "serve one model"),
          .init("darkbloom node run --refuse tools --refuse media", "serve plain text only"),
        ]),
      CommandSpec(
        "status", "what the node does and why",
        options: [CommandContext.data, socketOption, .json]),
      CommandSpec(
        "pause", "take no new work until resumed", options: [CommandContext.data, socketOption]),
      CommandSpec("resume", "serve again", options: [CommandContext.data, socketOption]),
    ])

  private let context: CommandContext

  init(_ context: CommandContext) { self.context = context }

  func run() async throws -> ExitCode {
    switch context.command.path.last {
    case "run": return try await serve()
    case "status": return try await ask(.status)
    case "pause": return try await ask(.pause)
    case "resume": return try await ask(.resume)
    default: throw UsageError("choose one of run, status, pause, resume")
    }
  }

  private var socket: String {
    context.command.value("socket") ?? "\(context.dataFolder)/node.sock"
  }

  private func serve() async throws -> ExitCode {
    let data = context.dataFolder
    try PrivateFile.makeFolder(data)
    let network = try JoinedNetwork(
      path: context.command.value("network") ?? "\(data)/network.json")
    let store = try ModelStore(root: context.modelFolder)
    let names = context.command.all("model")
    let manifests =
      names.isEmpty ? try store.list() : try names.map { try store.manifest(named: $0) }
    let models = try manifests.map { manifest in
      try NodeModel(manifest: manifest, paths: manifest.files.map { store.path(of: $0) })
    }
    var configuration = NodeService.Configuration(
      dataFolder: data, coordinators: [network.url], models: models)
    configuration.consoleSocket = socket
    configuration.workers.threads = try context.command.integer("threads", in: 1...256) ?? 0
    configuration.workers.slots = try context.command.integer("slots", in: 1...64) ?? 0
    configuration.refusals = try RefusalOption.policy(context.command.all("refuse"))
    let service = NodeService(configuration: configuration, log: context.log("node"))
    let shutdown = ShutdownSignal()
    ParentWatch.start(context.environment) { ParentWatch.terminate() }
    try await shutdown.run { try await service.run() }
    return .done
  }

  private func ask(_ call: NodeConsoleClient.Call) async throws -> ExitCode {
    let answer = try await NodeConsoleClient(socket: socket).ask(call)
    print(String(decoding: answer.encoded, as: UTF8.self))
    return .done
  }
}
