package import BloomBase
internal import BloomCrypto
internal import BloomHTTP
internal import BloomModels
package import BloomNet
internal import BloomRecords
package import BloomSeal
internal import BloomWire

/// The node of this device, asked over its own socket: no network and no coordinator is needed.
///
/// The socket's file has mode 0600, so whoever answers there is this user. Requests are sealed to
/// its worker all the same, and its receipts are checked: the agent sees no prompt here either.
package actor LocalNode {
  /// How long an answer about the node, or its absence, is believed.
  private static let memory = Duration.seconds(2)
  /// How long a refusal is believed before the next look.
  private static let pause = Duration.milliseconds(90)
  /// How long a node that serves nobody is passed by.
  private static let rest = Duration.seconds(5)

  private let http: HTTPClient
  private let socket: String
  private let time: any TimeSource
  private var lookedAt: Instant?
  private var record: NodeRecord?
  private var isDoubtful = false
  private var looking: Task<Void, Never>?
  private var manifests: [ModelID: ServedModel] = [:]
  /// Whether the agent itself was there at the last look, whatever it serves.
  private var isThere = false
  /// When it last said that it serves nobody.
  private var refusedAt: Instant?

  /// Where its envelopes go.
  package nonisolated let transport: CoordinatorClient

  /// Names the agent's socket; nothing is opened before the first look.
  package init(socket: String, http: HTTPClient, time: any TimeSource) {
    self.socket = socket
    self.http = http
    self.time = time
    transport = CoordinatorClient(base: "http://node", apiKey: nil, http: http, socket: socket)
  }

  /// The models that the node has loaded; empty when no node runs here.
  package func models() async -> [ServedModel] {
    await look()
    return record?.statement.workers.compactMap { manifests[$0.model] } ?? []
  }

  /// The node's key for a model; `nil` when it does not serve it now.
  package func target(for model: ModelID) async -> SealTarget? {
    await look(forUse: true)
    guard let record else { return nil }
    if let refusedAt, time.now() - refusedAt < Self.rest { return nil }
    let now = time.unixTime()
    // It is the user's own: no evidence is needed, but its keys must be fresh.
    guard let node = try? TierPolicy(minimum: .software).admit(record, at: now) else { return nil }
    return try? SealTarget(node, model: model, at: now)
  }

  /// Whether the node served a model and is there without it: its worker is started again.
  func isReloading(_ model: ModelID) -> Bool {
    isThere && manifests[model] != nil
      && record?.statement.workers.contains { $0.model == model } != true
  }

  /// A request that the node took or refused did not come to its end.
  ///
  /// Its worker may have been started again, with another key: the next request looks again.
  ///
  /// - Parameter isRefusal: Whether the node serves nobody now, paused by its owner for instance:
  ///   the next places of the policy are then tried for a moment.
  package func failed(isRefusal: Bool) {
    isDoubtful = true
    if isRefusal { refusedAt = time.now() }
  }

  /// Whoever asks while the node is looked for waits for that look: a request that did not would
  /// pass by this device and leave it.
  ///
  /// - Parameter forUse: Whether a request follows: the node may load a model for it.
  private func look(forUse: Bool = false) async {
    if let looking { return await looking.value }
    let patience = isDoubtful ? Self.pause : Self.memory
    if let lookedAt, time.now() - lookedAt < patience { return }
    isDoubtful = false
    // Ends by itself: every question to the node has a deadline.
    let task = Task {
      await fetch(forUse: forUse)
      lookedAt = time.now()
      looking = nil
    }
    looking = task
    await task.value
  }

  private func fetch(forUse: Bool) async {
    do {
      let path = forUse ? "/v1/record?use=1" : "/v1/record"
      let found = try NodeRecord(verifying: try await get(path))
      for keys in found.statement.workers where manifests[keys.model] == nil {
        let bytes = try await get("/v1/manifests/\(keys.model.digest.hex)")
        // A manifest is believed because its digest is the model's identity.
        guard ModelID(SHA256.digest(bytes)) == keys.model else { continue }
        manifests[keys.model] = ServedModel(
          manifest: try ModelManifest(decoding: bytes), model: keys.model)
      }
      record = found
      isThere = true
    } catch {
      record = nil  // no node, or one that has nothing loaded
      // An agent that takes its time, on a busy machine, is where it was.
      if (error as? NetError)?.code != .timedOut { isThere = error is CoordinatorClient.Refusal }
    }
  }

  private func get(_ path: String) async throws -> [UInt8] {
    var request = try ClientRequest.get("http://node" + path)
    request.unixSocket = socket
    let response = try await http.send(request, timeout: .seconds(2))
    guard response.status == .ok else { throw CoordinatorClient.Refusal(reason: .staleKey) }
    return try await response.body.collect(upTo: 1 << 20)
  }
}

extension ServedModel {
  /// What a manifest says of a model; its digest was checked.
  init(manifest: ModelManifest, model: ModelID) {
    self.init(
      name: manifest.name, model: model, isChat: manifest.kind == .chat,
      isEmbedding: manifest.kind == .embeddings, contextTokens: manifest.contextTokens)
  }
}
