package import BloomBase
internal import BloomCrypto
internal import BloomHTTP
internal import BloomLedger
internal import BloomNet
internal import BloomPlatform
internal import BloomRecords
internal import BloomStore

/// The program `darkbloom-coordinator`: command line in, exit code out.
package enum CoordinatorProgram: Sendable {
  /// The program's version.
  package static let version = "1.0.0"

  /// Runs one command to its end.
  ///
  /// - Parameters:
  ///   - arguments: Without the program's name.
  ///   - environment: The process's environment.
  /// - Returns: The code to exit with; errors have been written to standard error.
  package static func run(
    _ arguments: [String], environment: [String: String]
  ) async -> ExitCode {
    do {
      switch try CommandParser.parse(
        arguments, environment: environment, spec, version: "\(spec.name) \(version)")
      {
      case .print(let text): print(text)
      case .run(let command):
        let isWell = try await run(command, environment)
        ProcessEnvironment.flush()
        return isWell ? .done : .failed
      }
      return .done
    } catch let error as PrivateFile.Failure {
      // Its text names a path: for whoever typed the command, not for a log.
      ProcessEnvironment.complain("\(spec.name): \(error)")
      return .failed
    } catch {
      ProcessEnvironment.complain("\(spec.name): \(error.safeDescription)")
      return code(of: error)
    }
  }

  private static func code(of error: any Error) -> ExitCode {
    switch error {
    case is UsageError: .badUsage
    case is ConfigurationError: .badConfiguration
    case is AdminUnavailable: .unavailable
    case let error as NetError where error.code == .listenFailed: .unavailable
    case let error as NetError where error.code == .badCertificate: .badConfiguration
    case CoordinatorFolder.Problem.notInitialised, CoordinatorFolder.Problem.alreadyInitialised,
      CoordinatorFolder.Problem.noLedger, CoordinatorFolder.Problem.ledgerTaken:
      .badConfiguration
    case CoordinatorFolder.Problem.inUse: .tryAgain
    case let error as StoreError where error.code == .unavailable: .tryAgain
    // Of two coordinators on the same books the older one must not be started again.
    case let error as StoreError where error.code == .refused || error.code == .deposed:
      .badConfiguration
    default: .failed
    }
  }

  private static func run(
    _ command: ParsedCommand, _ environment: [String: String]
  ) async throws -> Bool {
    guard let path = command.value("data") else {
      throw UsageError("--data is needed: the folder of this coordinator")
    }
    let makes =
      ["init", "restore"].contains(command.path.first) || command.has("local")
    // A mistyped name must not leave an empty folder behind.
    let folder = try makes ? CoordinatorFolder(path) : CoordinatorFolder(existing: path)
    if let isWell = try await OperatorCommands.run(command, environment, folder) { return isWell }
    switch command.path.first {
    case "init": try await Initialisation(folder, command, environment).run()
    case "admin": try await AdminCommand.run(command, folder)
    default: try await serve(folder, command, environment)
    }
    return true
  }

  static func check(origin: String) throws {
    guard ShortName(origin) != nil else {
      throw UsageError("--origin must be 1…48 characters of a-z A-Z 0-9 . _ : / -")
    }
  }

  /// A base URL without a slash at its end.
  static func check(url: String) throws -> String {
    let base = url.hasSuffix("/") ? String(url.dropLast()) : url
    guard let parsed = try? HTTPURL(base), parsed.scheme == .http || parsed.scheme == .https,
      parsed.target.text == "/"
    else { throw UsageError("the URL must be https://HOST or http://HOST:PORT, without a path") }
    return base
  }

  private static func account(_ name: String) -> AccountID {
    guard let account = AccountID(name) else { fatalError("not an account name: \(name)") }
    return account
  }

  static let admin = account("admin")
  static let local = account("local")
  /// What the account of one's own machine may spend: its work is its own, so it is never short.
  static let localCredit = Micros(1_000_000_000_000)

  // MARK: serve

  private static func serve(
    _ folder: CoordinatorFolder, _ command: ParsedCommand, _ environment: [String: String]
  ) async throws {
    let isLocal = command.has("local")
    let key: SigningKey
    do {
      key = try folder.logKey()
    } catch CoordinatorFolder.Problem.notInitialised where isLocal {
      key = try folder.initialise(origin: "local")
    }
    let settings = try ServeSettings(command, environment, folder)
    let lock = try await lock(folder)
    defer { withExtendedLifetime(lock) {} }
    if isLocal { try settings.checkLocal() }
    let log = Log("coordinator", minimum: settings.logLevel, sink: StandardErrorLog())
    let leafLog = LeafLog(folder.folder)
    let leaves = try await leafLog.load()
    if !isLocal { try folder.checkLedger(settings.place) }
    let store = try await folder.openStore(settings.place)
    let apiKey = isLocal ? try await localKey(folder, store) : nil
    if !isLocal, store.read({ $0.prices.version }) == 0 {
      log.warning("no price is set, every answer is free: darkbloom-coordinator admin prices set")
    }
    let catalog = ManifestCatalog(
      folder: try PrivateFolder(making: settings.catalog ?? folder.folder.path),
      // The owner of the one machine is the operator.
      serving: settings.models ?? (isLocal ? .any : .listed))
    catalog.reload()
    var configuration = CoordinatorService.Configuration(
      listen: settings.listen, tls: settings.tls, origin: settings.origin,
      minimumTier: settings.tier)
    configuration.rates = settings.rates
    configuration.scratch = folder.folder
    configuration.maxConnections = settings.maxConnections
    configuration.maxConnectionsPerAddress = settings.maxConnectionsPerAddress
    configuration.hasPublicMetrics = settings.hasPublicMetrics
    configuration.accounts = settings.accounts
    configuration.url = settings.url
    let socket = folder.folder.path(of: AdminCommand.socketName)
    if socket.utf8.count <= AdminCommand.socketPathMax {
      configuration.adminSocket = socket
    } else {
      log.warning("no admin socket: the data folder's path is too long for one")
    }
    if isLocal {
      configuration.defaultOwner = local
      configuration.nodesNeedKey = true
    }
    let service = CoordinatorService(
      configuration: configuration, store: store, logKey: key, leaves: leaves, leafLog: leafLog,
      catalog: catalog, log: log, loops: EventLoopGroup(count: settings.loops))
    ParentWatch.start(environment) { ParentWatch.terminate() }
    do {
      try await ShutdownSignal().run {
        try await serve(service) { addresses in
          // `darkbloom up` says itself that it starts one.
          for address in addresses where environment["DARKBLOOM_PARENT"] == nil {
            ProcessEnvironment.complain("\(spec.name): listening on \(settings.url(of: address))")
          }
          guard let apiKey, let first = addresses.first else { return }
          try folder.write(
            CoordinatorFolder.Notice(
              origin: settings.origin, logKey: key.verifyingKey.bytes, apiKey: apiKey,
              url: settings.url(of: first)))
        }
      }
    } catch {
      await store.close()
      throw error
    }
    await store.close()
    log.info("stopped")
  }

  /// Takes the folder for this process; waits for one that is just ending.
  private static func lock(_ folder: CoordinatorFolder) async throws -> FolderLock {
    for _ in 0..<100 {
      if let lock = try FolderLock(folder: folder.folder.path) { return lock }
      try await EventLoopGroup.shared.next().sleep(for: .milliseconds(100))
    }
    throw CoordinatorFolder.Problem.inUse
  }

  /// Runs a service and says where it listens.
  private static func serve(
    _ service: CoordinatorService, _ announce: @Sendable ([SocketAddress]) throws -> Void
  ) async throws {
    let running = Task { try await service.run() }
    try await withTaskCancellationHandler {
      // When it cannot listen, `run` says why.
      if let addresses = try? await service.server.boundAddresses() { try announce(addresses) }
      try await running.value
    } onCancel: {
      running.cancel()
    }
  }

  /// The key of the account `local`, the one of before if it is still good.
  private static func localKey(
    _ folder: CoordinatorFolder, _ store: LedgerStore
  ) async throws -> String {
    let accounts = Accounts(store: store)
    let now = SystemTime().unixTime()
    try await accounts.ensure(local, name: "this machine", credit: localCredit, now: now)
    if let known = folder.notice()?.apiKey,
      accounts.account(authorization: "Bearer \(known)", now: now) == local
    {
      return known
    }
    return try await accounts.addKey(
      for: local, name: "local", managesAccount: true, now: now
    ).text
  }
}
