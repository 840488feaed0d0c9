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
    /// Reads the owner's settings again when asked to; they stay as they are when `nil`.
    package var loadOwner: (@Sendable () throws -> OwnerSettings)?
    /// Asks each model once, so that the owner sees that all works; none when `nil`.
    package var selfTest: (any NodeSelfTest)?
    /// Files that an update replaces; the node drains and ends then, to be started anew.
    package var programs: [String] = []
    /// The process's environment: names display and buses of the owner's session.
    package var environment: [String: String] = [:]
    /// What the owner does not serve.
    package var refusals = OwnerPolicy.open
    /// The digest over agent and worker as released.
    package var release = Digest.zero
    /// The local socket for status, pause and resume; none when `nil`.
    package var consoleSocket: String?
    /// Whether proofs are bound to TLS; off only behind a proxy that ends it.
    package var bindsToTLS = true
    /// Shown to the coordinator when the link is opened; `darkbloom up` asks its own nodes for it.
    package var apiKey: String?
    /// How long running answers may take when the service is cancelled.
    package var drainTime = Duration.seconds(20)
    /// The same when the program was replaced: an update is in no hurry, what runs may end.
    package var updateDrainTime = Duration.seconds(600)
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
  private let sleep: (any SleepInhibitor)?
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
  ///   - sleep: Keeps the machine awake while it works; this system's when `nil`.
  package init(
    configuration: Configuration, log: Log, time: any TimeSource = SystemTime(),
    loops: EventLoopGroup = .shared, launcher: (any WorkerLauncher)? = nil,
    sensor: (any OwnerSensor)? = nil, sleep: (any SleepInhibitor)? = nil
  ) {
    self.sensor = sensor
    self.sleep = sleep
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
    let plan = MemoryPlan(configuration.models, settings: configuration.owner)
    guard !plan.models.isEmpty else {
      throw NodeError(.badConfiguration, plan.nothingFits)
    }
    let agent = NodeAgent(
      identity: identity, release: configuration.release, firstEpoch: try nextEpoch(folder),
      models: plan.models, refusals: configuration.refusals, shelf: shelf,
      bindsToTLS: configuration.bindsToTLS, time: time, loop: loops.next(), log: log)
    let usage = UsageShelf(folder: folder)
    await agent.restore(usage: await usage.restore())
    let owner = OwnerSwitch(agent: agent, folder: folder)
    await owner.begin()
    // Cancelling drains first: the children must go on meanwhile, so they are not the caller's.
    let stopped = StopSignal()
    let serving = Task {
      try await serve(agent, owner, usage, plan, coordinators, launcher, stopped)
    }
    try await withTaskCancellationHandler {
      try await serving.value
    } onCancel: {
      stopped.set()
    }
  }

  private func serve(
    _ agent: NodeAgent, _ owner: OwnerSwitch, _ usage: UsageShelf, _ plan: MemoryPlan,
    _ coordinators: [HTTPURL], _ launcher: any WorkerLauncher, _ stopped: StopSignal
  ) async throws {
    let client = HTTPClient(configuration.client, group: loops)
    defer { client.close() }
    try await withThrowingTaskGroup(of: Bool.self) { group in
      group.addTask {
        await stopped.wait()
        return true
      }
      // One loop carries requests and answers, from the link to the workers and back: their sockets
      // are made on it, and the agent's work for them is done there, without a change of threads.
      let carrier = loops.next()
      let link = NodeLinkDriver(
        coordinators: coordinators, apiKey: configuration.apiKey, client: client, agent: agent,
        loop: carrier, log: log)
      group.addTask(executorPreference: carrier) {
        await link.run()
        return false
      }
      for model in plan.models {
        let supervisor = WorkerSupervisor(
          model: model, settings: plan.settings(configuration.workers, for: model),
          release: configuration.release,
          launcher: launcher, agent: agent, time: time, loop: carrier, log: log)
        group.addTask(executorPreference: carrier) {
          await supervisor.run()
          return false
        }
      }
      let watch = configuration.owner.map { settings in
        OwnerWatch(
          settings: settings,
          sensor: sensor
            ?? SystemSensor.make(settings: settings, environment: configuration.environment),
          sleep: sleep ?? SystemSleepInhibitor(environment: configuration.environment),
          time: time)
      }
      if let watch {
        let loop = loops.next()
        group.addTask {
          try await OwnerRules.run(watch, agent: agent, owner: owner, loop: loop)
          return false
        }
      }
      let rules = OwnerRules(
        settings: configuration.owner, watch: watch, load: configuration.loadOwner)
      let chores = NodeChores(
        agent: agent, usage: usage, selfTest: configuration.selfTest,
        programs: configuration.programs, time: time, loop: loops.next(), log: log)
      group.addTask {
        try await chores.run()
        return false
      }
      if let path = configuration.consoleSocket {
        let server = HTTPServer(
          HTTPServer.Configuration(.unix(path: path)), group: loops,
          responder: NodeConsole(
            agent: agent, owner: owner, rules: rules, stop: { stopped.set() }
          ).router())
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
      let isUpdate = (failure as? NodeError)?.code == .updated
      let grace = isUpdate ? configuration.updateDrainTime : configuration.drainTime
      await agent.stop(grace: failure == nil || isUpdate ? grace : .zero)
      if let book = await agent.takeChangedUsage() {
        // What cannot be kept is lost with this process; it was money of the coordinator's books.
        try? await usage.store(book)
      }
      group.cancelAll()
      if let failure { throw failure }
    }
  }

  /// The book of a node that does not run.
  ///
  /// - Throws: ``NodeError`` when the data folder cannot be read.
  package static func earnings(
    dataFolder: String, costs: OwnerSettings.Costs
  ) throws -> JSONValue {
    let bytes = try StateFolder(existing: dataFolder).read(UsageShelf.fileName)
    return try UsageBook(json: bytes.map { try JSONValue(decoding: $0) } ?? .null).json(costs)
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
