import BloomBase
import BloomHTTP
import BloomNet

/// A server that runs while a test's body runs.
func withServer<R: Sendable>(
  _ configuration: HTTPServer.Configuration, group: EventLoopGroup = .shared,
  _ responder: any HTTPResponder,
  _ body: @Sendable (HTTPServer, [SocketAddress]) async throws -> R
) async throws -> R {
  let server = HTTPServer(configuration, group: group, responder: responder)
  let running = Task { try await server.run() }
  do {
    let result = try await body(server, try await server.boundAddresses())
    running.cancel()
    try await running.value
    return result
  } catch {
    running.cancel()
    _ = await running.result
    throw error
  }
}

/// The same over the in-memory transport, with a client for it.
func withMemoryServer<R: Sendable>(
  deliveryBytes: Int = 65_536,
  configure: (inout HTTPServer.Configuration) -> Void = { _ in },
  _ responder: any HTTPResponder,
  _ body: @Sendable (HTTPServer, HTTPClient) async throws -> R
) async throws -> R {
  let network = MemoryNetwork(deliveryBytes: deliveryBytes)
  var configuration = HTTPServer.Configuration(.memory(network))
  configure(&configuration)
  var client = HTTPClient.Configuration()
  client.memory = network
  let clientConfiguration = client
  return try await withServer(configuration, responder) { server, _ in
    let client = HTTPClient(clientConfiguration)
    defer { client.close() }
    return try await body(server, client)
  }
}

let loopback = "http://127.0.0.1"

func loopbackListen() -> HTTPServer.Listen { .tcp(host: "127.0.0.1", port: 0) }

/// A byte-level client, for what a correct client does not send.
actor RawClient {
  private let stream: ByteStream
  private nonisolated let loop: EventLoop
  nonisolated var unownedExecutor: UnownedSerialExecutor {
    unsafe loop.serial.asUnownedSerialExecutor()
  }

  static func connect(_ address: SocketAddress) async throws -> RawClient {
    let loop = EventLoopGroup.shared.next()
    let stream = try await loop.run { try await Socket.connect(address, on: loop) }
    return RawClient(stream, loop)
  }

  private init(_ stream: ByteStream, _ loop: EventLoop) {
    self.stream = stream
    self.loop = loop
  }

  func send(_ text: String) async throws { try await stream.write(Array(text.utf8)) }

  func send(_ bytes: [UInt8]) async throws { try await stream.write(bytes) }

  /// Everything until the server closes.
  func readAll() async throws -> String {
    var all: [UInt8] = []
    while try await stream.read({ bytes in
      for index in bytes.indices { all.append(bytes[index]) }
      return bytes.count
    }) {}
    return String(decoding: all, as: UTF8.self)
  }

  /// Everything until the text was seen.
  func read(until end: String) async throws -> String {
    var all: [UInt8] = []
    let wanted = Array(end.utf8)
    while try await stream.read({ bytes in
      for index in bytes.indices { all.append(bytes[index]) }
      return bytes.count
    }) {
      if all.suffix(wanted.count).elementsEqual(wanted) { break }
    }
    return String(decoding: all, as: UTF8.self)
  }

  func close() { stream.close() }
}

/// Runs `body` again and again until it is true; for effects that another thread will have.
func eventually(_ body: () async -> Bool) async throws -> Bool {
  for _ in 0..<500 {
    if await body() { return true }
    try await Task.sleep(for: .milliseconds(10))
  }
  return false
}
