internal import BloomBase
internal import BloomNet
internal import BloomRecords

/// What `serve` was told by flags, environment and `settings.json5`.
struct ServeSettings: Sendable {
  let origin: String
  let listen: [HTTPServer.Listen]
  let tls: TLSServerConfiguration?
  let catalog: String?
  /// Which models clients are told of; `nil` where nobody said.
  let models: ManifestCatalog.Serving?
  let tier: BloomRecords.Tier
  let logLevel: LogLevel
  /// The PEM chain, when TLS is ended here.
  let certificatePath: String?
  let rates: RequestLimits.Rates
  let maxConnections: Int
  let maxConnectionsPerAddress: Int
  let hasPublicMetrics: Bool
  /// Threads of connections.
  let loops: Int
  /// How clients reach the network.
  let url: String
  let accounts: AccountPolicy
  let place: LedgerPlace

  /// Reads and checks.
  ///
  /// - Throws: `ConfigurationError`, `UsageError`, or what reading the file throws.
  init(
    _ command: ParsedCommand, _ environment: [String: String], _ folder: CoordinatorFolder
  ) throws {
    var flags = LedgerPlace.flags(command)
    let isPlaceFlag = !flags.isEmpty
    let listening = command.all("listen")
    if !listening.isEmpty { flags["listen"] = listening.joined(separator: ",") }
    for (flag, name) in [
      ("tls-certificate", "tls.certificate"), ("tls-key", "tls.key"), ("catalog", "catalog"),
      ("tier", "tier"), ("log", "log"),
    ] {
      if let value = command.value(flag) { flags[name] = value }
    }
    let values = try Configuration(
      known: CoordinatorProgram.settings, flags: flags, environment: environment,
      file: try folder.settings(), fileName: CoordinatorFolder.settingsName)
    place = try LedgerPlace(values, isFlag: isPlaceFlag)
    origin = try values.string("origin") ?? "darkbloom"
    try CoordinatorProgram.check(origin: origin)
    listen = try (values.strings("listen") ?? ["127.0.0.1:8640"]).map { try Self.listen($0) }
    certificatePath = try values.string("tls.certificate")
    switch (certificatePath, try values.string("tls.key")) {
    case (nil, nil): tls = nil
    case (let certificate?, let key?):
      tls = TLSServerConfiguration(identity: .files(certificate: certificate, key: key))
    default: throw ConfigurationError("tls.certificate and tls.key must be given together")
    }
    catalog = try values.string("catalog")
    let serving = try values.string("models")
    models = serving.flatMap { ManifestCatalog.Serving(rawValue: $0) }
    if serving != nil, models == nil { throw ConfigurationError("models must be listed or any") }
    let tierName = try values.string("tier") ?? "software"
    guard let tier = Self.tiers[tierName] else {
      throw ConfigurationError("tier must be software, paired, measured or hardware")
    }
    self.tier = tier
    guard let level = LogLevel(name: try values.string("log") ?? "info") else {
      throw ConfigurationError("log must be debug, info, warning or error")
    }
    logLevel = level
    var rates = RequestLimits.Rates()
    if let value = try values.integer("limits.account", in: 1...100_000) {
      rates.account = Double(value)
    }
    if let value = try values.integer("limits.address", in: 1...100_000) {
      rates.address = Double(value)
    }
    if let value = try values.integer("limits.registrations", in: 1...100_000) {
      rates.registrations = Double(value)
    }
    for text in try values.strings("proxies") ?? [] {
      guard let address = IPAddress(text) else {
        throw ConfigurationError("proxies must be IP addresses")
      }
      rates.proxies.insert(address)
    }
    self.rates = rates
    maxConnections = try values.integer("limits.connections", in: 16...1_000_000) ?? 50_000
    maxConnectionsPerAddress =
      try values.integer("limits.connections_per_address", in: 1...1_000_000) ?? 256
    loops = try values.integer("loops", in: 1...64) ?? 1
    switch try values.string("metrics") ?? "local" {
    case "local": hasPublicMetrics = false
    case "public": hasPublicMetrics = true
    default: throw ConfigurationError("metrics must be local or public")
    }
    url = try CoordinatorProgram.check(url: try values.string("url") ?? "https://\(origin)")
    guard let signUp = Accounts.SignUp(rawValue: try values.string("signup") ?? "invite") else {
      throw ConfigurationError("signup must be closed, invite or open")
    }
    accounts = AccountPolicy(
      signUp: signUp,
      openCredit: Micros(
        Int64(try values.integer("signup_credit", in: 0...1_000_000_000_000) ?? 0)))
  }

  private static let tiers: [String: BloomRecords.Tier] = [
    "software": .software, "paired": .paired, "measured": .measured, "hardware": .hardware,
  ]

  /// Reads `HOST:PORT`, `[ADDRESS]:PORT`, `:PORT` or `unix:PATH`.
  static func listen(_ text: String) throws -> HTTPServer.Listen {
    if text.hasPrefix("unix:/") { return .unix(path: String(text.dropFirst(5))) }
    guard let colon = text.lastIndex(of: ":"), let port = Int(text[text.index(after: colon)...]),
      (0...65_535).contains(port)
    else { throw ConfigurationError("listen must be HOST:PORT or unix:/PATH") }
    var host = text[..<colon]
    if host.hasPrefix("["), host.hasSuffix("]") { host = host.dropFirst().dropLast() }
    return .tcp(host: host.isEmpty ? "::" : String(host), port: port)
  }

  /// Throws unless only programs of this machine can connect.
  func checkLocal() throws {
    for place in listen {
      guard case .tcp(let host, _) = place else { continue }
      guard host == "localhost" || IPAddress(host)?.isLoopback == true else {
        throw ConfigurationError(
          "--local takes any machine that connects as your own: listen on 127.0.0.1 only")
      }
    }
  }

  /// Where this machine reaches the first place that is listened on.
  var ownURL: String {
    let scheme = tls == nil ? "http" : "https"
    guard case .tcp(let host, let port)? = listen.first else { return "http://localhost" }
    let isAny = IPAddress(host).map { $0.bytes.allSatisfy { $0 == 0 } } ?? false
    let name = isAny ? "localhost" : host.contains(":") ? "[\(host)]" : host
    return "\(scheme)://\(name):\(port)"
  }

  /// What clients of this machine connect to.
  func url(of address: SocketAddress) -> String {
    let scheme = tls == nil ? "http" : "https"
    guard case .ip(let ip, let port) = address, ip.bytes.allSatisfy({ $0 == 0 }) else {
      return address.port == nil ? "\(address)" : "\(scheme)://\(address)"
    }
    return "\(scheme)://localhost:\(port)"
  }
}
