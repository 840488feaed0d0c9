package import BloomCrypto
package import BloomBase
package import BloomPlatform
internal import BloomHTTP
package import BloomNet
package import BloomRecords
internal import BloomSchedule
package import BloomStore
internal import BloomWire
internal import BloomLedger

/// The coordinator as a service: routes over one hub, publishing and housekeeping beside it.
package struct CoordinatorService: Sendable {
  /// What an operator decides.
  package struct Configuration: Sendable {
    /// Where to listen.
    package var listen: [HTTPServer.Listen]
    /// Certificate and key; `nil` for plain HTTP behind a proxy or on loopback.
    package var tls: TLSServerConfiguration?
    /// The log's name: the first line of its checkpoints, for example the network's host name.
    package var origin: String
    /// The weakest evidence that the network takes.
    package var minimumTier: BloomRecords.Tier
    /// The owner of machines that nobody enrolled; `nil` refuses them.
    ///
    /// For one's own network only.
    package var defaultOwner: AccountID?
    /// How long answers may go on after the first sign to stop.
    package var drain: Duration
    /// Bytes of envelopes held at once.
    package var envelopeBytes: Int
    /// Bytes of directory answers under way at once.
    package var directoryBytes = 256 << 20
    /// What one account and one address may ask.
    package var rates = RequestLimits.Rates()
    /// Connections at most, nodes and clients together.
    package var maxConnections = 50_000
    /// Connections of one address (IPv6: /64) at most.
    ///
    /// Not for loopback.
    package var maxConnectionsPerAddress = 256
    /// Where node records are kept while their machines are connected; `nil` for memory.
    package var scratch: PrivateFolder?
    /// Whether `/metrics` answers other machines than this one.
    package var hasPublicMetrics = false
    /// Whether machines must show a key of ``defaultOwner`` when they connect.
    package var nodesNeedKey = false
    /// Who may make an account.
    package var accounts = AccountPolicy()
    /// How long codes of devices last and how many may wait.
    package var enrolment = Enrolment.Limits()
    /// The operator's local socket; none when `nil`.
    package var adminSocket: String?
    /// How clients reach the network, for links: `https://HOST`.
    package var url = "https://localhost"

    /// Creates a configuration; the defaults are for a public network.
    package init(
      listen: [HTTPServer.Listen] = [.tcp(port: 8640)], tls: TLSServerConfiguration? = nil,
      origin: String = "darkbloom", minimumTier: BloomRecords.Tier = .software,
      defaultOwner: AccountID? = nil, drain: Duration = .seconds(30),
      envelopeBytes: Int = 512 << 20
    ) {
      self.listen = listen
      self.tls = tls
      self.origin = origin
      self.minimumTier = minimumTier
      self.defaultOwner = defaultOwner
      self.drain = drain
      self.envelopeBytes = envelopeBytes
    }
  }

  private let configuration: Configuration
  private let store: LedgerStore
  private let log: Log
  private let time: any TimeSource
  private let loops: EventLoopGroup
  /// What is counted.
  package let metrics: CoordinatorMetrics
  /// The routes, for the test that compares them with their description.
  package let router: Router
  /// The live state, for admin commands and tests.
  package let hub: Hub
  /// The server, for its bound addresses.
  package let server: HTTPServer
  /// Pools and their members.
  package let pools: Pools
  /// Devices and machines on their way into accounts.
  package let enrolment: Enrolment
  private let admin: HTTPServer?
  private let stopSwitch: StopSwitch

  /// Builds the service; nothing is opened before ``run()``.
  ///
  /// - Parameters:
  ///   - configuration: What the operator decided.
  ///   - store: The ledger and the tables, open.
  ///   - logKey: The directory log's Ed25519 key.
  ///   - leaves: What ``LeafLog/load()`` gave.
  ///   - leafLog: Where further leaves are kept; `nil` for a log that ends with the process.
  ///   - catalog: Model manifests that clients may fetch by digest.
  ///   - log: Where events go; never content, never addresses.
  ///   - time: The machine's clocks, or a test's.
  ///   - loops: Where connections live.
  package init(
    configuration: Configuration, store: LedgerStore, logKey: SigningKey,
    leaves: [Digest] = [], leafLog: LeafLog? = nil, catalog: ManifestCatalog, log: Log,
    time: any TimeSource = SystemTime(),
    loops: EventLoopGroup = .shared
  ) {
    self.configuration = configuration
    self.store = store
    self.log = log
    self.time = time
    self.loops = loops
    let fallback = configuration.defaultOwner.map { NodeMembership(owner: $0) }
    let pools = Pools(store: store, time: time)
    self.pools = pools
    let membership: @Sendable (NodeID) -> NodeMembership? = {
      pools.membership(of: $0) ?? fallback
    }
    let appraiser = RecordAppraiser(
      policy: TierPolicy(minimum: configuration.minimumTier),
      shelf: RecordShelf(folder: configuration.scratch), membership: membership)
    enrolment = Enrolment(
      store: store, pools: pools, logKey: logKey.verifyingKey.bytes, time: time,
      limits: configuration.enrolment)
    var random = SecureRandom()
    let metrics = CoordinatorMetrics()
    self.metrics = metrics
    hub = Hub(
      loop: loops.loops[0], time: time, store: store, appraiser: appraiser,
      directory: Directory(origin: configuration.origin, signer: logKey, leaves: leaves),
      leafLog: leafLog, pools: pools, catalog: catalog, log: log, metrics: metrics,
      seed: random.next())
    let limits = RequestLimits(configuration.rates, time: time, metrics: metrics)
    let accountRoutes = AccountRoutes(
      hub: hub, store: store, accounts: Accounts(store: store), pools: pools,
      enrolment: enrolment, policy: configuration.accounts, membership: membership, time: time,
      answers: AnswerBudget(
        limit: configuration.directoryBytes, limits: limits, metrics: metrics))
    let stopSwitch = StopSwitch()
    self.stopSwitch = stopSwitch
    let place = (configuration.url, configuration.origin, logKey.verifyingKey.bytes)
    admin = configuration.adminSocket.map { path in
      let routes = AdminRoutes(
        account: accountRoutes, time: time, startedAt: time.now(), stop: stopSwitch
      ) { code, isForMachine in
        NetworkLink(
          url: place.0, origin: place.1, logKey: place.2, invite: code, isForMachine: isForMachine
        ).text
      }
      var router = routes.router()
      MoneyAdminRoutes(
        desk: MoneyDesk(store: store, catalog: catalog, time: time),
        accounts: accountRoutes.accounts, key: logKey.verifyingKey
      ).add(to: &router)
      CatalogAdminRoutes(catalog: catalog).add(to: &router)
      return HTTPServer(
        HTTPServer.Configuration(.unix(path: path)), group: loops, responder: router)
    }
    var server = HTTPServer.Configuration()
    server.listen = configuration.listen
    server.tls = configuration.tls
    server.maxConnections = configuration.maxConnections
    server.maxConnectionsPerAddress = configuration.maxConnectionsPerAddress
    server.timeouts.body = .seconds(10)
    server.onBadCertificate = { error in
      log.warning("the renewed certificate cannot be used", ["reason": .error(error)])
    }
    // The server is made with its router, and one of its routes tells of the server.
    let counts = Locked<(@Sendable () -> (open: Int, refused: Int))?>(nil)
    router = Self.router(
      hub, store, catalog, configuration, accountRoutes, time, metrics, limits
    ) { counts.withLock { $0 }?() ?? (0, 0) }
    let made = HTTPServer(server, group: loops, responder: router)
    counts.withLock {
      $0 = { [weak made] in (made?.connectionCount ?? 0, made?.refusedConnectionCount ?? 0) }
    }
    self.server = made
  }

  /// Serves until cancelled; then drains: running answers end, nodes are told to come back.
  ///
  /// - Throws: `NetError` when an address cannot be listened on,
  ///   `StoreError` when the database was taken over by another coordinator or is damaged.
  package func run() async throws {
    try await hub.recoverSpending()
    await hub.restoreAnswers()
    await hub.publishDirectory()
    // Tasks of their own: the caller's cancellation begins the drain, in which both go on.
    let serving = Task { try await server.run() }
    let keeping = Task { try await keepHouse() }
    defer { keeping.cancel() }
    stopSwitch.set { Task { await drain(serving) } }
    let lost = watchStore()
    let administering = Task { try await administer(serving) }
    // Also when the service never began: its socket must not outlive it.
    defer { administering.cancel() }
    try await withTaskCancellationHandler {
      try await serving.value
    } onCancel: {
      Task { await drain(serving) }
    }
    administering.cancel()
    // Without its socket the service ended itself: that is the error to tell.
    if case .failure(let error) = await administering.result, !(error is CancellationError) {
      throw error
    }
    if let lost = lost.withLock({ $0 }) { throw lost }
  }

  /// Says when the database is lost and when it is back, and ends the service when it will not be.
  ///
  /// - Returns: Why it was ended; `nil` while it was not.
  private func watchStore() -> Locked<StoreError?> {
    let lost = Locked<StoreError?>(nil)
    store.observe { [log, metrics, stopSwitch] trouble in
      metrics.storeUp.set(trouble == nil ? 1 : 0)
      guard let trouble else { return log.warning("the database is back") }
      guard trouble.isCurable else {
        log.error("the database is lost for good", ["reason": .error(trouble)])
        lost.withLock { $0 = trouble }
        return stopSwitch.stop()
      }
      log.error(
        "the database is lost: nothing new is taken until it is back", ["reason": .error(trouble)])
    }
    return lost
  }

  /// What begins the drain from the operator's socket.
  final class StopSwitch: Sendable {
    private let action = Locked<(@Sendable () -> Void)?>(nil)

    func set(_ body: @escaping @Sendable () -> Void) { action.withLock { $0 = body } }

    /// Begins the drain once; later calls change nothing.
    func stop() {
      let body = action.withLock { action in
        defer { action = nil }
        return action
      }
      body?()
    }
  }

  /// Serves the operator's socket; without it the coordinator must not look healthy.
  private func administer(_ serving: Task<Void, any Error>) async throws {
    do {
      try await admin?.run()
    } catch {
      log.error("the admin socket cannot be served", ["reason": .error(error)])
      serving.cancel()
      throw error
    }
  }

  private func drain(_ serving: Task<Void, any Error>) async {
    await hub.drain()
    let start = time.now()
    while await hub.relayCount > 0, time.now() - start < configuration.drain {
      // Cancelled by nobody.
      try? await loops.loops[0].sleep(for: .milliseconds(20))
    }
    // What still runs is continued elsewhere; its last records reach the gateways first.
    await hub.handOver()
    while await hub.relayCount > 0, time.now() - start < configuration.drain + .seconds(1) {
      try? await loops.loops[0].sleep(for: .milliseconds(20))
    }
    await hub.dismiss()
    serving.cancel()
  }

  private func keepHouse() async throws {
    while true {
      try await loops.loops[0].sleep(for: .seconds(30))
      // Keys expire without anybody saying so, and clients want a snapshot that is not old.
      await hub.publishDirectory()
      do {
        try await store.closeOverdue()
        try await store.deleteExpired()
      } catch {
        metrics.housekeepingFailures.add()
        log.error("housekeeping failed", ["reason": .error(error)])
      }
    }
  }

  // MARK: Routes

  private static func router(
    _ hub: Hub, _ store: LedgerStore, _ catalog: ManifestCatalog,
    _ configuration: Configuration, _ account: AccountRoutes, _ time: any TimeSource,
    _ metrics: CoordinatorMetrics, _ limits: RequestLimits,
    _ connections: @escaping @Sendable () -> (open: Int, refused: Int)
  ) -> Router {
    let budget = ByteBudget<AccountID>(limit: configuration.envelopeBytes)
    let sealed = SealedRoute(
      hub: hub, accounts: account.accounts, pools: account.pools, time: time, budget: budget,
      limits: limits, metrics: metrics)
    var node = NodeRoute(hub: hub)
    if configuration.nodesNeedKey {
      node.admits = { request in
        let authorization = request.headers[.authorization]
        let caller = account.accounts.account(
          authorization: authorization, now: time.unixTime())
        return caller != nil && caller == configuration.defaultOwner
      }
    }
    let nodeRoute = node
    var router = Router()
    router.use(AddressLimit(limits: limits))
    account.add(to: &router)
    MoneyRoutes(
      account: account, desk: MoneyDesk(store: store, catalog: catalog, time: time)
    ).add(to: &router)
    PublicRoutes(
      hub: hub, accounts: account.accounts,
      figures: PublicFigures(hub: hub, store: store, catalog: catalog, time: time),
      metrics: metrics, budget: budget, answers: account.answers, connections: connections,
      startedAt: time.now(),
      time: time, hasPublicMetrics: configuration.hasPublicMetrics
    ).add(to: &router)
    router.get("/v1/node") { request in nodeRoute.respond(to: request) }
    router.post("/v1/sealed") { request in try await sealed.respond(to: request) }
    DirectoryRoutes(hub: hub, catalog: catalog, answers: account.answers).add(to: &router)
    return router
  }
}
