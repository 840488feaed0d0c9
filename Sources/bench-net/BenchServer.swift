internal import BloomHTTP
internal import BloomNet

/// The server under test: one loop; prints its ports and serves until its channel ends.
enum BenchServer {
  static func serve(certificate prefix: String?) async throws {
    let group = EventLoopGroup(count: 1)
    var router = Router()
    let body = Array("{\"object\":\"list\",\"data\":[{\"id\":\"small\"}]}".utf8)
    router.get("/small") { _ in .json(body) }
    let event = [UInt8](repeating: UInt8(ascii: "x"), count: 160)
    router.get("/sse/:count") { request in
      let count = Int(request.parameters["count"] ?? "") ?? 0
      return .sse { writer in for _ in 0..<count { try await writer.send(event) } }
    }
    router.get("/ws") { _ in
      .webSocket { socket in for try await message in socket { try await socket.send(message) } }
    }
    var plain = HTTPServer.Configuration(.tcp(host: "127.0.0.1", port: 0))
    plain.timeouts.drain = .seconds(1)
    var secure = plain
    if let prefix {
      secure.tls = .init(identity: .files(certificate: prefix + ".crt", key: prefix + ".key"))
    }
    let first = HTTPServer(plain, group: group, responder: router)
    let second = HTTPServer(secure, group: group, responder: router)
    let channel = try await ParentChannel.open(group: group)
    try await withThrowingTaskGroup(of: Void.self) { tasks in
      tasks.addTask { try await first.run() }
      tasks.addTask { try await second.run() }
      let ports = try await [first.boundAddresses()[0].port, second.boundAddresses()[0].port]
      try await channel.send(Array(ports.map { "\($0 ?? 0)" }.joined(separator: " ").utf8))
      while try await channel.receive() != nil {}
      tasks.cancelAll()
    }
  }
}
