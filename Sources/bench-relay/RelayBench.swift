internal import BloomBase
internal import BloomBench
internal import BloomHTTP
internal import BloomNet
internal import BloomPlatform
internal import BloomRecords
internal import BloomTestSupport
internal import BloomWire

#if canImport(Glibc)
internal import Glibc
#else
internal import Darwin
#endif

/// The coordinator's figures: the real program between real clients and real node links.
struct RelayBench {
  private let group = EventLoopGroup(count: 1)
  /// What a failure must not leave behind.
  private let started = Locked<[Subprocess]>([])
  private let folder: TemporaryFolder
  private static let tokens = 256
  private static let streams = 32
  private static let nodeCount = 10_000

  /// What can be measured alone, in the order of the table.
  private static let parts = ["first", "chunks", "router", "tls", "nodes"]

  init() throws { folder = try TemporaryFolder("bench-relay") }

  /// Measures.
  ///
  /// - Parameter names: Parts to measure, of ``parts``; all when empty.
  /// - Returns: A row for each figure.
  /// - Throws: What a connection throws, or `UsageError` for an unknown part.
  func run(only names: [String]) async throws -> [BenchRow] {
    let parts = Set(names.isEmpty ? Self.parts : names)
    guard parts.isSubset(of: Self.parts) else {
      throw UsageError("the parts of this benchmark are: \(Self.parts.joined(separator: ", "))")
    }
    ProcessCost.raiseDescriptorLimit()
    let identity = try TLSIdentity.selfSigned(names: ["127.0.0.1"])
    try write(identity.certificate, to: folder.path + "/bench.crt")
    try write(identity.key, to: folder.path + "/bench.key")
    do {
      let rows = try await plain(parts)
      let router = parts.contains("router") ? try await router() : []
      return try await rows + router + secure(identity, parts)
    } catch {
      for process in started.withLock({ $0 }) { process.signal(9) }
      throw error
    }
  }

  /// As the node agent's: the link's own machine asks for signs of life.
  private static let options: WebSocketOptions = {
    var options = WebSocketOptions()
    options.pingInterval = nil
    options.idleTimeout = nil
    return options
  }()

  private var port: Int { 20_000 + Int(getpid()) % 20_000 }

  private func client(_ identity: TLSIdentity? = nil) -> HTTPClient {
    var configuration = HTTPClient.Configuration()
    configuration.maxConnectionsPerHost = 64
    configuration.maxIdleConnections = 64
    if let identity { configuration.tls.roots = .custom(identity.certificate) }
    return HTTPClient(configuration, group: group)
  }

  // MARK: Without TLS, beside nginx

  private func plain(_ parts: Set<String>) async throws -> [BenchRow] {
    guard parts.contains("first") || parts.contains("chunks") else { return [] }
    let machine = try BenchMachine(1, evidenceBytes: 0)
    let direct = DirectMachine(try BenchMachine(1, evidenceBytes: 0), loop: group.next())
      .server(group)
    let serving = Task { try await direct.run() }
    defer { serving.cancel() }
    let directPort = try await direct.boundAddresses()[0].port ?? 0
    // Without nginx its rows say so by not holding.
    let nginx = try await startNginx(to: directPort)
    defer { withExtendedLifetime(nginx) {} }
    let coordinator = try await launch(
      folder: folder.path + "/plain", port: port, certificate: nil)
    let empty = ProcessCost.residentKiB(coordinator.process.processID) / 1024
    let client = client()
    defer { client.close() }
    var rows = [
      BenchRow(
        "empty process", value: empty, unit: "MiB", target: "<= 30", holds: empty <= 30)
    ]
    if parts.contains("first") {
      let node = try await join(coordinator, machine, tokens: 1, client)
      // On the loop, as a gateway's requests are: hops between threads are no part of the way.
      let task = Task(executorPreference: group.next()) {
        try await latencies(coordinator, machine, directPort, nginx, client)
      }
      rows += try await task.value
      node.cancel()
      try await until("the node left") {
        await coordinator.metric("darkbloom_nodes{state=\"connected\"}", client) == 0
      }
    }
    if parts.contains("chunks") { rows += try await chunks(coordinator, machine, nginx, client) }
    try await coordinator.stop()
    return rows
  }

  /// What a chunk of many streams at once costs without TLS.
  private func chunks(
    _ coordinator: BenchCoordinator, _ machine: BenchMachine, _ nginx: Nginx?,
    _ client: HTTPClient
  ) async throws -> [BenchRow] {
    let node = try await join(coordinator, machine, tokens: Self.tokens, client)
    defer { node.cancel() }
    var own: [Double] = []
    var peer: [Double] = []
    for _ in 0..<3 {
      own.append(try await chunkCost(coordinator, machine, client))
      if let nginx { peer.append(try await nginxCost(nginx, machine, client)) }
    }
    let each = own.median
    let ratio = peer.isEmpty ? nil : peer.median / each
    return [
      BenchRow(
        "answers of \(Self.tokens) chunks for each CPU second", value: 1e6 / each, unit: "chunks/s",
        peer: "nginx", ratio: ratio, target: ">= 0.5 x nginx",
        holds: ratio.map { $0 >= 0.5 } ?? false),
      BenchRow(
        "512 B chunks on one core without TLS", value: 1e6 / each, unit: "chunks/s",
        target: ">= 60000", holds: 1e6 / each >= 60_000),
    ]
  }

  /// What the way through the coordinator, and through nginx, adds to the first chunk.
  private func latencies(
    _ coordinator: BenchCoordinator, _ machine: BenchMachine, _ directPort: Int, _ nginx: Nginx?,
    _ client: HTTPClient
  ) async throws -> [BenchRow] {
    var through: [Double] = []
    var direct: [Double] = []
    var proxied: [Double] = []
    for round in 0..<600 {
      let first = try await firstByte(
        coordinator.base + "/v1/sealed", try machine.seal(tokens: .upTo64), coordinator.key, client,
        past: 1)
      let second = try await firstByte(
        "http://127.0.0.1:\(directPort)/v1/sealed/1", try machine.seal(tokens: .upTo64), nil, client
      )
      var third = 0.0
      if nginx != nil {
        third = try await firstByte(
          "http://127.0.0.1:\(nginxPort)/v1/sealed/1", try machine.seal(tokens: .upTo64), nil,
          client)
      }
      guard round >= 100 else { continue }
      through.append(first)
      direct.append(second)
      proxied.append(third)
    }
    let added = through.median - direct.median
    let nginxAdded = nginx == nil ? nil : proxied.median - direct.median
    return [
      BenchRow(
        "added to the first chunk, p50", value: added / 1000, unit: "ms", peer: "nginx",
        ratio: nginxAdded.map { added / max(1, $0) }, target: "<= 0.35 ms", holds: added <= 350)
    ]
  }

  private static let routerAdds = "LiteLLM adds to the first chunk, p50"
  private static let routerCosts = "LiteLLM, 512 B chunk without TLS, CPU"

  /// What an inference router adds and costs, for the same sizes; rows that do not hold when there
  /// is none.
  private func router() async throws -> [BenchRow] {
    let client = client()
    defer { client.close() }
    let script = RouterPeer.script(group)
    let serving = Task { try await script.run() }
    defer { serving.cancel() }
    let upstream = try await script.boundAddresses()[0].port ?? 0
    guard
      let peer = try await RouterPeer.start(
        folder: folder.path, port: port + 3, upstream: upstream, client: client, group: group)
    else {
      ProcessEnvironment.complain("bench-relay: no inference router at \(RouterPeer.program)")
      return [
        BenchRow(Self.routerAdds, value: .nan, unit: "ms", peer: "LiteLLM", holds: false),
        BenchRow(Self.routerCosts, value: .nan, unit: "us", peer: "LiteLLM", holds: false),
      ]
    }
    started.withLock { $0.append(peer.process) }
    let direct = "http://127.0.0.1:\(upstream)/v1/script/"
    var added: [Double] = []
    for round in 0..<120 {  // one at a time, as beside nginx
      let through = try await firstByte(RouterPeer.request(peer.base + "/v1", tokens: 1), client)
      let alone = try await firstByte(RouterPeer.request(direct + "1", tokens: 1), client)
      if round >= 20 { added.append(through - alone) }
    }
    let streams = 8
    let before = ProcessCost.cpuMicroseconds(peer.process.processID)
    try await withThrowingTaskGroup(of: Void.self) { tasks in
      for _ in 0..<streams {
        tasks.addTask {
          let request = try RouterPeer.request(peer.base + "/v1", tokens: Self.tokens)
          _ = try await firstByte(request, client)
        }
      }
      try await tasks.waitForAll()
    }
    let spent = ProcessCost.cpuMicroseconds(peer.process.processID) - before
    await peer.stop()
    return [
      BenchRow(Self.routerAdds, value: added.median / 1000, unit: "ms"),
      BenchRow(
        Self.routerCosts, value: spent / Double(streams * Self.tokens), unit: "us"),
    ]
  }

  /// Times an answer's first sealed byte; the rest is read before it returns.
  ///
  /// - Parameters:
  ///   - url: Where the envelope goes.
  ///   - envelope: A sealed request.
  ///   - key: The account's key.
  ///   - client: The connections.
  ///   - past: Outer records before sealed bytes, which need not come in one piece.
  /// - Returns: Microseconds.
  /// - Throws: What the connection throws.
  private func firstByte(
    _ url: String, _ envelope: [UInt8], _ key: String?, _ client: HTTPClient, past: Int = 0
  ) async throws -> Double {
    var request = try ClientRequest.post(url, envelope, type: "application/darkbloom-req")
    if let key { request.headers.add(.authorization, try HTTPFieldValue("Bearer " + key)) }
    return try await firstByte(request, client, past: past)
  }

  private func firstByte(
    _ request: ClientRequest, _ client: HTTPClient, past: Int = 0
  ) async throws -> Double {
    let start = ContinuousClock.now
    let response = try await client.send(request)
    guard response.status == .ok else { throw UsageError("refused: \(response.status)") }
    var first: Double?
    var decoder = OuterRecordDecoder()
    for try await bytes in response.body {
      guard first == nil else { continue }
      if past == 0 {
        first = microseconds(since: start)
        continue
      }
      decoder.append(bytes)
      while let item = try decoder.next() {
        if case .sealed = item.record, first == nil { first = microseconds(since: start) }
      }
    }
    guard let first else { throw UsageError("an answer had no sealed bytes") }
    return first
  }

  /// CPU microseconds of the coordinator for each chunk of many streams at once.
  private func chunkCost(
    _ coordinator: BenchCoordinator, _ machine: BenchMachine, _ client: HTTPClient
  ) async throws -> Double {
    try await cost(coordinator.process.processID, machine) {
      try await ask(coordinator.base + "/v1/sealed", $0, coordinator.key, client)
    }
  }

  private func nginxCost(
    _ nginx: Nginx, _ machine: BenchMachine, _ client: HTTPClient
  ) async throws -> Double {
    try await cost(nginx.worker, machine) {
      try await ask(
        "http://127.0.0.1:\(nginxPort)/v1/sealed/\(Self.tokens)", $0, nil, client)
    }
  }

  private func cost(
    _ process: Int32, _ machine: BenchMachine,
    _ ask: @escaping @Sendable ([UInt8]) async throws -> Void
  ) async throws -> Double {
    let rounds = 6
    let envelopes = try (0..<Self.streams * rounds).map { _ in try machine.seal(tokens: .upTo256) }
    let before = ProcessCost.cpuMicroseconds(process)
    try await withThrowingTaskGroup(of: Void.self) { tasks in
      for stream in 0..<Self.streams {
        tasks.addTask(executorPreference: group.next()) {
          for round in 0..<rounds { try await ask(envelopes[stream * rounds + round]) }
        }
      }
      try await tasks.waitForAll()
    }
    return (ProcessCost.cpuMicroseconds(process) - before)
      / Double(Self.streams * rounds * Self.tokens)
  }

  private func ask(
    _ url: String, _ envelope: [UInt8], _ key: String?, _ client: HTTPClient
  ) async throws {
    var request = try ClientRequest.post(url, envelope, type: "application/darkbloom-req")
    if let key { request.headers.add(.authorization, try HTTPFieldValue("Bearer " + key)) }
    let response = try await client.send(request)
    var count = 0
    for try await bytes in response.body { count += bytes.count }
    guard response.status == .ok, count > Self.tokens * 512 else {
      throw UsageError("an answer was \(count) bytes, status \(response.status)")
    }
  }

  // MARK: With TLS

  private func secure(
    _ identity: TLSIdentity, _ parts: Set<String>
  ) async throws -> [BenchRow] {
    let client = client(identity)
    defer { client.close() }
    var rows: [BenchRow] = []
    if parts.contains("tls") {
      let coordinator = try await launch(
        folder: folder.path + "/chunks", port: port + 1, certificate: folder.path + "/bench")
      let machine = try BenchMachine(1, evidenceBytes: 0)
      let node = try await join(coordinator, machine, tokens: Self.tokens, client)
      var costs: [Double] = []
      for _ in 0..<3 { costs.append(try await chunkCost(coordinator, machine, client)) }
      node.cancel()
      let each = costs.median
      rows.append(
        BenchRow(
          "512 B chunk relayed over TLS, CPU", value: each, unit: "us", target: "<= 8",
          holds: each <= 8))
      try await coordinator.stop()
    }
    if parts.contains("nodes") { rows += try await nodes(client) }
    return rows
  }

  /// Ten thousand machines at once, and their return after a restart.
  private func nodes(_ client: HTTPClient) async throws -> [BenchRow] {
    let data = folder.path + "/secure"
    var coordinator = try await launch(
      folder: data, port: port + 1, certificate: folder.path + "/bench")
    var rows: [BenchRow] = []
    let fleet = try (1...Self.nodeCount).map { try BenchMachine($0, evidenceBytes: 4_096) }
    let before = ProcessCost.residentKiB(coordinator.process.processID)
    var nodes = try await gather(fleet, coordinator, client)
    try await group.next().sleep(for: .seconds(3))
    let count = await coordinator.metric("darkbloom_nodes{state=\"routable\"}", client) ?? 0
    let memory =
      (ProcessCost.residentKiB(coordinator.process.processID) - before) * 1.024 / Double(count)
    rows.append(
      BenchRow(
        "connected at once over TLS", value: Double(count), unit: "nodes",
        target: ">= \(Self.nodeCount)", holds: count >= Self.nodeCount))
    rows.append(
      BenchRow(
        "connected node over TLS with 4 KiB of evidence", value: memory, unit: "kB",
        target: "<= 30", holds: memory <= 30))
    try await coordinator.stop()
    for node in nodes { node.cancel() }
    let begin = ContinuousClock.now
    coordinator = try await launch(
      folder: data, port: port + 1, certificate: folder.path + "/bench")
    nodes = try await gather(fleet, coordinator, client)
    let seconds = microseconds(since: begin) / 1e6
    rows.append(
      BenchRow(
        "restart until \(Self.nodeCount) nodes are routable again", value: seconds, unit: "s",
        target: "<= 10", holds: seconds <= 10))
    for node in nodes { node.cancel() }
    try await coordinator.stop()
    return rows
  }

  private func launch(
    folder: String, port: Int, certificate: String?
  ) async throws -> BenchCoordinator {
    let coordinator = try await BenchCoordinator.start(
      folder: folder, port: port, certificate: certificate, group: group)
    started.withLock { $0.append(coordinator.process) }
    return coordinator
  }

  /// Connects all, at most 64 at once, and returns when the coordinator can route to all.
  private func gather(
    _ fleet: [BenchMachine], _ coordinator: BenchCoordinator, _ client: HTTPClient
  ) async throws -> [Task<Void, Never>] {
    let url = try HTTPURL(coordinator.base + "/v1/node")
    let loop = group.next()
    let running = Locked<[Task<Void, Never>]>([])
    try await withThrowingTaskGroup(of: Void.self) { tasks in
      for lane in 0..<64 {
        tasks.addTask(executorPreference: loop) {
          for index in stride(from: lane, to: fleet.count, by: 64) {
            let socket = try await client.webSocket(
              url, headers: try coordinator.nodeHeaders, options: Self.options)
            let node = BenchNode(fleet[index], tokens: 1, loop: loop) {}
            let task = Task(executorPreference: loop) { await node.run(socket) }
            running.withLock { $0.append(task) }
          }
        }
      }
      try await tasks.waitForAll()
    }
    try await until("all are routable") {
      await coordinator.metric("darkbloom_nodes{state=\"routable\"}", client) ?? 0 >= fleet.count
    }
    return running.withLock { $0 }
  }

  /// Connects one node; cancel the task to let it go.
  private func join(
    _ coordinator: BenchCoordinator, _ machine: BenchMachine, tokens: Int, _ client: HTTPClient
  ) async throws -> Task<Void, Never> {
    let socket = try await client.webSocket(
      try HTTPURL(coordinator.base + "/v1/node"), headers: try coordinator.nodeHeaders,
      options: Self.options)
    let loop = group.next()
    let node = BenchNode(machine, tokens: tokens, loop: loop) {}
    let task = Task(executorPreference: loop) {
      let pulses = Task(executorPreference: loop) {
        while (try? await loop.sleep(for: .milliseconds(50))) != nil { await node.tick() }
      }
      await node.run(socket)
      pulses.cancel()
    }
    try await until("the node is routable") {
      await coordinator.metric("darkbloom_nodes{state=\"routable\"}", client) ?? 0 > 0
    }
    return task
  }

  private func until(_ what: String, _ holds: () async throws -> Bool) async throws {
    for _ in 0..<1_200 {
      if try await holds() { return }
      try await group.next().sleep(for: .milliseconds(50))
    }
    throw UsageError("never: \(what)")
  }

  // MARK: nginx

  private var nginxPort: Int { port + 2 }

  private func startNginx(to upstream: Int) async throws -> Nginx? {
    try await Nginx.start(
      folder: folder.path,
      http: """
        client_max_body_size 64m;
        upstream machine { server 127.0.0.1:\(upstream); keepalive 64; }
        server {
          listen 127.0.0.1:\(nginxPort);
          location / {
            proxy_pass http://machine; proxy_http_version 1.1; proxy_set_header Connection "";
            proxy_buffering off; proxy_request_buffering off;
          }
        }
        """)
  }

  // MARK: Helpers

  private func microseconds(since start: ContinuousClock.Instant) -> Double {
    (ContinuousClock.now - start).inSeconds * 1e6
  }

  private func write(_ source: PEMSource, to path: String) throws {
    if case .text(let bytes) = source { try PrivateFile.write(bytes, to: path) }
  }
}
