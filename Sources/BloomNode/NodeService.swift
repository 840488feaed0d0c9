package import BloomBase
internal import BloomCrypto
internal import BloomHTTP
package import BloomNet
package import BloomWire

/// A node as a service: identity, workers, link and the owner's console, until cancelled.
package struct NodeService: Sendable {
  /// What an owner decides.
  package struct Configuration: Sendable {
    /// Keeps identity and receipts; made with mode 0700.
    package var dataFolder: String
    /// Base URLs, the preferred one first: `https://example.org`, or `http://127.0.0.1:8640`.
    package var coordinators: [String]
    /// What is served, one worker each.
    package var models: [NodeModel]
    /// The worker's program; beside the running program when `nil`.
    package var workerPath: String?
    /// What workers are told.
    package var workers = WorkerSettings()
    /// When and under which signals the machine serves; `nil` for always, without looking.
    package var owner: OwnerSettings?
    /// What the owner does not serve.
    package var refusals = OwnerPolicy.open
    /// The digest over agent and worker as released.
    package var release = Digest.zero
    /// The local socket for status, pause and resume; none when `nil`.
    package var consoleSocket: String?
    /// Whether proofs are bound to TLS; off only behind a proxy that ends it.
    package var bindsToTLS = true
    /// How long running answers may take when the service is cancelled.
    package var drainTime = Duration.seconds(20)
    /// How connections are made: proxy, trust, or a test's network.
    package var client = HTTPClient.Configuration()

    /// The defaults, with what has none.
    package init(dataFolder: String, coordinators: [String], models: [NodeModel]) {
      self.dataFolder = dataFolder
      self.coordinators = coordinators
      self.models = models
    }
  }

  private let configuration: Configuration
  private let launcher: (any WorkerLauncher)?
  private let sensor: (any OwnerSensor)?
  private let log: Log
  private let time: any TimeSource
  private let loops: EventLoopGroup

  /// Builds the service; nothing is opened before ``run()``.
  ///
  /// - Parameters:
  ///   - configuration: What the owner decided.
  ///   - log: Where events go; never content.
  ///   - time: The machine's clocks, or a test's.
  ///   - loops: Where connections live.
  ///   - launcher: Starts workers; child processes when `nil`.
  ///   - sensor: Sees the owner; this system's when `nil`.
  package init(
    configuration: Configuration, log: Log, time: any TimeSource = SystemTime(),
    loops: EventLoopGroup = .shared, launcher: (any WorkerLauncher)? = nil,
    sensor: (any OwnerSensor)? = nil
  ) {
    self.sensor = sensor
    self.configuration = configuration
    self.log = log
    self.time = time
    self.loops = loops
    self.launcher = launcher
  }

  /// Serves until cancelled; then drains: answers end or go back, receipts are kept.
  ///
  /// - Throws: ``NodeError`` when it cannot start; `NetError` when the console cannot listen.
  package func run() async throws {
    let coordinators = try urls()
    let launcher =
      launcher
      ?? ProcessLauncher(
        path: configuration.workerPath ?? ProcessLauncher.besideThisProgram(), group: loops)
    guard !configuration.models.isEmpty else {
      throw NodeError(
        .badConfiguration, "no model to serve; add one: darkbloom models add FILE.gguf")
    }
    let identity = try NodeIdentity.software(folder: configuration.dataFolder)
    let folder = try StateFolder(creating: configuration.dataFolder)
    let lock = try FolderLock(folder)
    defer { withExtendedLifetime(lock) {} }
    let shelf = try ReceiptShelf(folder: configuration.dataFolder)
    let agent = NodeAgent(
      identity: identity, release: configuration.release, firstEpoch: try nextEpoch(folder),
      models: configuration.models, refusals: configuration.refusals, shelf: shelf,
      bindsToTLS: configuration.bindsToTLS, time: time, loop: loops.next(), log: log)
    await agent.restore()
    let owner = OwnerSwitch(agent: agent, folder: folder)
    await owner.begin()
    // Cancelling drains first: the children must go on meanwhile, so they are not the caller's.
    let stopped = BoundedChannel<Never>(capacity: 1)
    let serving = Task {
      try await serve(agent, owner, coordinators, launcher, stopped)
    }
    try await withTaskCancellationHandler {
      try await serving.value
    } onCancel: {
      stopped.finish()
    }
  }

  private func serve(
    _ agent: NodeAgent, _ owner: OwnerSwitch, _ coordinators: [HTTPURL],
    _ launcher: any WorkerLauncher, _ stopped: BoundedChannel<Never>
  ) async throws {
    let client = HTTPClient(configuration.client, group: loops)
    defer { client.close() }
    try await withThrowingTaskGroup(of: Bool.self) { group in
      group.addTask {
        _ = await stopped.next()
        return true
      }
      let link = NodeLinkDriver(
        coordinators: coordinators, client: client, agent: agent, loop: loops.next(), log: log)
      group.addTask {
        await link.run()
        return false
      }
      for model in configuration.models {
        let supervisor = WorkerSupervisor(
          model: model, settings: configuration.workers, release: configuration.release,
          launcher: launcher, agent: agent, time: time, loop: loops.next(), log: log)
        group.addTask {
          await supervisor.run()
          return false
        }
      }
      if let settings = configuration.owner {
        let watch = OwnerWatch(
          settings: settings, sensor: sensor ?? SystemSensor.make(settings: settings), time: time)
        let loop = loops.next()
        group.addTask {
          while !Task.isCancelled {
            let (order, next) = await watch.look()
            await owner.sense(order)
            try await loop.sleep(for: next)
          }
          return false
        }
      }
      if let path = configuration.consoleSocket {
        let server = HTTPServer(
          HTTPServer.Configuration(.unix(path: path)), group: loops,
          responder: NodeConsole(agent: agent, owner: owner).router())
        group.addTask {
          try await server.run()
          return false
        }
      }
      var failure: (any Error)?
      do {
        while let isStop = try await group.next(), !isStop {}
      } catch {
        failure = error
      }
      await agent.stop(grace: failure == nil ? configuration.drainTime : .zero)
      group.cancelAll()
      if let failure { throw failure }
    }
  }

  private func urls() throws(NodeError) -> [HTTPURL] {
    var urls: [HTTPURL] = []
    for text in configuration.coordinators {
      let base = text.hasSuffix("/") ? String(text.dropLast()) : text
      guard let url = try? HTTPURL(base + "/v1/node") else {
        throw NodeError(.badConfiguration, "a coordinator's address is not an http or https URL")
      }
      urls.append(url)
    }
    guard !urls.isEmpty else {
      throw NodeError(.badConfiguration, "no coordinator is configured")
    }
    return urls
  }

  /// Each start has 2^32 epochs of its own, so that one write a start keeps them ascending.
  private func nextEpoch(_ folder: StateFolder) throws(NodeError) -> UInt64 {
    let text = try folder.read("starts").map { String(decoding: $0, as: UTF8.self) }
    let starts = (text.flatMap { UInt32($0) } ?? 0) &+ 1
    try folder.write("starts", Array("\(starts)".utf8))
    return UInt64(starts) << 32
  }
}
