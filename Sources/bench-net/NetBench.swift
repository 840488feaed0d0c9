internal import BloomBench
internal import BloomHTTP
internal import BloomNet
internal import BloomPlatform
internal import BloomTestSupport

#if canImport(Glibc)
internal import Glibc
#else
internal import Darwin
#endif

/// The figures of docs/reports/net.md: server CPU time per operation, beside nginx.
struct NetBench {
  private let group = EventLoopGroup(count: 1)
  private let folder: TemporaryFolder
  /// nginx's plain port; TLS is one above.
  private let nginxPort = 20_000 + Int(getpid()) % 20_000

  init() throws { folder = try TemporaryFolder("bench-net") }

  func run(program: String) async throws -> [BenchRow] {
    ProcessCost.raiseDescriptorLimit()
    let identity = try TLSIdentity.selfSigned(names: ["127.0.0.1"])
    let files = folder.path + "/bench"
    try write(identity.certificate, to: files + ".crt")
    try write(identity.key, to: files + ".key")
    let server = try await Subprocess.start(.init(program, ["serve", files]), group: group)
    let answer = String(decoding: try await server.receive() ?? [], as: UTF8.self)
    let ports = answer.split(separator: " ").compactMap { Int($0) }
    guard ports.count == 2 else { throw NetError(.system, "the bench server did not start") }
    // Without nginx its rows say so by not holding.
    let nginx = try await startNginx(files)
    var rows = try await requests(server, ports[0], nginx)
    rows.append(try await handshakes(server, ports[1], nginx, identity))
    withExtendedLifetime(nginx) {}
    rows.append(try await events(server, ports[0]))
    rows += try await sockets(server, "ws://127.0.0.1:\(ports[0])/ws", identity, limit: 8, "plain")
    rows += try await sockets(server, "wss://127.0.0.1:\(ports[1])/ws", identity, limit: 25, "TLS")
    await server.closeChannel()
    _ = try await server.exit()
    return rows
  }

  // MARK: Small GET

  private func requests(
    _ server: Subprocess, _ port: Int, _ nginx: Nginx?
  ) async throws -> [BenchRow] {
    var own: [Double] = []
    var peer: [Double] = []
    let count = 60_000
    for _ in 0..<5 {
      own.append(try await cost(server.processID, count) { try await get(port, count) })
      if let nginx {
        peer.append(try await cost(nginx.worker, count) { try await get(nginxPort, count) })
      }
    }
    let value = own.median
    let ratio = peer.isEmpty ? nil : value / peer.median
    return [
      BenchRow(
        "small GET, server CPU", value: value, unit: "us/request", peer: "nginx", ratio: ratio,
        target: "<= 1.2 x nginx", holds: ratio.map { $0 <= 1.2 } ?? false)
    ]
  }

  private func get(_ port: Int, _ count: Int) async throws {
    var configuration = HTTPClient.Configuration()
    configuration.maxConnectionsPerHost = 32
    configuration.maxIdleConnections = 32
    let client = HTTPClient(configuration, group: group)
    defer { client.close() }
    let request = try ClientRequest.get("http://127.0.0.1:\(port)/small")
    try await withThrowingTaskGroup(of: Void.self) { tasks in
      for _ in 0..<32 {
        tasks.addTask {
          for _ in 0..<count / 32 {
            let response = try await client.send(request)
            _ = try await response.body.collect(upTo: 1_000)
          }
        }
      }
      try await tasks.waitForAll()
    }
  }

  // MARK: TLS

  /// Whole TLS 1.3 handshakes: connect, one small GET, close; nothing is resumed.
  private func handshakes(
    _ server: Subprocess, _ port: Int, _ nginx: Nginx?, _ identity: TLSIdentity
  ) async throws -> BenchRow {
    var own: [Double] = []
    var peer: [Double] = []
    let count = 1_000
    for _ in 0..<5 {
      own.append(
        try await cost(server.processID, count) { try await shakeHands(port, count, identity) })
      if let nginx {
        peer.append(
          try await cost(nginx.worker, count) {
            try await shakeHands(nginxPort + 1, count, identity)
          })
      }
    }
    let value = own.median
    let ratio = peer.isEmpty ? nil : value / peer.median
    return BenchRow(
      "TLS 1.3 handshake and one GET, server CPU", value: value, unit: "us", peer: "nginx",
      ratio: ratio, target: "<= 1.3 x nginx", holds: ratio.map { $0 <= 1.3 } ?? false)
  }

  private func shakeHands(_ port: Int, _ count: Int, _ identity: TLSIdentity) async throws {
    var configuration = HTTPClient.Configuration()
    configuration.tls.roots = .custom(identity.certificate)
    configuration.tls.minimumVersion = .tls13
    configuration.maxIdleConnections = 0
    let client = HTTPClient(configuration, group: group)
    defer { client.close() }
    let request = try ClientRequest.get("https://127.0.0.1:\(port)/small")
    for _ in 0..<count {
      let response = try await client.send(request)
      _ = try await response.body.collect(upTo: 1_000)
      guard response.tls?.isTLS13 == true, response.tls?.isResumed == false else {
        throw NetError(.tlsFailed, "a handshake of the bench was not a whole one of TLS 1.3")
      }
    }
  }

  // MARK: nginx

  private func startNginx(_ files: String) async throws -> Nginx? {
    try await Nginx.start(
      folder: folder.path,
      http: """
        ssl_protocols TLSv1.3; ssl_certificate \(files).crt; ssl_certificate_key \(files).key;
        ssl_session_cache off;
        server {
          listen 127.0.0.1:\(nginxPort); listen 127.0.0.1:\(nginxPort + 1) ssl;
          location / {
            default_type application/json;
            return 200 '{"object":"list","data":[{"id":"small"}]}';
          }
        }
        """)
  }

  // MARK: Server-sent events

  private func events(_ server: Subprocess, _ port: Int) async throws -> BenchRow {
    let client = HTTPClient(group: group)
    defer { client.close() }
    let perClient = 5_000
    let request = try ClientRequest.get("http://127.0.0.1:\(port)/sse/\(perClient)")
    let start = ContinuousClock.now
    try await withThrowingTaskGroup(of: Void.self) { tasks in
      for _ in 0..<64 {
        tasks.addTask {
          let response = try await client.send(request)
          for try await _ in response.body {}
        }
      }
      try await tasks.waitForAll()
    }
    let rate = Double(64 * perClient) / (ContinuousClock.now - start).inSeconds
    return BenchRow(
      "SSE events to 64 clients", value: rate, unit: "events/s", target: ">= 150000",
      holds: rate >= 150_000)
  }

  // MARK: WebSockets

  private func sockets(
    _ server: Subprocess, _ url: String, _ identity: TLSIdentity, limit: Double, _ kind: String
  ) async throws -> [BenchRow] {
    var configuration = HTTPClient.Configuration()
    configuration.tls.roots = .custom(identity.certificate)
    let client = HTTPClient(configuration, group: group)
    let address = try HTTPURL(url)
    var open: [WebSocket] = []
    for _ in 0..<10 { open.append(try await client.webSocket(address)) }
    let count = 5_000
    let before = ProcessCost.residentKiB(server.processID)
    let cpu = ProcessCost.cpuMicroseconds(server.processID)
    for _ in 0..<count { open.append(try await client.webSocket(address)) }
    let each = (ProcessCost.residentKiB(server.processID) - before) / Double(count)
    let opening = (ProcessCost.cpuMicroseconds(server.processID) - cpu) / Double(count)
    var rows = [
      BenchRow(
        "idle WebSocket, \(kind)", value: each, unit: "KiB", target: "<= \(Int(limit))",
        holds: each <= limit),
      BenchRow("connect and upgrade, \(kind), server CPU", value: opening, unit: "us"),
    ]
    var times: [Double] = []
    let payload = [UInt8](repeating: 1, count: 1_024)
    for round in 0..<20_000 {
      let socket = open[round * 7_919 % open.count]
      let start = ContinuousClock.now
      try await socket.send(payload)
      _ = try await socket.receive()
      times.append((ContinuousClock.now - start).inSeconds * 1e6)
    }
    let p99 = times.quantile(0.99)
    rows.append(
      BenchRow(
        "echo p99 at \(open.count) connections, \(kind)", value: p99, unit: "us",
        target: "<= 1000", holds: p99 <= 1_000))
    for socket in open { await socket.close() }
    return rows
  }

  // MARK: Measuring

  private func cost(
    _ process: Int32, _ count: Int, _ body: () async throws -> Void
  ) async throws -> Double {
    let start = ProcessCost.cpuMicroseconds(process)
    try await body()
    return (ProcessCost.cpuMicroseconds(process) - start) / Double(count)
  }

  private func write(_ source: PEMSource, to path: String) throws {
    if case .text(let bytes) = source { try PrivateFile.write(bytes, to: path) }
  }
}
