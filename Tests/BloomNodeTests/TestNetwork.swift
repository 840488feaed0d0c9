import BloomAPI
import BloomBase
import BloomClient
import BloomCoordinator
import BloomCrypto
import BloomEngine
import BloomHTTP
import BloomLedger
import BloomModels
import BloomNet
import BloomPlatform
import BloomRecords
import BloomSeal
import BloomStore
import BloomWire
import Testing

@testable import BloomNode
@testable import BloomWorker

#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

/// Engines that take their time.
enum ScriptedScript {
  static var slow: ScriptedEngine.Script {
    var script = ScriptedEngine.Script()
    script.timePerToken = .milliseconds(5)
    return script
  }
}

/// A folder that is gone with its owner.
final class TemporaryFolder: Sendable {
  let path: String

  init() throws {
    path = "/tmp/bn-\(getpid())-\(UInt32.random(in: 0...UInt32.max))"
    _ = try StateFolder(creating: path)
  }

  deinit { Self.remove(path) }

  private static func remove(_ path: String) {
    for name in (try? FolderNames.all(in: path)) ?? [] {
      if unsafe unlink("\(path)/\(name)") != 0 { remove("\(path)/\(name)") }
    }
    unsafe rmdir(path)
  }
}

/// A model without files that exist; workers of these tests do not read them.
func testModel(_ name: String = "scripted:1") throws -> NodeModel {
  let file = ModelManifest.File(role: .weights, name: "w.gguf", sha256: .zero, byteCount: 1)
  let manifest = ModelManifest(
    name: name, kind: .chat, files: [file], licence: "", contextTokens: 4_096, weightBytes: 1,
    contextBytesPerToken: 1)
  return try NodeModel(manifest: manifest, paths: ["/nowhere/w.gguf"])
}

/// Runs the worker's own code in this process, over a socket pair, with a scripted engine.
///
/// Everything but lock-down and the engine is as in the real program: keys, opening, sealing.
final class InProcessLauncher: WorkerLauncher {
  struct State: Sendable {
    var launches = 0
    var running: [Task<Void, Never>] = []
    var ends: [Int32] = []
    var endedAt: Instant?
  }

  let state = Locked(State())
  private let script: ScriptedEngine.Script
  private let lacking: Set<SandboxFact>

  /// Runs engines by a script, in workers that may lack protections.
  init(
    _ script: ScriptedEngine.Script = ScriptedEngine.Script(), lacking: Set<SandboxFact> = []
  ) {
    self.script = script
    self.lacking = lacking
  }

  /// When the last worker was gone, weights and all.
  var endedAt: Instant? { state.withLock { $0.endedAt } }

  var launches: Int { state.withLock { $0.launches } }

  /// As `kill -9`: the worker's end of the channel is gone at once.
  func killAll() {
    for end in state.withLock({ $0.ends }) { shutdown(end, Int32(SHUT_RDWR)) }
  }

  func launch(_ model: NodeModel) async throws -> (any WorkerChannel, descriptors: [Int32]) {
    var ends: [Int32] = [0, 0]
    #if canImport(Glibc)
    let kind = Int32(SOCK_STREAM.rawValue)
    #else
    let kind = SOCK_STREAM
    #endif
    guard unsafe socketpair(AF_UNIX, kind, 0, &ends) == 0 else {
      throw NodeError(.worker, "no socket pair")
    }
    let (mine, theirs) = (ends[0], ends[1])
    let engine = ScriptedEngine(script: script)
    let lacking = lacking
    let task = Task {
      await Self.work(theirs, engine, lacking)
      close(theirs)
      await engine.stop()
    }
    state.withLock {
      $0.launches += 1
      $0.running.append(task)
      $0.ends.append(theirs)
    }
    let channel = InProcessChannel(
      channel: try await ParentChannel.open(descriptor: mine), descriptor: mine, task: task,
      ended: { [state] in state.withLock { $0.endedAt = SystemTime().now() } })
    return (channel, [4])
  }

  private static func work(
    _ descriptor: Int32, _ engine: ScriptedEngine, _ lacking: Set<SandboxFact>
  ) async {
    do {
      guard case .load(let order)? = try await FirstReader().first(descriptor) else { return }
      // As after lock-down, but for what a test takes away.
      try ProcessHardening.require(
        SandboxFacts(names: order.requiredFacts).facts,
        in: SandboxFacts(SandboxFacts.requiredOfWorker.subtracting(lacking)))
      let model = ModelID(SHA256.digest(order.manifest))
      let keyring = SealedKeyring(
        SealedKeyring.Identity(
          node: order.node, model: model, release: order.release,
          engine: SHA256.digest(Array(engine.identity.text.utf8))), arena: try SecretArena())
      let worker = try Worker(
        descriptor: descriptor,
        facts: Worker.Facts(model: model, protections: ["no-network"], filter: .zero),
        policy: order.policy, engine: engine, keyring: keyring, time: SystemTime())
      try await worker.run()
    } catch let error as PlatformError {
      let event = WorkerEvent.failed(error.safeDescription)
      // The agent may be gone: then nobody is left to tell.
      try? Outbox.write(LengthFraming.framed(event.encoded), to: descriptor)
    } catch {
      return  // the agent sees the end of the channel
    }
  }
}

/// Reads the agent's first message on a thread of its own: two that wait on a pool of two threads
/// would keep the agents from writing.
private actor FirstReader {
  private let executor = ThreadExecutor(name: "first-reader")

  nonisolated var unownedExecutor: UnownedSerialExecutor {
    unsafe executor.asUnownedSerialExecutor()
  }

  deinit { executor.stop() }

  func first(_ descriptor: Int32) throws -> WorkerCommand? {
    try ChannelReader.first(descriptor: descriptor)
  }
}

private struct InProcessChannel: WorkerChannel {
  let channel: ParentChannel
  let descriptor: Int32
  let task: Task<Void, Never>
  let ended: @Sendable () -> Void

  func send(_ bytes: [UInt8]) async throws { try await channel.send(bytes) }
  func receive() async throws -> [UInt8]? { try await channel.receive() }
  func close() async {
    shutdown(descriptor, Int32(SHUT_RDWR))
    await task.value
    ended()
  }
}

/// A coordinator that can go and come back; its store stays.
actor TestCoordinator {
  private let make: @Sendable () -> CoordinatorService
  private var running: Task<Void, any Error>?

  init(_ make: @escaping @Sendable () -> CoordinatorService) { self.make = make }

  @discardableResult
  func start() async throws -> [SocketAddress] {
    let service = make()
    running = Task { try await service.run() }
    return try await service.server.boundAddresses()
  }

  func stop() async {
    running?.cancel()
    _ = await running?.result
    running = nil
  }
}

/// A coordinator, a node and a client in one process; sockets and processes apart, all is real.
struct TestNetwork: Sendable {
  let memory: MemoryNetwork
  let store: LedgerStore
  let launcher: InProcessLauncher
  let client: PrivateInference
  let model: NodeModel
  let node: Task<Void, any Error>
  let coordinator: TestCoordinator
  let settings: NodeService.Configuration
  let folder: TemporaryFolder
  let logKey: [UInt8]

  /// The agent's status through its local socket.
  func status() async throws -> JSONValue {
    try await NodeConsoleClient(socket: "\(folder.path)/s").ask(.status)
  }

  /// Waits until a condition on the status holds; fails the test after 20 s.
  func until(_ what: String, _ holds: (JSONValue) -> Bool) async throws {
    var last: JSONValue?
    for _ in 0..<400 {
      if let status = try? await status() {
        if holds(status) { return }
        last = status
      }
      try await Task.sleep(for: .milliseconds(50))
    }
    let text = last.map { String(decoding: $0.encoded, as: UTF8.self) } ?? "no status"
    throw NodeError(.worker, "never \(what): \(text)")
  }

  /// Waits until the client can ask the model.
  func untilServed() async throws {
    var last = "no model"
    for _ in 0..<400 {
      do {
        if !(try await client.models()).isEmpty { return }
      } catch {
        last = "\(error)"
      }
      try await Task.sleep(for: .milliseconds(50))
    }
    throw NodeError(.worker, "the client never saw the model: \(last)")
  }

  /// One answer's text and end.
  func ask(
    _ text: String = "hello", through other: PrivateInference? = nil, maxTokens: Int = 24,
    onToken: () -> Void = {}
  ) async throws -> Answer {
    let body = """
      {"model":"\(model.manifest.name)","max_tokens":\(maxTokens),"temperature":0,"seed":7,
       "messages":[{"role":"user","content":"\(text)"}]}
      """
    let running = try await (other ?? client).begin(try ChatRequest.parse(Array(body.utf8)))
    var answer = Answer()
    while let output = await running.next() {
      switch output {
      case .tokens(let frame):
        onToken()
        answer.tokens += frame.tokens.count
        for case .content(let piece) in frame.deltas { answer.text += piece }
      case .finished(let usage): answer.usage = usage
      case .failed(let failure, let sealed):
        answer.failure = "\(failure) \(String(describing: sealed))"
      case .embedding, .json: break
      }
    }
    answer.parts = await running.facts().parts
    answer.node = await running.facts().node
    return answer
  }

  struct Answer: Sendable {
    var text = ""
    var tokens = 0
    var usage: BloomWire.Usage?
    var failure: String?
    var parts = 0
    var node: NodeID?
  }
}

/// Runs a body against a fresh network.
func withNetwork(
  script: ScriptedEngine.Script = ScriptedEngine.Script(), lacking: Set<SandboxFact> = [],
  configure: (inout NodeService.Configuration) -> Void = { _ in },
  sensor: (any OwnerSensor)? = nil, sleep: (any SleepInhibitor)? = nil,
  time: any TimeSource = SystemTime(), defaultOwner: AccountID? = AccountID("owner"),
  tls: TLSServerConfiguration? = nil,
  overTCP: ((inout NodeService.Configuration, Int) async throws -> Void)? = nil,
  _ body: @Sendable (TestNetwork) async throws -> Void
) async throws {
  let memory = MemoryNetwork()
  let store = try await LedgerStore.open(MemoryBackend(), clock: SystemTime())
  let user = try #require(AccountID("user"))
  let (key, row) = Accounts.makeKey(for: user, name: "test", now: SystemTime().unixTime())
  try await store.write([
    .put(AccountRecord(account: user, name: "user", createdAt: UnixTime(1))),
    .put(row),
  ])
  try await store.apply(.deposit(key: "d", user, Micros(1_000_000_000)))
  let price = try #require(Price(promptPerMillion: 1_000_000, completionPerMillion: 2_000_000))
  try await store.apply(.changePrice(.fallback(price)))
  let model = try testModel()
  let logKey = try SigningKey.generate(.ed25519)
  let recent = RecentLog()
  let log = Log("test", sink: recent)
  let listens: [HTTPServer.Listen] =
    overTCP == nil ? [.memory(memory)] : [.memory(memory), .tcp(host: "127.0.0.1", port: 0)]
  let coordinator = TestCoordinator {
    CoordinatorService(
      configuration: CoordinatorService.Configuration(
        listen: listens, tls: tls, origin: "test", defaultOwner: defaultOwner,
        drain: .milliseconds(100)),
      store: store, logKey: logKey, catalog: ManifestCatalog(fixed: [model.manifest.encoded]),
      log: log)
  }
  let addresses = try await coordinator.start()
  let folder = try TemporaryFolder()
  var settings = NodeService.Configuration(
    dataFolder: "\(folder.path)/data", coordinators: ["http://coordinator"], models: [model])
  settings.consoleSocket = "\(folder.path)/s"
  settings.client.memory = memory
  settings.drainTime = .seconds(2)
  configure(&settings)
  try await overTCP?(&settings, addresses.compactMap { $0.port }.first ?? 0)
  let launcher = InProcessLauncher(script, lacking: lacking)
  let service = NodeService(
    configuration: settings, log: log, time: time, launcher: launcher, sensor: sensor, sleep: sleep)
  let node = Task { try await service.run() }
  var web = HTTPClient.Configuration()
  web.memory = memory
  let access = CoordinatorClient(
    base: "http://coordinator", apiKey: key, http: HTTPClient(web))
  let view = NetworkView(
    remotes: [
      NetworkView.Remote(
        coordinator: access,
        verifier: try DirectoryVerifier(origin: "test", key: logKey.verifyingKey.bytes))
    ],
    policy: PlacementPolicy(), time: SystemTime(), log: log)
  var options = PrivateInference.Configuration()
  options.candidates = 1
  let network = TestNetwork(
    memory: memory, store: store, launcher: launcher,
    client: PrivateInference(
      configuration: options, network: view, time: SystemTime()),
    model: model, node: node, coordinator: coordinator, settings: settings, folder: folder,
    logKey: logKey.verifyingKey.bytes)
  var failure: (any Error)?
  do {
    try await body(network)
  } catch {
    failure = error
    for entry in recent.recent { print(entry.text) }
  }
  node.cancel()
  _ = await node.result
  await coordinator.stop()
  if let failure { throw failure }
}
