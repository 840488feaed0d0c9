package import BloomBase
internal import BloomCrypto
internal import BloomModels
package import BloomRecords
package import BloomSeal
internal import BloomWire

/// What this device knows of the network: verified machines, its guard sets, the models' names.
///
/// Everything the coordinator says is checked here before it is used: the log only grows, records
/// are in it, their signatures hold, the user's policy takes them, their keys are offered now.
package actor NetworkView {
  /// One model of the network.
  package struct Model: Sendable, Hashable {
    /// Its identity and name.
    package let served: ServedModel
    /// Machines of it that this device verified.
    package let machines: Int
  }

  struct GuardKey: Hashable, Sendable {
    let place: PlacementPolicy.Place
    let model: ModelID
  }

  /// A directory of the coordinator, the network's or a pool's, and how it is checked.
  package struct Remote: Sendable {
    /// Its interface.
    package let coordinator: CoordinatorClient
    /// Checks what it says.
    package let verifier: DirectoryVerifier

    /// Joins them.
    package init(coordinator: CoordinatorClient, verifier: DirectoryVerifier) {
      self.coordinator = coordinator
      self.verifier = verifier
    }
  }

  /// One directory and what is known of it.
  private struct Source {
    let remote: Remote
    var known: KnownLog?
    var snapshot: DirectorySnapshot?
    var draft: Draft?
  }

  private var sources: [Source]
  /// Whether a directory changed since what is known was last put together.
  private var hasChanged = false
  /// The coordinator; `nil` when this device has joined none.
  package nonisolated let coordinator: CoordinatorClient?
  private let memory: LogMemory?
  let local: LocalNode?
  package nonisolated let policy: PlacementPolicy
  let time: any TimeSource
  private let log: Log
  private var fetchedAt: Instant?
  private var unreachableAt: Instant?
  private(set) var nodes: [ModelID: [NodeID: VerifiedNode]] = [:]
  private(set) var guards: [GuardKey: GuardSet] = [:]
  private var objections: [ModelID: [PlacementPolicy.Objection: Int]] = [:]
  private var manifests: [ModelID: ServedModel] = [:]
  private var refreshing: Task<Void, any Error>?
  var shelf = ReadyShelf()
  var preparing: Set<ReadyShelf.Key> = []
  var random = SecureRandom()

  /// Records drawn from each tree at most: enough to fill a guard set of verified machines.
  private static let drawsPerTree = 64
  /// The same when the user wants particular machines: they must be among those drawn.
  private static let drawsForNamed = 256

  /// Creates a view that knows nothing yet.
  ///
  /// - Parameters:
  ///   - remotes: The directories of one coordinator: the network's, the user's pool's, or both.
  ///     Machines of a pool's are in no other place. Empty when this device has joined none.
  ///   - local: The node of this device; `nil` when it is not to be used.
  ///   - memory: Keeps the ends of logs beyond this process; `nil` keeps them in it alone.
  ///   - policy: What the user wants of machines.
  ///   - time: Clocks.
  ///   - log: Where reasons go; never content.
  package init(
    remotes: [Remote], local: LocalNode? = nil, memory: LogMemory? = nil,
    policy: PlacementPolicy, time: any TimeSource, log: Log
  ) {
    self.memory = memory
    sources = remotes.map { Source(remote: $0) }
    coordinator = remotes.first?.coordinator
    self.local = local
    self.policy = policy
    self.time = time
    self.log = log
  }

  /// The models that verified machines serve now, by the user's policy.
  ///
  /// - Throws: When the network is out of reach and this device serves nothing itself.
  package func models() async throws -> [Model] {
    var found: [ModelID: Model] = [:]
    for served in await localModels() { found[served.model] = Model(served: served, machines: 1) }
    do {
      try await refresh(olderThan: .seconds(1))
    } catch {
      if found.isEmpty { throw error }
    }
    for (model, nodes) in nodes {
      guard let served = manifests[model] else { continue }
      found[model] = Model(served: served, machines: nodes.count)
    }
    return found.values.sorted { $0.served.name < $1.served.name }
  }

  /// The model behind a name that a client sent; `nil` when nobody serves it.
  ///
  /// - Throws: ``PlacementRefusal`` when machines serve it but the policy takes none of them.
  package func model(named name: String) async throws -> ServedModel? {
    if let found = await localModels().first(where: { $0.name == name }) { return found }
    if let found = manifests.values.first(where: { $0.name == name && nodes[$0.model] != nil }) {
      return found
    }
    try await refresh(olderThan: .seconds(2))
    if let found = manifests.values.first(where: { $0.name == name && nodes[$0.model] != nil }) {
      return found
    }
    for served in manifests.values where served.name == name {
      if let refusal = refusal(of: served.model) { throw refusal }
    }
    return nil
  }

  /// Forgets what is known of the connected machines, after a key turned out to be stale.
  package func invalidate() { fetchedAt = nil }

  /// The coordinator could not be reached, or was lost in the middle of an answer.
  package func noteUnreachable() { unreachableAt = time.now() }

  /// Whether the coordinator was out of reach lately: its machines then need time to come back.
  package var isRecovering: Bool {
    unreachableAt.map { time.now() - $0 < .seconds(15) } ?? false
  }

  /// Whether somebody is known to be coming back, so that waiting for the model makes sense: the
  /// coordinator was lost a moment ago, or this device's own worker is started again.
  func isReturning(_ model: ModelID) async -> Bool {
    if isRecovering { return true }
    guard let local, policy.places.contains(.device) else { return false }
    return await local.isReloading(model)
  }

  /// The tier of a machine as this device appraised it.
  package func tier(of node: NodeID, model: ModelID) -> Tier? { nodes[model]?[node]?.tier }

  /// Why the policy takes no machine of a model; `nil` when none was left out.
  func refusal(of model: ModelID) -> PlacementRefusal? {
    guard let objections = objections[model], !objections.isEmpty else { return nil }
    return PlacementRefusal(objections: objections, policy: policy)
  }

  private func localModels() async -> [ServedModel] {
    guard let local, policy.places.contains(.device) else { return [] }
    return await local.models()
  }

  // MARK: Fetching

  /// Looks again when what is known is older; looks ahead, without waiting, at half that age.
  func refresh(olderThan age: Duration) async throws {
    guard coordinator != nil else { return }
    if let fetchedAt, time.now() - fetchedAt < age {
      if refreshing == nil, age >= .seconds(10), time.now() - fetchedAt >= age / 2 {
        beginFetch()
      }
      return
    }
    try await (refreshing ?? beginFetch()).value
  }

  @discardableResult
  private func beginFetch() -> Task<Void, any Error> {
    let task = Task {
      defer { refreshing = nil }
      do {
        try await fetch()
      } catch {
        // A refusal is an answer: whoever gave it is there.
        if !(error is DirectoryError || error is CoordinatorClient.Refusal) { noteUnreachable() }
        throw error
      }
    }
    refreshing = task
    return task
  }

  private func fetch() async throws {
    // What one directory brought counts, also when the next one is out of reach.
    defer { adopt() }
    var refusals: [CoordinatorClient.Refusal] = []
    for index in sources.indices {
      if let refusal = try await fetch(index) { refusals.append(refusal) }
    }
    if let refusal = refusals.first, refusals.count == sources.count { throw refusal }
    fetchedAt = time.now()
  }

  private func forget(_ index: Int) {
    guard sources[index].snapshot != nil else { return }
    sources[index].snapshot = nil
    sources[index].draft = nil
    hasChanged = true
  }

  /// Looks into one directory.
  ///
  /// - Returns: Why this device may not look: a pool that it left has no machines for it, and the
  ///   other directories go on.
  private func fetch(_ index: Int) async throws -> CoordinatorClient.Refusal? {
    let remote = sources[index].remote
    let verifier = remote.verifier
    let known = try sources[index].known ?? memory?.known(verifier.origin, key: verifier.key)
    let bytes: [UInt8]
    do {
      bytes = try await remote.coordinator.directory(earlier: known?.size ?? 0)
    } catch let refusal as CoordinatorClient.Refusal
      where refusal.reason == .staleKey || !refusal.reason.isRetriable
    {
      forget(index)
      return refusal
    }
    let now = time.unixTime()
    let (fresh, end) = try verifier.snapshot(bytes, known: known, now: now)
    sources[index].known = end
    if end != known { remember(end, verifier) }
    if fresh.number == sources[index].snapshot?.number { return nil }
    let isPool = remote.coordinator.pool != nil
    var draft = Draft(policy: policy, isPool: isPool, time: now)
    let named = !policy.paired.isEmpty || !policy.pinned.isEmpty || isPool
    for (position, tree) in fresh.trees.enumerated() {
      let indexes = (0..<tree.size).shuffled(using: &random)
        .prefix(named ? Self.drawsForNamed : Self.drawsPerTree).sorted()
      let answer = try await remote.coordinator.records(
        snapshot: fresh.number, tree: position, indexes: indexes)
      for record in try verifier.records(answer, tree: tree, indexes: indexes) {
        draft.add(record, tree)
      }
      try await learnName(of: tree.model, remote.coordinator)
    }
    sources[index].snapshot = fresh
    sources[index].draft = draft
    hasChanged = true
    return nil
  }

  private func remember(_ end: KnownLog, _ verifier: DirectoryVerifier) {
    do {
      try memory?.keep(end, verifier.origin, key: verifier.key)
    } catch {
      // What is known in memory still protects until this process ends.
      log.error("the directory log's end was not kept", ["reason": .error(error)])
    }
  }

  private func adopt() {
    guard hasChanged else { return }
    hasChanged = false
    nodes = [:]
    objections = [:]
    var candidates: [GuardKey: [GuardSet.Candidate]] = [:]
    for draft in sources.compactMap(\.draft) {
      for (model, found) in draft.nodes { nodes[model, default: [:]].merge(found) { $1 } }
      for (model, found) in draft.objections {
        objections[model, default: [:]].merge(found, uniquingKeysWith: +)
      }
      for (key, found) in draft.candidates { candidates[key, default: []] += found }
    }
    for (reason, count) in objections.values.flatMap({ $0 }) {
      let name = String(describing: reason)
      log.info(
        "machines left out",
        [
          "reason": ShortName(name).map { .name($0) } ?? "unknown", "number": .count(count),
        ])
    }
    for (key, found) in candidates {
      guards[key, default: GuardSet()].refresh(
        from: found, now: time.unixTime(), using: &random)
    }
    shelf.removeAll()
  }

  /// A manifest is believed because its digest is the model's identity.
  private func learnName(of model: ModelID, _ coordinator: CoordinatorClient) async throws {
    guard manifests[model] == nil else { return }
    let bytes: [UInt8]
    do {
      bytes = try await coordinator.manifest(model)
    } catch is CoordinatorClient.Refusal {
      return  // a model without a published name cannot be asked for
    }
    guard ModelID(SHA256.digest(bytes)) == model, let manifest = try? ModelManifest(decoding: bytes)
    else { throw DirectoryError.malformed }
    manifests[model] = ServedModel(manifest: manifest, model: model)
  }

  /// What a new snapshot would mean, while its records come.
  private struct Draft {
    let policy: PlacementPolicy
    let isPool: Bool
    let time: UnixTime
    var nodes: [ModelID: [NodeID: VerifiedNode]] = [:]
    var candidates: [GuardKey: [GuardSet.Candidate]] = [:]
    var objections: [ModelID: [PlacementPolicy.Objection: Int]] = [:]

    mutating func add(_ record: NodeRecord, _ tree: DirectorySnapshot.Tree) {
      switch policy.admit(record, at: time) {
      case .failure(let rejection):
        objections[tree.model, default: [:]][rejection.objection, default: 0] += 1
      case .success(let node):
        guard node.keys(for: tree.model) != nil else { return }
        let places = policy.places.filter { place in
          switch place {
          case .device: false
          case .paired: !isPool && policy.paired.contains(node.nodeID)
          case .pool: isPool
          case .public: !isPool
          }
        }
        guard !places.isEmpty else {
          objections[tree.model, default: [:]][.place, default: 0] += 1
          return
        }
        nodes[tree.model, default: [:]][node.nodeID] = node
        let candidate = GuardSet.Candidate(
          node: node.nodeID, weight: Double(1 << min(15, Int(tree.bucket))))
        for place in places {
          candidates[GuardKey(place: place, model: tree.model), default: []].append(candidate)
        }
      }
    }
  }
}
