internal import BloomBase
internal import BloomClient
internal import BloomCrypto
internal import BloomGateway
internal import BloomNet
internal import BloomPlatform
internal import BloomRecords
internal import BloomWire

/// `darkbloom gateway`: the local OpenAI endpoint.
struct GatewayCommand {
  static let port = OptionSpec(
    "port", value: "PORT", "where programs connect, 8642 unless given",
    environment: "DARKBLOOM_GATEWAY_PORT")

  static let keepContent = OptionSpec(
    "keep-content", "keep prompts and answers beside their receipts, for darkbloom verify",
    environment: "DARKBLOOM_KEEP_CONTENT")

  static let spec = CommandSpec(
    "gateway", "serve OpenAI programs of this device, sealing what leaves it",
    options: [
      CommandContext.data, port, CommandContext.logLevel,
      OptionSpec("network", value: "FILE", "the network to use, DATA/network.json unless given"),
      OptionSpec(
        "tier", value: "TIER", "the weakest evidence a machine must have",
        choices: ["software", "paired", "measured", "hardware"]),
      OptionSpec(
        "pool", value: "POOL", "only machines of this pool of yours, or none for the whole network"),
      OptionSpec("candidates", value: "N", "machines of each sealed request, 1 to 4"),
      keepContent,
    ],
    examples: [.init("darkbloom gateway --tier hardware", "only machines proven by hardware")])

  private let context: CommandContext

  init(_ context: CommandContext) { self.context = context }

  func run() async throws -> ExitCode {
    let data = context.dataFolder
    try PrivateFile.makeFolder(data)
    let network = try JoinedNetwork(
      path: context.command.value("network") ?? "\(data)/network.json")
    let port = try context.command.integer("port", in: 0...65_535) ?? 8642
    let service = try inference(network, data)
    let token = try LocalToken.read(data)
    let gateway = GatewayService(
      listen: [.tcp(host: "127.0.0.1", port: port), .tcp(host: "::1", port: port)],
      access: LocalAccess(token: token), service: service)
    let shutdown = ShutdownSignal()
    ParentWatch.start(context.environment) { ParentWatch.terminate() }
    try await shutdown.run { try await gateway.run() }
    return .done
  }

  private func inference(_ network: JoinedNetwork, _ data: String) throws -> PrivateInference {
    let tiers: [String: Tier] = [
      "software": .software, "paired": .paired, "measured": .measured, "hardware": .hardware,
    ]
    let http = HTTPClient()
    let asked = context.command.value("pool") ?? network.pool
    let pool = asked == "none" ? nil : asked
    let coordinator = CoordinatorClient(
      base: network.url, apiKey: try network.requireKey(), pool: pool, http: http)
    let origin = pool.map { PoolName.origin(of: $0, in: network.origin) } ?? network.origin
    let view = NetworkView(
      coordinator: coordinator,
      verifier: try DirectoryVerifier(origin: origin, key: network.logKey),
      policy: TierPolicy(minimum: tiers[context.command.value("tier") ?? "software"] ?? .hardware),
      time: SystemTime(), log: context.log("gateway"))
    let shelf = try ReceiptShelf(folder: "\(data)/receipts")
    var configuration = PrivateInference.Configuration()
    configuration.candidates = try context.command.integer("candidates", in: 1...4) ?? 2
    configuration.keepsContent = context.command.has("keep-content")
    configuration.constraints.pool = pool
    return PrivateInference(
      configuration: configuration, network: view, coordinator: coordinator, time: SystemTime(),
      keep: { shelf.keep($0) })
  }
}

/// The bearer token of the local gateway: programs of this user know it, web pages do not.
enum LocalToken {
  static func read(_ data: String) throws -> String {
    let path = "\(data)/gateway-token"
    if let bytes = try PrivateFile.read(path, limitBytes: 256) {
      return String(decoding: bytes, as: UTF8.self)
    }
    let token = "local-" + Base64.encode(SecureRandom.bytes(24), .url)
    try PrivateFile.write(Array(token.utf8), to: path)
    return token
  }
}
