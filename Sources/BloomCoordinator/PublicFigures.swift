internal import BloomBase
internal import BloomLedger
internal import BloomModels
internal import BloomStore
internal import BloomWire

/// The public figures as JSON, made at most once a minute whoever asks how often.
///
/// Safe from any thread.
final class PublicFigures: Sendable {
  private struct Cached: Sendable {
    var figures: NetworkFigures
    var names: [ModelID: ModelManifest]
    var at: Instant
  }
  private struct Demand: Sendable {
    var byModel: [ModelID: [EarningsEstimate.Day]]
    var at: Instant
  }
  private struct State: Sendable {
    var cached: Cached?
    var demand: Demand?
    /// Whoever comes meanwhile waits for these: a crowd costs one reading, not one each.
    var counting: Task<Cached, Never>?
    var reading: Task<Demand, any Error>?
  }

  /// How long figures are the same for everybody.
  static let refreshSeconds: Int64 = 60
  private static let demandSeconds: Int64 = 600

  private let hub: Hub
  private let store: LedgerStore
  private let catalog: ManifestCatalog
  private let time: any TimeSource
  private let state = Locked(State())

  init(hub: Hub, store: LedgerStore, catalog: ManifestCatalog, time: any TimeSource) {
    self.hub = hub
    self.store = store
    self.catalog = catalog
    self.time = time
  }

  /// `GET /v1/models`, in OpenAI's shape.
  func models() async -> JSONValue {
    let cached = await current()
    return .members([
      "object": .string("list"),
      "data": .array(
        cached.figures.models.map { model in
          .members([
            "id": .string(name(model.model, cached)), "object": .string("model"),
            "created": .integer(0),
            "owned_by": .string("darkbloom"), "manifest": .string(model.model.digest.hex),
            "available": .bool(model.isAvailable), "price": price(model.model, cached),
          ])
        }),
    ])
  }

  /// `GET /v1/network`.
  func network() async -> JSONValue {
    let cached = await current()
    let figures = cached.figures
    return .members([
      "object": .string("network"), "measured_at": .integer(figures.measuredAt.seconds),
      "refreshed_every_seconds": .integer(Self.refreshSeconds),
      "window_seconds": .integer(FleetFigures.window.components.seconds),
      "minimum_machines": .integer(NetworkFigures.minimumMachines),
      "routable_machines": .count(figures.machines),
      "models": .array(
        figures.models.map { model in
          .members([
            "id": .string(name(model.model, cached)),
            "manifest": .string(model.model.digest.hex), "available": .bool(model.isAvailable),
            "routable_machines": .count(model.machines), "routable_slots": .count(model.slots),
            "decode_tokens_per_second": .count(model.decodeRate),
            "answer_tokens_per_second": .spread(model.rate),
            "first_token_milliseconds": .spread(model.firstToken),
            "price": price(model.model, cached),
          ])
        }),
    ])
  }

  /// `GET /v1/earnings/estimate`.
  ///
  /// - Parameters:
  ///   - name: A model's name or the digest of its manifest.
  ///   - machine: What the person who asks says of the machine.
  /// - Returns: `nil` when no machine serves such a model.
  /// - Throws: `StoreError` when the settled demand cannot be read.
  func estimate(_ name: String, _ machine: EarningsEstimate.Machine) async throws -> JSONValue? {
    let cached = await current()
    guard
      let model = cached.figures.models.first(where: {
        self.name($0.model, cached) == name || $0.model.digest.hex == name
      })
    else { return nil }
    let days = try await demand()[model.model] ?? []
    let estimate = EarningsEstimate(machine, days: days, fleetRate: model.decodeRate)
    return .members([
      "object": .string("earnings_estimate"), "model": .string(self.name(model.model, cached)),
      "measured_at": .integer(cached.figures.measuredAt.seconds), "period": .string("day"),
      "days_of_demand": .integer(days.count),
      "share": estimate.share.flatMap { JSONNumber(($0 * 10_000).rounded() / 10_000) }
        .map { .number($0) } ?? .string("unknown"),
      "gross_micros": .range(estimate.gross), "electricity_micros": .range(estimate.electricity),
      "net_micros": .range(estimate.net),
      "unknown_because": .array(estimate.gaps.map { .string($0.rawValue) }),
      "note": .string(
        """
        your machine's share of what was settled, if demand stays and machines are drawn evenly; \
        a range, not a promise
        """),
    ])
  }

  private func name(_ model: ModelID, _ cached: Cached) -> String {
    cached.names[model]?.name ?? model.digest.hex
  }

  private func price(_ model: ModelID, _ cached: Cached) -> JSONValue {
    let kind: BloomLedger.JobKind =
      switch cached.names[model]?.kind {
      case .completion: .completion
      case .embeddings: .embeddings
      case .transcription: .transcription
      case .chat, nil: .chat
      }
    let price = store.read {
      $0.prices.listPrice(PriceKey(model, kind), version: $0.prices.version)
    }
    return .members([
      "prompt_micros_per_million_tokens": .integer(price.promptPerMillion),
      "completion_micros_per_million_tokens": .integer(price.completionPerMillion),
    ])
  }

  private func current() async -> Cached {
    let now = time.now()
    if let cached = state.withLock({ $0.cached }), now - cached.at < .seconds(Self.refreshSeconds) {
      return cached
    }
    let counting = state.withLock { state -> Task<Cached, Never> in
      if let running = state.counting { return running }
      let task = Task<Cached, Never> { await self.count(at: now) }
      state.counting = task
      return task
    }
    return await counting.value
  }

  private func count(at now: Instant) async -> Cached {
    let figures = NetworkFigures(await hub.fleet(), at: time.unixTime())
    var names: [ModelID: ModelManifest] = [:]
    for model in figures.models {
      // A manifest that cannot be read leaves the model with its digest for a name.
      names[model.model] = catalog.manifest(model.model).flatMap {
        try? ModelManifest(decoding: $0)
      }
    }
    let cached = Cached(figures: figures, names: names, at: now)
    state.withLock { state in
      state.cached = cached
      state.counting = nil
    }
    return cached
  }

  /// What owners were paid on the last seven whole days.
  private func demand() async throws -> [ModelID: [EarningsEstimate.Day]] {
    let now = time.now()
    if let demand = state.withLock({ $0.demand }), now - demand.at < .seconds(Self.demandSeconds) {
      return demand.byModel
    }
    let reading = state.withLock { state -> Task<Demand, any Error> in
      if let running = state.reading { return running }
      let task = Task<Demand, any Error> {
        defer { self.state.withLock { $0.reading = nil } }
        return try await self.read(at: now)
      }
      state.reading = task
      return task
    }
    return try await reading.value.byModel
  }

  private func read(at now: Instant) async throws -> Demand {
    let today = Int32(clamping: time.unixTime().seconds / 86400)
    var byModel: [ModelID: [EarningsEstimate.Day]] = [:]
    for (key, usage) in try await store.demand(days: (today - 7)...(today - 1)) {
      byModel[key.model, default: []].append(
        EarningsEstimate.Day(
          earned: usage.gross - usage.fee + usage.replayPaid,
          completionTokens: usage.completionTokens))
    }
    let demand = Demand(byModel: byModel, at: now)
    state.withLock { $0.demand = demand }
    return demand
  }
}

extension JSONValue {
  /// A count, or `null` where it is not told.
  fileprivate static func count(_ value: Int?) -> JSONValue { value.map { .integer($0) } ?? .null }

  fileprivate static func spread(_ value: NetworkFigures.Spread?) -> JSONValue {
    guard let value else { return .null }
    return .members(["p50": .integer(value.median), "p95": .integer(value.high)])
  }

  /// `{"low", "high"}`, or `"unknown"`.
  fileprivate static func range(_ range: ClosedRange<Int64>?) -> JSONValue {
    guard let range else { return .string("unknown") }
    return .members(["low": .integer(range.lowerBound), "high": .integer(range.upperBound)])
  }
}
