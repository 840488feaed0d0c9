internal import BloomBench
internal import BloomHTTP
internal import BloomNet

#if canImport(Glibc)
internal import Glibc
#else
internal import Darwin
#endif

/// The figures of docs/reports/net.md: server CPU time per operation, beside nginx.
struct NetBench {
  private let group = EventLoopGroup(count: 1)
  private let folder = "/tmp/bench-net-\(getpid())"

  func run(program: String) async throws -> [BenchRow] {
    ProcessCost.raiseDescriptorLimit()
    let identity = try TLSIdentity.selfSigned(names: ["127.0.0.1"])
    unsafe mkdir(folder, 0o700)
    defer { removeFolder() }
    write(identity.certificate, to: folder + "/bench.crt")
    write(identity.key, to: folder + "/bench.key")
    let server = try await Subprocess.start(
      .init(program, ["serve", folder + "/bench"]), group: group)
    let answer = String(decoding: try await server.receive() ?? [], as: UTF8.self)
    let ports = answer.split(separator: " ").compactMap { Int($0) }
    guard ports.count == 2 else { throw NetError(.system, "the bench server did not start") }
    let nginx = try await startNginx()
    var rows = try await requests(server, ports[0], nginx)
    rows.append(try await handshakes(server, ports[1], nginx, identity))
    if let nginx {
      nginx.process.signal(15)
      _ = try await nginx.process.exit()
    }
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
        peer.append(try await cost(nginx.worker, count) { try await get(nginx.port, count) })
      }
    }
    let value = median(own)
    let ratio = peer.isEmpty ? nil : value / median(peer)
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
            try await shakeHands(nginx.port + 1, count, identity)
          })
      }
    }
    let value = median(own)
    let ratio = peer.isEmpty ? nil : value / median(peer)
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

  /// A running nginx: its worker's process number, and its plain port; TLS is one above.
  private struct Nginx {
    let process: Subprocess
    let worker: Int32
    let port: Int
  }

  private func startNginx() async throws -> Nginx? {
    let port = 20_000 + Int(getpid()) % 20_000
    let text = """
      daemon off; worker_processes 1; pid \(folder)/nginx.pid; error_log \(folder)/error.log;
      events { worker_connections 1024; }
      http { access_log off; keepalive_requests 1000000; client_body_temp_path \(folder);
        proxy_temp_path \(folder); fastcgi_temp_path \(folder); uwsgi_temp_path \(folder);
        scgi_temp_path \(folder);
        ssl_protocols TLSv1.3; ssl_certificate \(folder)/bench.crt;
        ssl_certificate_key \(folder)/bench.key; ssl_session_cache off;
        server { listen 127.0.0.1:\(port); listen 127.0.0.1:\(port + 1) ssl; location / { default_type application/json;
          return 200 '{"object":"list","data":[{"id":"small"}]}'; } } }
      """
    write(.text(Array(text.utf8)), to: folder + "/nginx.conf")
    // Without nginx the row says so by not holding.
    guard
      let process = try? await Subprocess.start(
        .init("/usr/sbin/nginx", ["-c", folder + "/nginx.conf"]), group: group)
    else { return nil }
    try await group.next().sleep(for: .milliseconds(500))
    guard let worker = ProcessCost.child(of: process.processID) else { return nil }
    return Nginx(process: process, worker: worker, port: port)
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
    let rate = Double(64 * perClient) / seconds(since: start)
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
      times.append(seconds(since: start) * 1e6)
    }
    times.sort()
    let p99 = times[times.count * 99 / 100]
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

  private func removeFolder() {
    guard let entries = unsafe opendir(folder) else { return }
    while let entry = unsafe readdir(entries) {
      let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) {
        unsafe String(cString: UnsafeRawPointer($0).assumingMemoryBound(to: CChar.self))
      }
      if name != ".", name != ".." { unsafe unlink("\(folder)/\(name)") }
    }
    unsafe closedir(entries)
    unsafe rmdir(folder)
  }

  private func median(_ values: [Double]) -> Double { values.sorted()[values.count / 2] }

  private func seconds(since start: ContinuousClock.Instant) -> Double {
    Double((ContinuousClock.now - start).wholeMicroseconds) / 1e6
  }

  private func write(_ source: PEMSource, to path: String) {
    guard case .text(let bytes) = source, let file = unsafe fopen(path, "w") else { return }
    _ = unsafe fwrite(bytes, 1, bytes.count, file)
    unsafe fclose(file)
  }
}

extension Duration {
  fileprivate var wholeMicroseconds: Int64 {
    components.seconds * 1_000_000 + components.attoseconds / 1_000_000_000_000
  }
}
