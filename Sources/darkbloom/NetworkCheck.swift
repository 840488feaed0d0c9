internal import BloomBase
internal import BloomClient
internal import BloomCrypto
internal import BloomHTTP
internal import BloomModels
internal import BloomNet
internal import BloomRecords
internal import BloomSeal
internal import BloomWire

/// The steps of `netcheck`, each on the one before.
struct NetworkCheck: Sendable {
  private let context: CommandContext
  private let time = SystemTime()

  init(_ context: CommandContext) { self.context = context }

  /// Every finding, in order; steps that a fault makes pointless are left out.
  func run() async -> [Finding] {
    var findings: [Finding] = []
    do {
      let network =
        try context.command.value("network").map { try JoinedNetwork(path: $0) }
        ?? JoinedNetwork.current(context)
      findings.append(.fine("network", "this device joined \(network.origin)"))
      findings += await check(network)
    } catch {
      findings.append(
        .fault(
          "network", error.spoken,
          fix: "join a network with darkbloom join LINK, or run your own: darkbloom up"))
    }
    findings.append(await gateway())
    return findings
  }

  private func check(_ network: JoinedNetwork) async -> [Finding] {
    let http = context.webClient()
    defer { http.close() }
    let reached = await reach(network, http)
    guard reached.allSatisfy({ $0.verdict != .fault }) else { return reached }
    return await reached + directory(network, http) + [account(network, http)]
  }

  // MARK: Coordinator

  /// Reaches the coordinator some times: first answer, latency, clock, TLS.
  private func reach(_ network: JoinedNetwork, _ http: HTTPClient) async -> [Finding] {
    var milliseconds: [Double] = []
    var findings: [Finding] = []
    for attempt in 0..<5 {
      let start = time.now()
      do {
        let response = try await http.send(
          try ClientRequest.get(network.url + "/livez"), timeout: .seconds(10))
        _ = try await response.body.collect(upTo: 65_536)
        milliseconds.append(Double((time.now() - start).wholeNanoseconds) / 1e6)
        guard response.status == .ok else {
          return [
            .fault(
              "coordinator", "it answers with status \(response.status.code)",
              fix: "ask its operator; requests cannot be placed until it is back")
          ]
        }
        if attempt == 0 {
          findings.append(clock(response))
          let isLocal = (try? HTTPURL(network.url))?.authority.isLoopback ?? false
          findings.append(
            response.tls != nil
              ? .fine("tls", "the coordinator's certificate is valid")
              : isLocal
                ? .fine("tls", "not needed, the coordinator is on this machine")
                : .warning(
                  "tls", "the coordinator is reached without TLS",
                  fix: "prompts are sealed all the same, but your API key is in clear: use https"))
        }
      } catch {
        return [unreachable(error)]
      }
    }
    let sorted = milliseconds.sorted()
    let median = Self.rounded(sorted[sorted.count / 2])
    let first = Self.rounded(milliseconds[0])
    return [
      .fine("coordinator", "reached in \(median) ms, the first time in \(first) ms")
    ] + findings
  }

  private func unreachable(_ error: any Error) -> Finding {
    let fix =
      switch (error as? NetError)?.code {
      case .nameNotFound: "check the internet connection and the name in the network file"
      case .connectFailed, .timedOut:
        "check the internet connection and firewall; if others reach it, ask the operator"
      case .tlsFailed, .badCertificate:
        "check this device's clock; a proxy that opens TLS must not be used"
      case .proxyFailed: "check HTTPS_PROXY, or name the coordinator's host in NO_PROXY"
      default: "try again in a minute; if it stays, ask the operator of the network"
      }
    return .fault("coordinator", error.safeDescription, fix: fix)
  }

  private func clock(_ response: ClientResponse) -> Finding {
    guard let there = response.headers[.date].flatMap({ HTTPDate.time($0) }) else {
      return .warning(
        "clock", "the coordinator tells no time", fix: "compare this device's clock yourself")
    }
    let skew = time.unixTime().seconds - there.seconds
    guard abs(skew) > 60 else {
      return .fine("clock", "within \(max(1, abs(skew))) s of the coordinator's")
    }
    let text = "\(abs(skew)) s \(skew > 0 ? "ahead of" : "behind") the coordinator's"
    let fix = "set the clock by the network: machines' keys are refused beyond 120 s"
    return abs(skew) > 120
      ? .fault("clock", text, fix: fix) : .warning("clock", text, fix: fix)
  }

  // MARK: Directory

  private func directory(_ network: JoinedNetwork, _ http: HTTPClient) async -> [Finding] {
    let coordinator = CoordinatorClient(base: network.url, apiKey: network.apiKey, http: http)
    do {
      let verifier = try DirectoryVerifier(origin: network.origin, key: network.logKey)
      let now = time.unixTime()
      let bytes = try await coordinator.directory(earlier: 0)
      let (snapshot, log) = try verifier.snapshot(bytes, known: nil, now: now)
      let age = max(0, now.seconds - snapshot.time.seconds)
      let signed = Finding.fine(
        "directory",
        "signed by the pinned key, entry \(log.size), \(age) s old, proofs hold")
      return [signed] + (try await machines(snapshot, verifier, coordinator, now))
    } catch let error as DirectoryError {
      let fix =
        switch error {
        case .signature, .rewritten, .notIncluded:
          "do not use this network until its operator has explained it"
        case .stale: "set this device's clock; if it is right, ask the operator"
        case .malformed: "update this program; if it is new, ask the operator"
        }
      return [.fault("directory", error.publicDescription, fix: fix)]
    } catch {
      return [
        .fault(
          "directory", error.safeDescription, fix: "try again in a minute; then ask the operator")
      ]
    }
  }

  /// Draws records of each model and verifies them as a request would.
  private func machines(
    _ snapshot: DirectorySnapshot, _ verifier: DirectoryVerifier,
    _ coordinator: CoordinatorClient, _ now: UnixTime
  ) async throws -> [Finding] {
    var counts: [ModelID: (all: Int, fit: [Tier: Int])] = [:]
    for (position, tree) in snapshot.trees.enumerated() {
      let indexes = Array(0..<min(64, tree.size))
      let answer = try await coordinator.records(
        snapshot: snapshot.number, tree: position, indexes: indexes)
      counts[tree.model, default: (0, [:])].all += tree.size
      for record in try verifier.records(answer, tree: tree, indexes: indexes) {
        // A record that does not pass is left out, as it is of requests.
        guard let node = try? TierPolicy(minimum: .software).admit(record, at: now) else {
          continue
        }
        counts[tree.model, default: (0, [:])].fit[node.tier, default: 0] += 1
      }
    }
    var findings: [Finding] = []
    for (model, count) in counts.sorted(by: { $0.key < $1.key }) {
      let manifest = try? await coordinator.manifest(model)  // without one it has no name
      let name = manifest.flatMap { try? ModelManifest(decoding: $0) }?.name
      let tiers = count.fit.sorted { $0.key > $1.key }.map { "\($0.value) of tier \($0.key)" }
      let label = name ?? "\(model.digest.hex.prefix(8))"
      findings.append(
        count.fit.isEmpty
          ? .warning(
            "model", "\(label): none of \(count.all) machines passes verification",
            fix: "try again in a minute; machines renew their keys every hour")
          : .fine(
            "model", "\(label): \(count.all) machines, verified \(tiers.joined(separator: ", "))"))
    }
    if findings.contains(where: { $0.verdict == .fine }) { return findings }
    return findings + [
      .fault(
        "machines", "no verified machine serves any model now",
        fix: "serve one yourself: darkbloom node run --model NAME")
    ]
  }

  /// An empty envelope is refused as malformed when the key is good, and as unauthorized when not.
  private func account(_ network: JoinedNetwork, _ http: HTTPClient) async -> Finding {
    let coordinator = CoordinatorClient(base: network.url, apiKey: network.apiKey, http: http)
    do {
      _ = try await coordinator.send([])
      return .fine("account", "the API key is known")
    } catch let refusal as CoordinatorClient.Refusal {
      if refusal.reason == .unauthorized {
        return .fault(
          "account", "the network does not know this device's API key",
          fix: "log in again: darkbloom login")
      }
      return .fine("account", "the API key is known")
    } catch {
      return .warning("account", error.safeDescription, fix: "try again in a minute")
    }
  }

  // MARK: Gateway

  private func gateway() async -> Finding {
    do {
      let models = try await GatewayClient(context).models()
      guard !models.isEmpty else {
        return .fault(
          "gateway", "it runs, and lists no model",
          fix: "see the lines above; with a policy that is too strict no machine fits")
      }
      return .fine("gateway", "it runs and lists \(models.joined(separator: ", "))")
    } catch let error as UnavailableError {
      return .warning(
        "gateway", error.publicDescription, fix: "start it for programs that speak OpenAI's API")
    } catch {
      return .warning("gateway", error.safeDescription, fix: "see its messages")
    }
  }

  // MARK: Parts

  private static func rounded(_ value: Double) -> String {
    value >= 10 ? "\(Int(value.rounded()))" : "\((value * 10).rounded() / 10)"
  }
}
