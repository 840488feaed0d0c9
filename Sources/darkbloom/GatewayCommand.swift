internal import BloomBase
internal import BloomClient
internal import BloomCrypto
internal import BloomGateway
internal import BloomNet
internal import BloomPlatform
internal import BloomRecords

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
        "tier", value: "TIER",
        "the weakest evidence a machine must have, if stronger than the policy's",
        choices: ["software", "paired", "measured", "hardware"]),
      OptionSpec("candidates", value: "N", "machines of each sealed request, 1 to 4"),
      keepContent,
      OptionSpec(
        "exact",
        "replay what was delivered when an answer goes on elsewhere, so that its text is the same",
        environment: "DARKBLOOM_EXACT"),
      OptionSpec(
        "node-socket", value: "PATH",
        "the socket of this device's node, DATA/node.sock unless given"),
    ],
    examples: [.init("darkbloom gateway --tier hardware", "only machines proven by hardware")])

  private let context: CommandContext

  init(_ context: CommandContext) { self.context = context }

  func run() async throws -> ExitCode {
    let data = context.dataFolder
    try PrivateFile.makeFolder(data)
    let port = try context.command.integer("port", in: 0...65_535) ?? 8642
    let service = try inference(data)
    let token = try LocalToken.read(data)
    let gateway = GatewayService(
      listen: [.tcp(host: "127.0.0.1", port: port), .tcp(host: "::1", port: port)],
      access: LocalAccess(token: token), service: service)
    let shutdown = ShutdownSignal()
    ParentWatch.start(context.environment) { ParentWatch.terminate() }
    try await shutdown.run { try await gateway.run() }
    return .done
  }

  private func inference(_ data: String) throws -> PrivateInference {
    let tiers: [String: Tier] = [
      "software": .software, "paired": .paired, "measured": .measured, "hardware": .hardware,
    ]
    var policy = try PolicyCommand.read(context)
    if let tier = context.command.value("tier").flatMap({ tiers[$0] }) {
      policy.minimumTier = max(policy.minimumTier, tier)
    }
    let http = HTTPClient()
    let view = NetworkView(
      remote: try remote(data, policy, http),
      local: LocalNode(
        socket: context.command.value("node-socket") ?? "\(data)/node.sock", http: http,
        time: SystemTime()),
      policy: policy, time: SystemTime(), log: context.log("gateway"))
    let shelf = try ReceiptShelf(folder: "\(data)/receipts")
    var configuration = PrivateInference.Configuration()
    configuration.candidates = try context.command.integer("candidates", in: 1...4) ?? 2
    configuration.keepsContent = context.command.has("keep-content")
    configuration.continuesExactly = context.command.has("exact")
    return PrivateInference(
      configuration: configuration, network: view, time: SystemTime(), keep: { shelf.keep($0) })
  }

  /// The network this device joined; `nil` when there is none and the user wants this device alone.
  private func remote(
    _ data: String, _ policy: PlacementPolicy, _ http: HTTPClient
  ) throws -> NetworkView.Remote? {
    if policy.places == [.device] { return nil }
    let network = try JoinedNetwork(
      path: context.command.value("network") ?? "\(data)/network.json")
    return NetworkView.Remote(
      coordinator: CoordinatorClient(base: network.url, apiKey: network.apiKey, http: http),
      verifier: try DirectoryVerifier(
        origin: network.origin, key: network.logKey,
        maximumAgeSeconds: policy.freshnessSeconds))
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
