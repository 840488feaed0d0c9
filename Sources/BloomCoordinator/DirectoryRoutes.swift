internal import BloomBase
internal import BloomCrypto
internal import BloomHTTP
internal import BloomNet
internal import BloomRecords
internal import BloomWire

/// Bounds what answers of directories hold while slow readers take them.
///
/// A page of records is up to 12 MiB, and a reader may take half a minute for each 256 KiB. One
/// address (IPv6: /64) may have a quarter of all under way.
struct AnswerBudget: Sendable {
  private let budget: ByteBudget<[UInt8]>
  private let limits: RequestLimits
  private let metrics: CoordinatorMetrics

  init(limit: Int, limits: RequestLimits, metrics: CoordinatorMetrics) {
    budget = ByteBudget(limit: limit)
    self.limits = limits
    self.metrics = metrics
  }

  /// Bytes under way now.
  var used: Int { budget.used }

  /// The answer, or a refusal when too much is under way already.
  func response(_ bytes: [UInt8], to request: Request) -> Response {
    let held = budget.share(of: limits.subscriber(of: request) ?? [])
    guard held.grow(by: bytes.count) else {
      metrics.limited(.memory)
      return SealedRoute.refusal(.queueFull, retryAfter: .seconds(1))
    }
    return .stream("application/cbor") { writer in
      defer { _ = held }
      try await writer.write(bytes)
    }
  }
}

/// The network's directory, its records, and the manifests of its models.
struct DirectoryRoutes: Sendable {
  let hub: Hub
  let catalog: ManifestCatalog
  let answers: AnswerBudget

  func add(to router: inout Router) {
    router.get("/v1/directory") { [hub, answers] request in
      let earlier = request.query("from").flatMap { Int($0) } ?? 0
      guard let bytes = await hub.directoryAnswer(earlier: earlier) else {
        return .text("no directory for that size\n", status: .notFound)
      }
      return answers.response(bytes, to: request)
    }
    router.get("/v1/directory/:number/:tree") { [hub, answers] request in
      let indexes = (request.query("indexes") ?? "").split(separator: ",").compactMap { Int($0) }
      guard let number = request.parameters["number"].flatMap({ UInt64($0) }),
        let tree = request.parameters["tree"].flatMap({ Int($0) }),
        let bytes = await hub.directoryAnswer(snapshot: number, tree: tree, indexes: indexes)
      else { return .text("no such records; fetch the directory again\n", status: .notFound) }
      return answers.response(bytes, to: request)
    }
    router.get("/v1/manifests/:digest") { [catalog] request in
      guard let bytes = request.parameters["digest"].flatMap({ Hex.decode($0) }),
        let digest = Digest(bytes), let manifest = catalog.manifest(ModelID(digest))
      else { return .text("no such manifest\n", status: .notFound) }
      return .bytes(manifest, type: "application/cbor")
    }
  }
}
