import BloomBase
import BloomCrypto
import BloomHTTP
import BloomModels
import BloomNet
import Testing

@testable import BloomNode

#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

@Suite struct ModelDownloadTests {
  /// What a mirror does with one request.
  enum Behaviour: Sendable {
    /// As it should.
    case honest
    /// The connection breaks after so many bytes.
    case dropsAfter(Int)
    /// One byte is another.
    case corrupt
    /// It sends everything, whatever was asked for.
    case ignoresRange
    /// It names another range than it was asked for.
    case wrongRange
    /// It names another size.
    case wrongSize
    /// It sends more than it says the file has.
    case tooLong
    case status(Int)
    case redirect(String)
  }

  /// A mirror that follows a script, then is honest.
  final class Mirror: Sendable {
    let bytes: [UInt8]
    let script: Locked<[Behaviour]>
    let ranges = Locked<[String]>([])

    init(_ bytes: [UInt8], _ script: [Behaviour]) {
      self.bytes = bytes
      self.script = Locked(script)
    }

    func respond(to request: Request) -> Response {
      let range = request.headers[.range] ?? "all"
      ranges.withLock { $0.append(range) }
      let behaviour = script.withLock { $0.isEmpty ? .honest : $0.removeFirst() }
      var start = Int(range.dropFirst(6).dropLast()) ?? 0
      var body = bytes
      var shown = start
      var drop = Int.max
      switch behaviour {
      case .honest: break
      case .dropsAfter(let count): drop = count
      case .corrupt: body[body.count - 1] ^= 1
      case .ignoresRange: start = 0
      case .wrongRange: shown = start + 1
      case .wrongSize: body.removeLast()
      case .tooLong: body.append(7)
      case .status(let code): return Response(HTTPStatus(code) ?? .badRequest)
      case .redirect(let place):
        var headers = HTTPFields()
        if let value = try? HTTPFieldValue(place) { headers.add(.location, value) }
        return Response(.found, headers: headers)
      }
      let part = body[min(start, body.count)...]
      var headers = HTTPFields()
      let isPart = start > 0
      if isPart,
        let value = try? HTTPFieldValue(
          "bytes \(shown)-\(max(shown, body.count - 1))/\(max(shown + 1, body.count))")
      {
        headers.add("Content-Range", value)
      }
      let status: HTTPStatus = isPart ? .partialContent : .ok
      guard drop < part.count else {
        return Response(status, headers: headers, body: .bytes(Array(part)))
      }
      return Response(
        status, headers: headers,
        body: .stream { [drop] writer in
          try await writer.write(Array(part.prefix(drop)))
          throw NetError(.closed, "the mirror breaks off")
        })
    }
  }

  static let bytes = (0..<100_000).map { UInt8(truncatingIfNeeded: $0 &* 37 ^ $0 >> 5) }

  static func manifest() -> ModelManifest {
    ModelManifest(
      name: "m", kind: .chat,
      files: [
        .init(
          role: .weights, name: "m 1.gguf", sha256: SHA256.digest(bytes),
          byteCount: UInt64(bytes.count))
      ], licence: "", contextTokens: 0, weightBytes: 0, contextBytesPerToken: 0)
  }

  /// Runs a download against mirrors at `/0/…`, `/1/…` of one server in memory.
  static func download(
    _ mirrors: [Mirror], into store: ModelStore,
    change: (inout ModelDownload.Options) -> Void = { _ in }
  ) async throws {
    let network = MemoryNetwork()
    var router = Router()
    for (number, mirror) in mirrors.enumerated() {
      router.get("/\(number)/:file") { request in mirror.respond(to: request) }
    }
    let server = HTTPServer(.init(.memory(network)), responder: router)
    let running = Task { try await server.run() }
    _ = try await server.boundAddresses()
    var options = ModelDownload.Options(mirrors: mirrors.indices.map { "http://localhost/\($0)" })
    options.reserveBytes = 0
    options.client.memory = network
    options.pause = .milliseconds(1)
    change(&options)
    let result: Result<Void, any Error>
    do {
      try await ModelDownload(store: store, options: options).run(manifest())
      result = .success(())
    } catch {
      result = .failure(error)
    }
    running.cancel()
    _ = await running.result
    try result.get()
  }

  @Test func `a connection that drops is resumed by ranges`() async throws {
    let folder = try TemporaryFolder()
    let store = try ModelStore(root: folder.path)
    let mirror = Mirror(Self.bytes, [.dropsAfter(20_000), .dropsAfter(30_000), .status(503)])
    try await Self.download([mirror], into: store)
    let asked = mirror.ranges.withLock { $0 }
    #expect(asked.count == 4 && asked[0] == "all")
    #expect(asked[1...].allSatisfy { $0.hasPrefix("bytes=") })
    try await store.verify(Self.manifest())
  }

  @Test(arguments: [
    [Behaviour.corrupt], [.wrongSize], [.tooLong], [.status(404)],
    [.dropsAfter(10), .wrongRange], [.dropsAfter(10), .ignoresRange],
    [.redirect("http://elsewhere.example/x")], [.redirect("/0/again"), .redirect("/0/again")],
  ])
  func `a mirror that lies costs a turn, and the next one is asked`(_ script: [Behaviour])
    async throws
  {
    let folder = try TemporaryFolder()
    let store = try ModelStore(root: folder.path)
    try await Self.download([Mirror(Self.bytes, script), Mirror(Self.bytes, [])], into: store)
    try await store.verify(Self.manifest())
    #expect(store.isComplete(Self.manifest()))
  }

  @Test func `wrong bytes from every mirror never get a name`() async throws {
    let folder = try TemporaryFolder()
    let store = try ModelStore(root: folder.path)
    let liars = (0..<2).map { _ in Mirror(Self.bytes, Array(repeating: .corrupt, count: 9)) }
    let error = await #expect(throws: ModelsError.self) {
      try await Self.download(liars, into: store)
    }
    #expect(error?.code == .digestMismatch)
    #expect(!store.isComplete(Self.manifest()))
    #expect(try store.list().isEmpty)
    try await Self.download([Mirror(Self.bytes, [])], into: store)
    try await store.verify(Self.manifest())
  }

  @Test func `a full disk is told, and the download goes on when there is room`() async throws {
    let folder = try TemporaryFolder()
    let store = try ModelStore(root: folder.path)
    let digest = Self.manifest().files[0].sha256.hex
    let partial = "\(folder.path)/partial/sha256-\(digest)"
    // full(4): every write says that no room is left.
    try #require(unsafe symlink("/dev/full", partial) == 0)
    let error = await #expect(throws: ModelsError.self) {
      try await Self.download([Mirror(Self.bytes, [])], into: store)
    }
    #expect(error?.code == .system)
    #expect(error?.publicDescription.contains("full") == true)
    unsafe unlink(partial)
    try await Self.download([Mirror(Self.bytes, [])], into: store)
    try await store.verify(Self.manifest())
  }

  @Test func `room is checked before the first byte`() async throws {
    let folder = try TemporaryFolder()
    let store = try ModelStore(root: folder.path)
    let mirror = Mirror(Self.bytes, [])
    let full = await #expect(throws: ModelsError.self) {
      try await Self.download([mirror], into: store) { $0.reserveBytes = 1 << 60 }
    }
    #expect(full?.code == .system)
    let limited = await #expect(throws: ModelsError.self) {
      try await Self.download([mirror], into: store) { $0.diskLimitBytes = 99_999 }
    }
    #expect(limited?.publicDescription.contains("limits.disk_mib") == true)
    #expect(mirror.ranges.withLock { $0.isEmpty })
    try await Self.download([mirror], into: store) { $0.diskLimitBytes = 100_000 }
    // Complete already: no mirror is asked again.
    try await Self.download([mirror], into: store) { $0.reserveBytes = 1 << 60 }
    #expect(mirror.ranges.withLock { $0.count } == 1)
  }

  @Test(arguments: ["http://example.org", "ftp://x", "", "https://"])
  func `a mirror must be encrypted`(_ mirror: String) {
    #expect(throws: ModelsError.self) {
      _ = try HTTPModelSource(mirrors: [mirror], client: HTTPClient())
    }
  }

  @Test(arguments: [
    ("https://a/x/y", "z", "https://a/x/z" as String?), ("https://a/x/y", "//b/z", "https://b/z"),
    ("https://a/x", "http://localhost/x", nil), ("https://a/x", "http://b/x", nil),
    ("http://localhost/x", "http://127.0.0.1:1/y", "http://127.0.0.1:1/y"),
    ("http://localhost/x", "https://a/y", "https://a/y"),
    ("http://localhost/x", "http://localhost.example/y", nil), ("https://a/x", "ftp://a/", nil),
  ])
  func `a redirect stays on an encrypted way`(
    _ from: String, _ location: String, _ to: String?
  ) throws {
    #expect(HTTPModelSource.next(location, after: try HTTPURL(from))?.description == to)
  }

  @Test(arguments: [
    ("bytes 5-9/10", 5 as UInt64?, 10 as UInt64?), ("bytes 0-0/*", 0, nil),
    ("bytes 9-5/10", nil, nil),
    ("bytes 5-10/10", nil, nil), ("bytes */10", nil, nil), ("items 1-2/3", nil, nil),
    ("", nil, nil),
    ("bytes 1-2/", nil, nil),
  ])
  func `a range that is none is refused`(_ text: String, _ first: UInt64?, _ total: UInt64?) {
    let range = HTTPModelSource.range(text)
    #expect(range?.first == first)
    #expect(range?.total == total)
  }
}
