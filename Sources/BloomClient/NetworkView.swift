package import BloomBase
internal import BloomCrypto
internal import BloomModels
package import BloomRecords
package import BloomSeal

/// What this device knows of the network: verified machines, its guard sets, the models' names.
///
/// Everything the coordinator says is checked here before it is used: the log only grows, records
/// are in it, their signatures hold, their tier satisfies the policy, their keys are offered now.
package actor NetworkView {
  /// One model of the network.
  package struct Model: Sendable, Hashable {
    /// Its identity and name.
    package let served: ServedModel
    /// Machines of it that this device verified.
    package let machines: Int
  }

  private let coordinator: CoordinatorClient
  private let verifier: DirectoryVerifier
  private let policy: TierPolicy
  private let time: any TimeSource
  private let log: Log
  private var known: KnownLog?
  private var snapshot: DirectorySnapshot?
  private var fetchedAt: Instant?
  private var nodes: [ModelID: [NodeID: VerifiedNode]] = [:]
  private var guards: [ModelID: GuardSet] = [:]
  private var manifests: [ModelID: ServedModel] = [:]
  private var refreshing: Task<Void, any Error>?
  private var random = SecureRandom()
  /// Records drawn from each tree at most: enough to fill a guard set of verified machines.
  private let drawsPerTree = 64

  /// Creates a view that knows nothing yet.
  package init(
    coordinator: CoordinatorClient, verifier: DirectoryVerifier, policy: TierPolicy,
    time: any TimeSource, log: Log
  ) {
    self.coordinator = coordinator
    self.verifier = verifier
    self.policy = policy
    self.time = time
    self.log = log
  }

  /// The models that verified machines serve now.
  package func models() async throws -> [Model] {
    try await refresh(olderThan: .seconds(1))
    return nodes.compactMap { model, nodes in
      manifests[model].map { Model(served: $0, machines: nodes.count) }
    }.sorted { $0.served.name < $1.served.name }
  }

  /// The model behind a name that a client sent.
  package func model(named name: String) async throws -> ServedModel? {
    if let found = manifests.values.first(where: { $0.name == name && nodes[$0.model] != nil }) {
      return found
    }
    try await refresh(olderThan: .seconds(2))
    return manifests.values.first { $0.name == name && nodes[$0.model] != nil }
  }

  /// Draws the machines of one envelope from the model's guard set.
  ///
  /// - Parameters:
  ///   - count: 1…4.
  ///   - model: What they must serve.
  ///   - preferred: The machine with a warm cache.
  ///   - avoided: Machines that just failed.
  /// - Returns: Targets with keys that are offered now; empty when nobody fits.
  package func draw(
    _ count: Int, model: ModelID, preferring preferred: NodeID?, avoiding avoided: Set<NodeID>
  ) async throws -> [SealTarget] {
    try await refresh(olderThan: .seconds(60))
    var targets = targets(count, model, preferred, avoided)
    if targets.isEmpty {
      // The failed machine may have been replaced, or its key renewed, since the last look.
      try await refresh(olderThan: .milliseconds(250))
      targets = self.targets(count, model, preferred, avoided)
    }
    return targets
  }

  /// Forgets what is known of the connected machines, after a key turned out to be stale.
  package func invalidate() { fetchedAt = nil }

  /// The tier of a machine as this device appraised it.
  package func tier(of node: NodeID, model: ModelID) -> Tier? { nodes[model]?[node]?.tier }

  private func targets(
    _ count: Int, _ model: ModelID, _ preferred: NodeID?, _ avoided: Set<NodeID>
  ) -> [SealTarget] {
    let now = time.unixTime()
    let usable = nodes[model] ?? [:]
    let drawn =
      guards[model]?.envelope(count, preferring: preferred, avoiding: avoided, using: &random)
      ?? []
    let targets = drawn.compactMap { node in
      // A key that has expired since is left out; the next refresh brings the new one.
      usable[node].flatMap { try? SealTarget($0, model: model, at: now) }
    }
    guard let suite = targets.first?.keys.suite else { return [] }
    return targets.filter { $0.keys.suite == suite }
  }

  // MARK: Fetching

  private func refresh(olderThan age: Duration) async throws {
    if let fetchedAt, time.now() - fetchedAt < age { return }
    if let running = refreshing { return try await running.value }
    let task = Task { try await self.fetch() }
    refreshing = task
    defer { refreshing = nil }
    try await task.value
  }

  private func fetch() async throws {
    let bytes = try await coordinator.directory(earlier: known?.size ?? 0)
    let now = time.unixTime()
    let (fresh, log) = try verifier.snapshot(bytes, known: known, now: now)
    known = log
    defer { fetchedAt = time.now() }
    if fresh.number == snapshot?.number { return }
    var found: [ModelID: [NodeID: VerifiedNode]] = [:]
    var weights: [ModelID: [GuardSet.Candidate]] = [:]
    for (position, tree) in fresh.trees.enumerated() {
      let indexes = (0..<tree.size).shuffled(using: &random).prefix(drawsPerTree).sorted()
      let answer = try await coordinator.records(
        snapshot: fresh.number, tree: position, indexes: indexes)
      for record in try verifier.records(answer, tree: tree, indexes: indexes) {
        guard let node = admit(record, tree.model, now) else { continue }
        found[tree.model, default: [:]][node.nodeID] = node
        weights[tree.model, default: []].append(
          .init(node: node.nodeID, weight: Double(1 << min(15, Int(tree.bucket)))))
      }
      try await learnName(of: tree.model)
    }
    snapshot = fresh
    nodes = found
    for (model, candidates) in weights {
      guards[model, default: GuardSet()].refresh(from: candidates, now: now, using: &random)
    }
  }

  private func admit(_ record: NodeRecord, _ model: ModelID, _ now: UnixTime) -> VerifiedNode? {
    do {
      let node = try policy.admit(record, at: now)
      return node.keys(for: model) == nil ? nil : node
    } catch {
      log.info("machine left out", ["reason": .error(error)])
      return nil
    }
  }

  /// A manifest is believed because its digest is the model's identity.
  private func learnName(of model: ModelID) async throws {
    guard manifests[model] == nil else { return }
    let bytes: [UInt8]
    do {
      bytes = try await coordinator.manifest(model)
    } catch is CoordinatorClient.Refusal {
      return  // a model without a published name cannot be asked for
    }
    guard ModelID(SHA256.digest(bytes)) == model, let manifest = try? ModelManifest(decoding: bytes)
    else { throw DirectoryError.malformed }
    manifests[model] = ServedModel(
      name: manifest.name, model: model, isChat: manifest.kind == .chat,
      isEmbedding: manifest.kind == .embeddings, contextTokens: manifest.contextTokens)
  }
}
