package import BloomAPI
package import BloomBase
internal import BloomCrypto
internal import BloomRecords
internal import BloomSeal
package import BloomNet
package import BloomWire

/// Private inference over a coordinator: the SDK's entry.
package final class PrivateInference: InferenceService {
  /// What the user decides.
  package struct Configuration: Sendable {
    /// Machines of each envelope, 1…4: more is faster under load and shows the key to more.
    package var candidates: Int
    /// How answers are padded.
    package var padding: PaddingProfile
    /// How long each wait of an answer is.
    package var timeouts: AnswerTimeouts
    /// Tokens of an answer whose request names no limit.
    package var defaultMaxTokens: Int
    /// Whether prompts and answers are kept beside their receipts.
    package var keepsContent: Bool
    /// Whether an answer that goes on elsewhere is computed so that its greedy text stays the same.
    ///
    /// Delivered tokens are then replayed as they were computed, which takes longer.
    package var continuesExactly: Bool

    /// Creates a configuration; the defaults are the protocol's.
    package init(
      candidates: Int = 2, padding: PaddingProfile = .padded,
      timeouts: AnswerTimeouts = AnswerTimeouts(), defaultMaxTokens: Int = 4096,
      keepsContent: Bool = false, continuesExactly: Bool = false
    ) {
      self.candidates = candidates
      self.padding = padding
      self.timeouts = timeouts
      self.defaultMaxTokens = defaultMaxTokens
      self.keepsContent = keepsContent
      self.continuesExactly = continuesExactly
    }
  }

  private let configuration: Configuration
  private let network: NetworkView
  private let time: any TimeSource
  private let loops: EventLoopGroup
  /// Prefix caches of machines are shared only within a salt, so only within this device.
  private let salt: [UInt8]
  private let warm = Locked(WarmMachines())
  private let keep: @Sendable (SealedPartRunner.KeptReceipt) async -> Void
  private let acknowledger: ReceiptAcknowledger?

  /// Creates the service; nothing is sent before the first call.
  package init(
    configuration: Configuration = Configuration(), network: NetworkView, time: any TimeSource,
    loops: EventLoopGroup = .shared,
    keep: @escaping @Sendable (SealedPartRunner.KeptReceipt) async -> Void = { _ in }
  ) {
    self.configuration = configuration
    self.network = network
    self.time = time
    self.loops = loops
    self.keep = keep
    acknowledger = network.coordinator.map { ReceiptAcknowledger($0, loop: loops.next()) }
    salt = SecureRandom.bytes(16)
  }

  /// The models that verified machines serve now.
  package func models() async throws -> [ServedModel] {
    do {
      return try await network.models().map(\.served)
    } catch {
      throw Self.unreachable(error)
    }
  }

  /// Seals the request and starts its answer.
  package func begin(_ request: InferenceRequest) async throws -> any RunningAnswer {
    let model: ServedModel?
    do {
      model = try await network.model(named: request.model)
    } catch {
      throw Self.unreachable(error)
    }
    guard let model else {
      if let pool = network.policy.onlyPool, try await isEmptyNetwork() {
        throw APIError(
          status: 503, type: "server_error", code: "pool_empty",
          message: "No machine of the pool \(pool) is connected; `darkbloom pool list` shows them. "
            + "`darkbloom gateway --pool none` asks the whole network.", retryAfterSeconds: 5)
      }
      throw APIError(
        status: 404, type: "invalid_request_error", code: "model_not_found", parameter: "model",
        message: "The model does not exist, or no verified machine serves it now.")
    }
    var random = SecureRandom()
    let answer = AnswerID(using: &random)
    let now = time.unixTime()
    let isTokenless = request.kind == .embeddings || request.kind == .count
    let limit = min(
      65_536,
      (request.maxTokens ?? min(configuration.defaultMaxTokens, max(64, model.contextTokens)))
        * (isTokenless ? 0 : request.choices))
    let canonical = CanonicalRequest(
      kind: Self.kind(request.kind), body: body(request, limit),
      answer: .init(
        id: answer, created: now, now: now,
        seed: request.seed.map { UInt64(bitPattern: $0) & (1 << 53 - 1) }
          ?? random.next() & (1 << 53 - 1)),
      salt: Hex.encode(salt + SHA256.digest(Array((request.cacheKey ?? "").utf8)).bytes.prefix(8)))
    let conversation = WarmMachines.key(request)
    let reading = Self.readingTime(promptBytes: canonical.body.encoded.count)
    let runner = SealedPartRunner(
      network: network, request: canonical, model: model.model,
      options: SealedPartRunner.Options(
        tokenClass: TokenClass(holding: limit) ?? .upTo65536,
        firstToken: Self.queueing + reading, padding: configuration.padding,
        candidates: configuration.candidates, preferred: warm.withLock { $0[conversation] },
        keepsContent: configuration.keepsContent),
      acknowledge: { [acknowledger] in acknowledger?.tell($0) }, keep: keep)
    let loop = loops.next()
    var timeouts = configuration.timeouts
    timeouts.noToken += reading
    let driver = AnswerDriver(
      choices: isTokenless ? 1 : request.choices, isTokenless: isTokenless, runner: runner,
      timeouts: timeouts, time: time, loop: loop)
    await driver.start()
    return SealedAnswer(
      header: AnswerHeader(id: answer.description, created: now.seconds, model: request.model),
      driver: driver, network: network, model: model.model
    ) { [warm, network, configuration] node in
      warm.withLock { $0[conversation] = node }
      // The conversation's next message finds its key exchange done.
      Task {
        await network.prepare(
          model: model.model, count: configuration.candidates, preferring: node)
      }
    }
  }

  private func isEmptyNetwork() async throws -> Bool {
    do {
      return try await network.models().isEmpty
    } catch {
      throw Self.unreachable(error)
    }
  }

  /// The body with a limit that the routing's class covers.
  private func body(_ request: InferenceRequest, _ limit: Int) -> JSONValue {
    guard request.kind == .chat || request.kind == .completion,
      case .object(var members) = request.body
    else { return request.body }
    if request.maxTokens == nil {
      members.removeAll { $0.name == "max_tokens" }
      members.append(.init("max_tokens", .integer(limit / max(1, request.choices))))
    }
    if configuration.continuesExactly {
      members.append(.init("continuation", .string("exact")))
    }
    return .object(members)
  }

  private static func kind(_ kind: InferenceRequest.Kind) -> JobKind {
    switch kind {
    case .chat: .chat
    case .completion: .completion
    case .embeddings: .embeddings
    case .count: .count
    }
  }

  /// For a place at a machine.
  private static let queueing = Duration.seconds(60)

  /// For reading the prompt: 5 ms a byte, some 50 tokens a second; half an hour at most.
  private static func readingTime(promptBytes: Int) -> Duration {
    min(.milliseconds(5) * promptBytes, .seconds(1_800))
  }

  private static func unreachable(_ error: any Error) -> any Error {
    if error is CancellationError || error is APIError { return error }
    if error is PlacementRefusal {
      return APIError(
        status: 422, type: "invalid_request_error", code: "placement_refused",
        message: "Nothing was sent: \(error.safeDescription).")
    }
    return APIError(
      status: 503, type: "server_error", code: "network_unavailable",
      message: "The network cannot be used: \(error.safeDescription).", retryAfterSeconds: 2)
  }
}

/// An answer of the network.
struct SealedAnswer: RunningAnswer {
  let header: AnswerHeader
  let driver: AnswerDriver
  let network: NetworkView
  let model: ModelID
  let served: @Sendable (NodeID) -> Void

  func next() async -> AnswerOutput? {
    let step = await driver.next()
    if case .finished? = step, let node = await driver.servingNode { served(node) }
    return step
  }

  func leave() async { await driver.leave() }

  func facts() async -> AnswerFacts {
    let node = await driver.servingNode
    var tier: String?
    if let node { tier = await network.tier(of: node, model: model).map { "\($0)" } }
    return AnswerFacts(
      node: node, tier: tier, parts: await driver.partCount,
      receipt: await driver.receiptedPart.map { "\(header.id)-\($0)" },
      cost: await driver.cost, placement: await driver.placement)
  }

  func settledFacts() async -> AnswerFacts {
    await driver.settle(within: .seconds(1))
    return await facts()
  }
}

/// Which machine last served a conversation: its prefix cache is warm.
///
/// Bounded, oldest first.
struct WarmMachines {
  private var nodes: [Digest: NodeID] = [:]
  private var order: [Digest] = []
  private let limit = 1024

  subscript(key: Digest) -> NodeID? {
    get { nodes[key] }
    set {
      guard let newValue else { return }
      if nodes.updateValue(newValue, forKey: key) == nil { order.append(key) }
      if order.count > limit { nodes[order.removeFirst()] = nil }
    }
  }

  /// A conversation is known by how it begins: model, system prompt and first message.
  static func key(_ request: InferenceRequest) -> Digest {
    var bytes = Array(request.model.utf8) + [0] + Array((request.cacheKey ?? "").utf8) + [0]
    if let messages = request.body["messages"]?.items {
      for message in messages.prefix(2) { bytes += message.encoded }
    }
    return SHA256.digest(bytes)
  }
}
