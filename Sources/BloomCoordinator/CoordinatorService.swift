package import BloomCrypto
package import BloomBase
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
    /// The owner of machines that nobody enrolled; `nil` refuses them. For one's own network only.
    package var defaultOwner: AccountID?
    /// How often the directory is published.
    package var publishEvery: Duration
    /// Bytes of envelopes held at once.
    package var envelopeBytes: Int

    /// Creates a configuration; the defaults are for a public network.
    package init(
      listen: [HTTPServer.Listen] = [.tcp(port: 8640)], tls: TLSServerConfiguration? = nil,
      origin: String = "darkbloom", minimumTier: BloomRecords.Tier = .software,
      defaultOwner: AccountID? = nil, publishEvery: Duration = .seconds(60),
      envelopeBytes: Int = 512 << 20
    ) {
      self.listen = listen
      self.tls = tls
      self.origin = origin
      self.minimumTier = minimumTier
      self.defaultOwner = defaultOwner
      self.publishEvery = publishEvery
      self.envelopeBytes = envelopeBytes
    }
  }

  private let configuration: Configuration
  private let store: LedgerStore
  private let catalog: [ModelID: [UInt8]]
  private let log: Log
  private let time: any TimeSource
  private let loops: EventLoopGroup
  /// The live state, for admin commands and tests.
  package let hub: Hub
  /// The server, for its bound addresses.
  package let server: HTTPServer

  /// Builds the service; nothing is opened before ``run()``.
  ///
  /// - Parameters:
  ///   - configuration: What the operator decided.
  ///   - store: The ledger and the tables, open.
  ///   - logKey: The directory log's Ed25519 key.
  ///   - catalog: Model manifests that clients may fetch by digest.
  ///   - log: Where events go; never content, never addresses.
  ///   - time: The machine's clocks, or a test's.
  ///   - loops: Where connections live.
  package init(
    configuration: Configuration, store: LedgerStore, logKey: SigningKey,
    catalog: [ModelID: [UInt8]], log: Log, time: any TimeSource = SystemTime(),
    loops: EventLoopGroup = .shared
  ) {
    self.configuration = configuration
    self.store = store
    self.catalog = catalog
    self.log = log
    self.time = time
    self.loops = loops
    let fallback = configuration.defaultOwner
    let appraiser = RecordAppraiser(policy: TierPolicy(minimum: configuration.minimumTier)) {
      [store] node in store.get(OwnedNodeRecord.self, node.digest.hex)?.owner ?? fallback
    }
    var random = SecureRandom()
    hub = Hub(
      loop: loops.loops[0], time: time, store: store, appraiser: appraiser,
      directory: Directory(origin: configuration.origin, signer: logKey), log: log,
      seed: random.next())
    var server = HTTPServer.Configuration()
    server.listen = configuration.listen
    server.tls = configuration.tls
    self.server = HTTPServer(
      server, group: loops,
      responder: Self.router(hub, store, catalog, configuration, time))
  }

  /// Serves until cancelled; then tells nodes to come back, drains, and closes the books.
  package func run() async throws {
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { try await server.run() }
      group.addTask { try await publish() }
      group.addTask { try await keepHouse() }
      defer { group.cancelAll() }
      try await group.next()
    }
  }

  /// Publishes the directory: at once while it is small and changing, by the minute when it is not.
  private func publish() async throws {
    while true {
      await hub.publishDirectory()
      try await loops.loops[0].sleep(for: min(configuration.publishEvery, .seconds(60)))
    }
  }

  private func keepHouse() async throws {
    while true {
      try await loops.loops[0].sleep(for: .seconds(30))
      do {
        try await store.closeOverdue()
        try await store.deleteExpired()
      } catch {
        log.error("housekeeping failed", ["reason": .error(error)])
      }
    }
  }

  // MARK: Routes

  private static func router(
    _ hub: Hub, _ store: LedgerStore, _ catalog: [ModelID: [UInt8]],
    _ configuration: Configuration, _ time: any TimeSource
  ) -> Router {
    let accounts = Accounts(store: store)
    let sealed = SealedRoute(
      hub: hub, accounts: accounts, time: time,
      budget: ByteBudget(limit: configuration.envelopeBytes))
    let node = NodeRoute(hub: hub)
    var router = Router()
    router.get("/livez") { _ in .text("ok\n") }
    router.get("/readyz") { _ in .text("ok\n") }
    router.get("/v1/node") { request in node.respond(to: request) }
    router.post("/v1/sealed") { request in try await sealed.respond(to: request) }
    router.get("/v1/directory") { request in
      let earlier = request.query("from").flatMap { Int($0) } ?? 0
      guard let bytes = await hub.directoryAnswer(earlier: earlier) else {
        return .text("no directory for that size\n", status: .notFound)
      }
      return .bytes(bytes, type: "application/cbor")
    }
    router.get("/v1/directory/:number/:tree") { request in
      let indexes = (request.query("indexes") ?? "").split(separator: ",").compactMap { Int($0) }
      guard let number = request.parameters["number"].flatMap({ UInt64($0) }),
        let tree = request.parameters["tree"].flatMap({ Int($0) }),
        let bytes = await hub.directoryAnswer(snapshot: number, tree: tree, indexes: indexes)
      else { return .text("no such records; fetch the directory again\n", status: .notFound) }
      return .bytes(bytes, type: "application/cbor")
    }
    router.get("/v1/manifests/:digest") { request in
      guard let bytes = request.parameters["digest"].flatMap({ Hex.decode($0) }),
        let digest = Digest(bytes), let manifest = catalog[ModelID(digest)]
      else { return .text("no such manifest\n", status: .notFound) }
      return .bytes(manifest, type: "application/cbor")
    }
    return router
  }
}

extension Hub {
  /// Publishes what changed; a failure leaves the old directory in place.
  package func publishDirectory() {
    do {
      _ = try directory.publish(now: time.unixTime())
    } catch {
      log.error("directory not published", ["reason": .error(error)])
    }
  }

  func directoryAnswer(earlier: Int) -> [UInt8]? { directory.answer(earlier: earlier) }

  func directoryAnswer(snapshot: UInt64, tree: Int, indexes: [Int]) -> [UInt8]? {
    directory.answer(snapshot: snapshot, tree: tree, indexes: indexes)
  }
}
