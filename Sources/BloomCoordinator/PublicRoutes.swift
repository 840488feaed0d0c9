internal import BloomBase
internal import BloomHTTP
internal import BloomLedger
internal import BloomNet
internal import BloomPlatform
internal import BloomStore
internal import BloomWire

/// The routes that anybody may read, and those that watch the process.
struct PublicRoutes: Sendable {
  let hub: Hub
  let accounts: Accounts
  let figures: PublicFigures
  let metrics: CoordinatorMetrics
  let budget: ByteBudget<AccountID>
  /// Bytes of directory answers on their way.
  let answers: AnswerBudget
  /// The server's own counts; set when the server is there.
  let connections: @Sendable () -> (open: Int, refused: Int)
  let startedAt: Instant
  let time: any TimeSource
  /// Whether `/metrics` answers other machines too.
  let hasPublicMetrics: Bool

  func add(to router: inout Router) {
    metrics.connectionsRefused.withLock { read in
      read = { [connections] in connections().refused }
    }
    router.get("/livez") { _ in .text("ok\n") }
    router.get("/readyz") { [hub] _ in
      if await hub.isDraining { return .text("draining\n", status: .serviceUnavailable) }
      return hub.store.trouble == nil
        ? .text("ok\n") : .text("no database\n", status: .serviceUnavailable)
    }
    router.get("/metrics") { request in await scrape(request) }
    router.get("/openapi.json") { _ in .json(OpenAPI.document) }
    router.get("/v1/models") { [figures] _ in .json(await figures.models().encoded) }
    router.get("/v1/network") { [figures] _ in .json(await figures.network().encoded) }
    router.get("/v1/earnings/estimate") { request in try await estimate(request) }
    router.post("/v1/receipts/ack") { request in try await acknowledge(request) }
  }

  // MARK: Earnings

  private func estimate(_ request: Request) async throws -> Response {
    guard let model = request.query("model"), model.utf8.count <= 128,
      let rate = number("tokens_per_second", in: 0.01...1_000_000, request)
    else {
      return Self.refusal(
        "model and tokens_per_second are needed: "
          + "/v1/earnings/estimate?model=NAME&tokens_per_second=40")
    }
    var machine = EarningsEstimate.Machine(rate: rate)
    machine.hours = number("hours_per_day", in: 0...24, request) ?? 24
    machine.watts = number("watts", in: 0...100_000, request)
    machine.kilowattHourMicros = number("price_per_kwh_micros", in: 0...1e12, request)
      .map { Int64($0) }
    guard let estimate = try await figures.estimate(model, machine) else {
      return Self.refusal(
        "no machine serves this model; /v1/models lists those that are", .notFound)
    }
    return .json(estimate.encoded)
  }

  private func number(
    _ name: String, in range: ClosedRange<Double>, _ request: Request
  ) -> Double? {
    request.query(name).flatMap { Double($0) }.flatMap { range.contains($0) ? $0 : nil }
  }

  private static func refusal(_ message: String, _ status: HTTPStatus = .badRequest) -> Response {
    .json(
      JSONValue.members(["error": .members(["message": .string(message)])]).encoded,
      status: status)
  }

  // MARK: Acknowledgements

  private static let ackBytes = 4096

  private func acknowledge(_ request: Request) async throws -> Response {
    guard
      let account = accounts.account(
        authorization: request.headers[.authorization], now: time.unixTime())
    else {
      return SealedRoute.refusal(.unauthorized)
    }
    guard let ack = Acknowledgement(try await request.smallBody(upTo: Self.ackBytes)) else {
      return SealedRoute.refusal(.malformed)
    }
    let outcome = try await hub.acknowledge(ack, by: account)
    return .json(
      JSONValue.members(["status": .string("\(outcome)")]).encoded,
      status: outcome == .unknown ? .notFound : .ok)
  }

  // MARK: Metrics

  private func scrape(_ request: Request) async -> Response {
    // What stands behind a proxy looks like loopback: then the proxy says whose request it is.
    let isForwarded =
      request.headers["X-Forwarded-For"] != nil || request.headers["Forwarded"] != nil
    var isLocal = !isForwarded
    if case .ip(let address, _) = request.connection.peer, !address.isLoopback { isLocal = false }
    guard isLocal || hasPublicMetrics else {
      return .text("metrics are for this machine; set metrics: \"public\"\n", status: .forbidden)
    }
    await hub.measure()
    metrics.connections.set(connections().open)
    metrics.envelopeBytes.set(budget.used)
    metrics.directoryBytes.set(answers.used)
    metrics.uptimeSeconds.set(Int((time.now() - startedAt).components.seconds))
    if let facts = ProcessFacts.current() {
      metrics.residentBytes.set(facts.residentBytes)
      metrics.openFiles.set(facts.openFiles)
    }
    return .bytes(
      Array(metrics.registry.prometheusText.utf8), type: "text/plain; version=0.0.4; charset=utf-8")
  }
}

/// What the system says of this process; Linux only, by proc(5).
struct ProcessFacts: Sendable {
  var residentBytes: Int
  var openFiles: Int

  static func current() -> ProcessFacts? {
    guard let text = SmallFile.read("/proc/self/status", limitBytes: 65_536) else { return nil }
    func value(_ name: String) -> Int? {
      text.split(separator: "\n").first { $0.hasPrefix(name) }
        .flatMap { $0.split(whereSeparator: { $0 == " " || $0 == "\t" }).dropFirst().first }
        .flatMap { Int($0) }
    }
    guard let kibibytes = value("VmRSS:"),
      let files = try? PrivateFolder(making: "/proc/self/fd").names()
    else { return nil }
    return ProcessFacts(residentBytes: kibibytes * 1024, openFiles: files.count)
  }
}
