import BloomBase
import BloomClient
import BloomCoordinator
import BloomCrypto
import BloomLedger
import BloomNet
import BloomRecords
import BloomSeal
import BloomStore
import BloomWire
import Testing

/// A coordinator in memory, an account with money, and nodes that connect.
struct TestCoordinator: Sendable {
  static let origin = "test"
  let service: CoordinatorService
  let store: LedgerStore
  let client: CoordinatorClient
  let http: HTTPClient
  let logKey: SigningKey
  let log: RecentLog
  let user: AccountID
  let owner: AccountID
  /// Begins the drain, as SIGTERM does.
  let stop: @Sendable () -> Void

  /// Waits until a condition holds; fails the test after 10 s.
  func until(_ what: String, _ holds: () async throws -> Bool) async throws {
    for _ in 0..<1_000 {
      if try await holds() { return }
      try await Task.sleep(for: .milliseconds(10))
    }
    Issue.record("never \(what)")
  }

  /// A client of another account, in a pool or for the network's own directory.
  func client(key: String?, pool: String? = nil) -> CoordinatorClient {
    CoordinatorClient(base: "http://coordinator", apiKey: key, pool: pool, http: http)
  }

  /// An account with a key and some credit.
  func account(_ name: String, credit: Int64) async throws -> (AccountID, key: String) {
    let account = try #require(AccountID(name))
    let accounts = Accounts(store: store)
    let now = SystemTime().unixTime()
    try await accounts.ensure(account, name: name, credit: Micros(credit), now: now)
    return (account, try await accounts.addKey(for: account, name: "test", now: now).text)
  }

  /// Seals a request to machines.
  func seal(
    _ answer: AnswerID, to machines: [Machine], part: Int = 0,
    tokenClass: TokenClass = .upTo256, deadline: Int = 20_000, content: String = "secret words"
  ) throws -> BloomSeal.SealedRequest {
    try RequestSealer.seal(
      request(answer, part: part, content: content),
      options: SealOptions(
        tokenClass: tokenClass, deadlineMilliseconds: deadline, padding: .padded),
      contexts: ReadyContexts(machines.map(\.target)))
  }

  /// Sends an envelope, reads all that comes back, and says so as a gateway does.
  func ask(
    _ sealed: BloomSeal.SealedRequest, using client: CoordinatorClient? = nil,
    acknowledging: Bool = true
  ) async throws -> Outcome {
    var outcome = Outcome()
    var decoder = OuterRecordDecoder()
    var opener = sealed.opener()
    let body = try await (client ?? self.client).send(sealed.envelope)
    for try await bytes in body {
      decoder.append(bytes)
      while let item = try decoder.next() {
        switch item.record {
        case .accepted(let node): outcome.accepted.append(node)
        case .sealed(let chunk):
          for event in try opener.receive(chunk) {
            switch event {
            case .began: break
            case .frame(.tokens(let frame)): outcome.tokens += frame.tokens.map { Int($0) }
            case .frame: break
            case .receipt(let receipt): outcome.receipt = receipt
            case .finished(let receipt):
              outcome.receipt = receipt
              outcome.isFinished = true
            }
          }
        case .attemptFailed(let reason, _, _): outcome.failures.append(reason)
        case .settled(let digest, let cost): outcome.settled.append((digest, cost))
        case .alive: outcome.aliveCount += 1
        case .queued, .suspected: break
        }
      }
    }
    if acknowledging, outcome.isFinished, let receipt = outcome.receipt {
      try await (client ?? self.client).acknowledge(
        ReceiptAcknowledgement(
          answer: receipt.claims.answer, part: receipt.claims.part, receipt: receipt.digest,
          isRight: true))
    }
    return outcome
  }

  /// Starts a node and waits until it takes work.
  func join(
    _ node: FakeNode, _ group: inout ThrowingTaskGroup<Void, any Error>
  ) async throws {
    let before = await service.hub.readyNodeCount
    let http = http
    group.addTask { try await node.run(http) }
    try await until("ready") { await service.hub.readyNodeCount > before }
  }
}

/// What came back for one envelope.
struct Outcome {
  var accepted: [NodeID] = []
  var tokens: [Int] = []
  var receipt: Receipt?
  var isFinished = false
  var failures: [Reason] = []
  var settled: [(digest: Digest, cost: Micros)] = []
  var aliveCount = 0
}

/// Runs a body against a fresh coordinator with nodes of these behaviours.
func withCoordinator(
  _ behaviours: [FakeNode.Behaviour], credit: Int64 = 1_000_000_000,
  backend: any StoreBackend = MemoryBackend(),
  configure: (inout CoordinatorService.Configuration) -> Void = { _ in },
  records: [RecordChange] = [], nodeOwner: AccountID? = AccountID("owner"),
  nodesNeedKey: Bool = false, time: any TimeSource = SystemTime(),
  manifests: [[UInt8]] = [[1, 2, 3]],
  _ body: (TestCoordinator, [FakeNode]) async throws -> Void
) async throws {
  let memory = MemoryNetwork()
  let store = try await LedgerStore.open(backend, clock: SystemTime())
  let price = try #require(Price(promptPerMillion: 1_000_000, completionPerMillion: 2_000_000))
  try await store.apply(.changePrice(.fallback(price)))
  let logKey = try SigningKey.generate(.ed25519)
  let recent = RecentLog()
  let owner = try #require(AccountID("owner"))
  var configuration = CoordinatorService.Configuration(
    listen: [.memory(memory)], origin: TestCoordinator.origin, defaultOwner: nodeOwner,
    drain: .seconds(5))
  configuration.nodesNeedKey = nodesNeedKey
  if !records.isEmpty { try await store.write(records) }
  configure(&configuration)
  let service = CoordinatorService(
    configuration: configuration,
    store: store, logKey: logKey, catalog: ManifestCatalog(fixed: manifests),
    log: Log("test", sink: recent), time: time)
  var web = HTTPClient.Configuration()
  web.memory = memory
  let http = HTTPClient(web)
  let accounts = Accounts(store: store)
  let user = try #require(AccountID("user"))
  let now = SystemTime().unixTime()
  try await accounts.ensure(user, name: "user", credit: Micros(credit), now: now)
  try await accounts.ensure(owner, name: "owner", credit: .zero, now: now)
  let key = try await accounts.addKey(for: user, name: "test", now: now).text
  let serving = Task { try await service.run() }
  let test = TestCoordinator(
    service: service, store: store,
    client: CoordinatorClient(base: "http://coordinator", apiKey: key, http: http), http: http,
    logKey: logKey, log: recent, user: user, owner: owner, stop: { serving.cancel() })
  _ = try await service.server.boundAddresses()
  do {
    try await withThrowingTaskGroup(of: Void.self) { group in
      var nodes: [FakeNode] = []
      for (index, behaviour) in behaviours.enumerated() {
        let node = FakeNode(try Machine(seed: UInt8(index + 1)), behaviour)
        try await test.join(node, &group)
        nodes.append(node)
      }
      defer { group.cancelAll() }
      try await body(test, nodes)
    }
  } catch {
    for entry in recent.recent { print(entry.text) }
    serving.cancel()
    _ = await serving.result
    throw error
  }
  serving.cancel()
  _ = await serving.result
  await store.close()
}
