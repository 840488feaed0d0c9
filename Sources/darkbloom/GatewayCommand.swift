internal import BloomBase
internal import BloomClient
internal import BloomCrypto
internal import BloomGateway
internal import BloomNet
internal import BloomPlatform
internal import BloomRecords
internal import BloomSeal
internal import BloomWire

/// `darkbloom gateway`: the local OpenAI endpoint.
struct GatewayCommand {
  static let port = OptionSpec(
    "port", value: "PORT", "where programs connect, 8642 unless given",
    environment: "DARKBLOOM_GATEWAY_PORT")

  static let keepContent = OptionSpec(
    "keep-content", "keep prompts and answers beside their receipts, for darkbloom verify")

  static let exact = OptionSpec(
    "exact",
    "replay what was delivered when an answer goes on elsewhere, so that its text is the same")

  static let config = OptionSpec(
    "config", value: "FILE", "the settings, gateway.json5 in the configuration folder unless given",
    environment: "DARKBLOOM_GATEWAY_CONFIG")

  static let spec = CommandSpec(
    "gateway", "serve OpenAI programs of this device, sealing what leaves it",
    discussion: """
      Settings come from the first place that has them: an option, DARKBLOOM_GATEWAY_ and the setting's \
      name in the environment, gateway.json5, the default. docs/api.md lists them; a package \
      installs it in /usr/share/doc/darkbloom.
      """,
    subcommands: [runSpec, GatewayKeysCommand.spec], defaultSubcommand: "run")

  static let runSpec = CommandSpec(
    "run", "serve until stopped",
    options: [
      CommandContext.data, port, config, CommandContext.logLevel,
      OptionSpec("network", value: "FILE", "the network to use, DATA/network.json unless given"),
      OptionSpec(
        "tier", value: "TIER",
        "the weakest evidence a machine must have, if stronger than the policy's",
        choices: ["software", "paired", "measured", "hardware"]),
      OptionSpec(
        "pool", value: "POOL", "only machines of this pool of yours, or none for the whole network"),
      OptionSpec("candidates", value: "N", "machines of each sealed request, 1 to 4"),
      keepContent, exact,
      OptionSpec(
        "node-socket", value: "PATH",
        "the socket of this device's node, DATA/node.sock unless given"),
    ],
    examples: [.init("darkbloom gateway --tier hardware", "only machines proven by hardware")])

  /// The gateway's settings: option, environment, file, default.
  static func settings(_ context: CommandContext) throws -> GatewaySettings {
    let command = context.command
    // Checked as an option first, so that errors name the option.
    var flags: [String: String] = [:]
    if let port = try command.integer("port", in: 0...65_535) { flags["port"] = "\(port)" }
    if let count = try command.integer("candidates", in: 1...4) {
      flags["candidates"] = "\(count)"
    }
    flags["network"] = command.value("network")
    for name in ["keep-content", "exact"] where command.has(name) { flags[name] = "true" }
    let named = command.value("config")
    let path = named ?? "\(context.folders.configuration)/gateway.json5"
    let bytes = try PrivateFile.read(path)
    if let named, bytes == nil { throw ConfigurationError("\(named) does not exist") }
    return try GatewaySettings(
      flags: flags, environment: context.environment,
      file: bytes.map { String(decoding: $0, as: UTF8.self) }, fileName: path)
  }

  private let context: CommandContext

  init(_ context: CommandContext) { self.context = context }

  func run() async throws -> ExitCode {
    if context.command.path.contains("keys") { return try GatewayKeysCommand(context).run() }
    let data = context.dataFolder
    try PrivateFile.makeFolder(data)
    let settings = try Self.settings(context)
    let files = GatewayFiles(folder: data)
    let book = try files.book()
    try settings.check(hasKeys: !book.entries.isEmpty)
    let own = AccessKey(name: nil, token: try LocalToken.read(data))
    let time = SystemTime()
    let keys = AccessKeys(
      [own] + book.keys, usage: try files.usage(at: time.unixTime()), time: time)
    let tap = WireTap(time: time)
    let shelf = try ReceiptShelf(folder: "\(data)/receipts", log: context.log("receipts"))
    let gateway = GatewayService(
      settings: settings,
      access: LocalAccess(hosts: settings.hosts, origins: settings.origins, keys: keys),
      service: try following(data, settings, shelf, keys, tap), tap: tap)
    let keeper = KeyKeeper(files: files, own: own, keys: keys, log: context.log("gateway"))
    let shutdown = ShutdownSignal()
    ParentWatch.start(context.environment) { ParentWatch.terminate() }
    let keeping = Task { await keeper.run() }
    defer { keeping.cancel() }
    let telling = Task { await tell(gateway, settings) }
    defer { telling.cancel() }
    do {
      try await shutdown.run { try await gateway.run() }
    } catch {
      await shelf.drain()
      keeper.keep()
      throw error
    }
    // What was answered last is still on its way to the disk.
    await shelf.drain()
    keeper.keep()
    return .done
  }

  /// Says where programs connect, unless `darkbloom up` says it.
  private func tell(_ gateway: GatewayService, _ settings: GatewaySettings) async {
    // A gateway that cannot listen ends with its own message.
    guard context.environment["DARKBLOOM_PARENT"] == nil,
      let addresses = try? await gateway.server.boundAddresses(), !addresses.isEmpty
    else { return }
    let base = "\(settings.scheme)://localhost:\(settings.port)/v1"
    ProcessEnvironment.complain(
      "· programs connect to \(base), with what this prints: darkbloom env; Ctrl-C stops")
  }

  /// What `darkbloom policy`, `pair` and `join` change counts at once.
  private func following(
    _ data: String, _ settings: GatewaySettings, _ shelf: ReceiptShelf, _ keys: AccessKeys,
    _ tap: WireTap
  ) throws -> FollowingService {
    let files = [PolicyCommand.path(context), Self.networkPath(data, settings)]
    let http = context.webClient()
    return try FollowingService(
      stamp: {
        files.flatMap { file in
          guard let bytes = try? PrivateFile.read(file) else { return [] as [UInt8] }
          return SHA256.digest(bytes).bytes
        }
      },
      make: { try inference(data, settings, http, shelf, keys, tap) })
  }

  private static func networkPath(_ data: String, _ settings: GatewaySettings) -> String {
    settings.network ?? "\(data)/network.json"
  }

  private func inference(
    _ data: String, _ settings: GatewaySettings, _ http: HTTPClient, _ shelf: ReceiptShelf,
    _ keys: AccessKeys, _ tap: WireTap
  ) throws -> PrivateInference {
    let tiers: [String: Tier] = [
      "software": .software, "paired": .paired, "measured": .measured, "hardware": .hardware,
    ]
    var policy = try PolicyCommand.read(context)
    if let tier = context.command.value("tier").flatMap({ tiers[$0] }) {
      policy.minimumTier = max(policy.minimumTier, tier)
    }
    let view = NetworkView(
      remotes: try remotes(Self.networkPath(data, settings), &policy, http, tap),
      local: LocalNode(
        socket: context.command.value("node-socket") ?? "\(data)/node.sock", http: http,
        time: SystemTime()),
      memory: LogMemory(folder: "\(data)/logs"), policy: policy, time: SystemTime(),
      log: context.log("gateway"))
    var configuration = PrivateInference.Configuration()
    configuration.candidates = settings.candidates
    configuration.keepsContent = settings.keepsContent
    configuration.timeouts.total = .seconds(settings.answerSeconds)
    configuration.continuesExactly = settings.continuesExactly
    return PrivateInference(
      configuration: configuration, network: view, time: SystemTime(),
      keep: { receipt in
        if let cost = receipt.file.cost { keys.booked(cost, answer: receipt.answer.description) }
        await shelf.keep(receipt)
      })
  }

  /// The directories to draw from; none when the user wants this device alone.
  ///
  /// A pool named here, or by the link that this device joined with, is the only place beside this
  /// device. One that the policy names comes before the network.
  private func remotes(
    _ path: String, _ policy: inout PlacementPolicy, _ http: HTTPClient, _ tap: WireTap
  ) throws -> [NetworkView.Remote] {
    if policy.places == [.device] { return [] }
    let network = try JoinedNetwork(path: path)
    let named = context.command.value("pool") ?? network.pool
    if let named, named != "none" { policy = policy.within(pool: named) }
    if named == "none" { policy.pool = nil }
    var directories: [String?] = []
    if let pool = policy.pool, policy.places.contains(.pool) { directories.append(pool) }
    if policy.places.contains(where: { $0 == .paired || $0 == .public }) { directories.append(nil) }
    guard !directories.isEmpty else {
      throw ConfigurationError(
        "the policy uses only a pool's machines and names no pool; run: darkbloom policy set pool NAME"
      )
    }
    let key = try network.requireKey()
    return try directories.map { pool in
      NetworkView.Remote(
        coordinator: CoordinatorClient(
          base: network.url, apiKey: key, pool: pool, http: http, tap: tap),
        verifier: try DirectoryVerifier(
          origin: pool.map { PoolName.origin(of: $0, in: network.origin) } ?? network.origin,
          key: network.logKey, maximumAgeSeconds: policy.freshnessSeconds))
    }
  }
}

/// The bearer token of the local gateway: programs of this user know it, web pages do not.
enum LocalToken {
  /// The token of a data folder; made, with the folder, when there is none.
  static func read(_ data: String) throws -> String {
    if let token = try existing(data) { return token }
    let path = "\(data)/gateway-token"
    try PrivateFile.makeFolder(data)
    let token = "local-" + Base64.encode(SecureRandom.bytes(24), .url)
    try PrivateFile.write(Array(token.utf8), to: path)
    return token
  }

  /// The token of a data folder; `nil` when no gateway has run with it.
  static func existing(_ data: String) throws -> String? {
    try PrivateFile.read("\(data)/gateway-token", limitBytes: 256).map {
      String(decoding: $0, as: UTF8.self)
    }
  }
}
