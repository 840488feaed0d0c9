import BloomBase
import BloomClient
import BloomCrypto
import BloomHTTP
import BloomModels
import BloomNet
import BloomRecords
import BloomSeal
import BloomWire

/// A coordinator that lies in one chosen way.
final class FakeCoordinator: Sendable {
  /// What it does wrong.
  enum Lie: Sendable, Hashable {
    /// The checkpoint is signed by another key.
    case otherKey
    /// The snapshot is not the one in the log.
    case otherSnapshot
    /// The log does not contain what it contained before.
    case rewrittenLog
    /// The snapshot's number is not the log's size.
    case wrongNumber
    /// A record is not the one in the tree.
    case otherRecord
    /// Fewer records than were asked for.
    case fewerRecords
    /// A record whose statement another key signed.
    case forgedRecord
    /// A manifest that is not the model's.
    case otherManifest
  }

  struct State: Sendable {
    var lie: Lie?
    var records: [[UInt8]] = []
    var time = SystemTime().unixTime()
    var log = MerkleTree()
    /// The directory's answer up to the proof that the log grew from what the client knows.
    var head: [UInt8] = []
    /// What the client is taken to know when it does not say.
    var earlier = 0
    var tree = MerkleTree()
    var envelopes = 0
    var directories = 0
    /// What is said in place of the directory.
    var refusal: (status: HTTPStatus, reason: String)?
  }

  let memory = MemoryNetwork()
  let manifest: ModelManifest
  let logKey: SigningKey
  let state = Locked(State())
  /// What `POST /v1/sealed` gives for an envelope and the number of envelopes before it.
  private let sealed: @Sendable ([UInt8], Int) throws -> Response
  private let strangerKey: SigningKey

  init(
    machines: [TestMachine] = [], manifest: ModelManifest = FakeCoordinator.manifest,
    sealed: @escaping @Sendable ([UInt8], Int) throws -> Response = { _, _ in
      .text("", status: .serviceUnavailable)
    }
  ) throws {
    self.manifest = manifest
    self.sealed = sealed
    logKey = try SigningKey.generate(.ed25519)
    strangerKey = try SigningKey.generate(.ed25519)
    try publish(machines)
  }

  static let manifest = ModelManifest(
    name: "test", kind: .chat,
    files: [.init(role: .weights, name: "w", sha256: .zero, byteCount: 1)], licence: "",
    contextTokens: 4_096, weightBytes: 1, contextBytesPerToken: 1)
  static let model = manifest.id

  /// Publishes a snapshot of these machines, with the lie in force.
  func publish(_ machines: [TestMachine], lie: Lie? = nil) throws {
    try state.withLock { state in
      state.lie = lie
      state.records = machines.map(\.record.encoded)
      if lie == .forgedRecord {
        // The signature is at the end of the statement, before the short evidence.
        let middle = state.records[0].count - 40
        for offset in 0..<8 { state.records[0][middle + offset] ^= 0x55 }
      }
      state.tree = MerkleTree(leafHashes: state.records.map { MerkleHash.leaf($0) })
      let earlier = state.log
      if lie == .rewrittenLog {
        state.log = MerkleTree(leafHashes: earlier.count > 0 ? [.zero] : [])
      }
      let number = UInt64(state.log.count) + 1
      let snapshot = Self.snapshot(
        number + (lie == .wrongNumber ? 1 : 0), state.time, manifest.id, machines.count,
        state.tree.root)
      state.log.append(SHA256.digest(snapshot).bytes)
      let key = lie == .otherKey ? strangerKey : logKey
      let note = try Checkpoint(origin: "test", size: number, root: state.log.root)?
        .signed(by: [(name: "test", signer: key)])
      let shown =
        lie == .otherSnapshot
        ? Self.snapshot(number, state.time + 1, manifest.id, machines.count, state.tree.root)
        : snapshot
      var encoder = CBOREncoder(capacity: 1024)
      encoder.array(4)
      encoder.byteString(shown)
      encoder.byteString(Array((note ?? "").utf8))
      encoder.list(state.log.inclusionProof(index: Int(number) - 1, size: Int(number)) ?? [])
      state.head = encoder.bytes
      state.earlier = lie == .rewrittenLog ? state.log.count : earlier.count
    }
  }

  private static func snapshot(
    _ number: UInt64, _ time: UnixTime, _ model: ModelID, _ size: Int, _ root: Digest
  ) -> [UInt8] {
    var encoder = CBOREncoder(capacity: 256)
    encoder.array(4)
    encoder.unsigned(1)
    encoder.unsigned(number)
    encoder.integer(time.seconds)
    encoder.array(size == 0 ? 0 : 1)
    if size > 0 {
      encoder.array(5)
      encoder.byteString(model.digest.bytes)
      encoder.unsigned(0)
      encoder.unsigned(1)
      encoder.unsigned(UInt64(size))
      encoder.byteString(root.bytes)
    }
    return encoder.bytes
  }

  private func records(_ indexes: [Int]) throws -> [UInt8] {
    try state.withLock { state in
      var indexes = indexes
      if state.lie == .fewerRecords { indexes.removeLast() }
      var encoder = CBOREncoder(capacity: 4096)
      encoder.array(indexes.count)
      for index in indexes {
        var record = state.records[index]
        if state.lie == .otherRecord {
          record = try TestMachine(seed: 99, model: manifest.id).record.encoded
        }
        encoder.array(2)
        encoder.byteString(record)
        encoder.list(state.tree.inclusionProof(index: index, size: state.tree.count) ?? [])
      }
      return encoder.bytes
    }
  }

  func recordsAnswer(_ indexes: [Int]) throws -> [UInt8] { try records(indexes) }

  var directoryAnswer: [UInt8] { directoryAnswer(from: nil) }

  /// What a client gets that knows the log up to a size; `nil` for up to the entry before the last.
  private func directoryAnswer(from known: Int?) -> [UInt8] {
    state.withLock { state in
      let from = state.lie == .rewrittenLog ? state.earlier : known ?? state.earlier
      var encoder = CBOREncoder(capacity: 256)
      encoder.list(
        from > 0 ? state.log.consistencyProof(from: from, to: state.log.count) ?? [] : [])
      return state.head + encoder.bytes
    }
  }

  func verifier(maximumAgeSeconds: Int64 = 3_900) throws -> DirectoryVerifier {
    try DirectoryVerifier(
      origin: "test", key: logKey.verifyingKey.bytes, maximumAgeSeconds: maximumAgeSeconds)
  }

  // MARK: Serving

  private func router() -> Router {
    var router = Router()
    // The same for the network's and a pool's: a test has a coordinator for each.
    for path in ["/v1/directory", "/v1/pools/:pool/directory"] {
      router.get(path) { request in
        self.state.withLock { $0.directories += 1 }
        if let (status, reason) = self.state.withLock({ $0.refusal }) {
          return .json("{\"error\":{\"reason\":\"\(reason)\"}}", status: status)
        }
        return .bytes(self.directoryAnswer(from: request.query("from").flatMap { Int($0) }))
      }
      router.get(path + "/:number/:tree") { request in
        let indexes = (request.query("indexes") ?? "").split(separator: ",").compactMap { Int($0) }
        return .bytes(try self.records(indexes))
      }
    }
    // As the node of this device, it is its first machine.
    router.get("/v1/record") { _ in
      .bytes(self.state.withLock { $0.records.first ?? [] })
    }
    router.get("/v1/manifests/:digest") { _ in
      var manifest = self.manifest
      if self.state.withLock({ $0.lie }) == .otherManifest { manifest.name = "impostor" }
      return .bytes(manifest.encoded)
    }
    router.post("/v1/sealed") { request in
      let envelope = try await request.body.collect(upTo: 1 << 20)
      let number = self.state.withLock { state in
        defer { state.envelopes += 1 }
        return state.envelopes
      }
      return try self.sealed(envelope, number)
    }
    return router
  }

  /// Serves while a body runs with a view and a service of these settings.
  func serve<Result: Sendable>(
    policy: PlacementPolicy = PlacementPolicy(),
    configuration: PrivateInference.Configuration = .calm,
    keep: @escaping @Sendable (SealedPartRunner.KeptReceipt) async -> Void = { _ in },
    _ body: (NetworkView, PrivateInference) async throws -> Result
  ) async throws -> Result {
    try await serve { http in
      let view = NetworkView(
        remotes: [try remote(http)], policy: policy, time: SystemTime(),
        log: Log("test", sink: RecentLog()))
      let service = PrivateInference(
        configuration: configuration, network: view, time: SystemTime(), keep: keep)
      return try await body(view, service)
    }
  }

  /// Its directory, as the network's or a pool's.
  func remote(_ http: HTTPClient, pool: String? = nil) throws -> NetworkView.Remote {
    .init(
      coordinator: CoordinatorClient(
        base: "http://coordinator", apiKey: "k", pool: pool, http: http),
      verifier: try verifier())
  }

  /// Serves while a body runs with connections to it.
  func serve<Result: Sendable>(
    _ body: (HTTPClient) async throws -> Result
  ) async throws -> Result {
    let server = HTTPServer(.init(.memory(memory)), responder: router())
    let running = Task { try await server.run() }
    _ = try await server.boundAddresses()
    var web = HTTPClient.Configuration()
    web.memory = memory
    let http = HTTPClient(web)
    defer { http.close() }
    do {
      let result = try await body(http)
      running.cancel()
      _ = await running.result
      return result
    } catch {
      running.cancel()
      _ = await running.result
      throw error
    }
  }
}

extension CBOREncoder {
  fileprivate mutating func list(_ digests: [Digest]) {
    array(digests.count)
    for digest in digests { byteString(digest.bytes) }
  }
}

extension PrivateInference.Configuration {
  /// Nobody is suspected: on a loaded machine a test's own pauses would look like silence.
  static var calm: Self {
    Self(timeouts: AnswerTimeouts(suspect: .seconds(20), dead: .seconds(30)))
  }
}
