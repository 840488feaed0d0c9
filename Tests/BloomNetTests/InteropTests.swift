import BloomBase
import BloomHTTP
import BloomNet
import Testing

/// Runs clients that share no code with ours against our server: curl, and Python's `h11`,
/// `websockets` and `ssl` through `Tests/Peers/net_clients.py`.
@Suite(.timeLimit(.minutes(1))) struct InteropTests {
  static let root = "/" + #filePath.split(separator: "/").dropLast(3).joined(separator: "/")

  /// Runs a shell command; its exit code, and what it wrote to descriptor 3.
  static func shell(_ command: String) async throws -> (code: Int, text: String) {
    let child = try await Subprocess.start(.init("/bin/sh", ["-c", command]))
    var output: [UInt8] = []
    while let bytes = try await child.receive() { output += bytes }
    return (try await child.exit().code, String(decoding: output, as: UTF8.self))
  }

  static func python(_ arguments: String) async throws -> Int {
    let python = variable("DARKBLOOM_TEST_PYTHON") ?? "\(root)/.build/test-python/bin/python"
    return try await shell("'\(python)' '\(root)/Tests/Peers/net_clients.py' \(arguments)").code
  }

  @Test func `h11 sends plain and chunked bodies on one connection`() async throws {
    try await withServer(.init(loopbackListen()), HTTPServerTests.router()) { _, addresses in
      let code = try await Self.python("http \(addresses[0].port ?? 0)")
      #expect(code == 0)
    }
  }

  @Test func `websockets exchanges messages of every size, pings and closes`() async throws {
    try await withServer(.init(loopbackListen()), HTTPServerTests.router()) { _, addresses in
      let code = try await Self.python("websocket \(addresses[0].port ?? 0)")
      #expect(code == 0)
    }
  }

  static func facts() -> Handler {
    Handler { request in
      let tls = request.connection.tls
      return .text("\(tls?.isTLS13 == true ? "1.3" : "1.2") \(tls?.isResumed == true)")
    }
  }

  @Test(arguments: ["1.2", "1.3"])
  func `sessions are resumed by tickets`(version: String) async throws {
    let resumed = Locked<[Bool]>([])
    let handler = Handler { request in
      resumed.withLock { $0.append(request.connection.tls?.isResumed == true) }
      return .text("ok")
    }
    var configuration = HTTPServer.Configuration(loopbackListen())
    configuration.tls = .init(identity: try TLSTests.identity())
    try await withServer(configuration, handler) { _, addresses in
      let code = try await Self.python("resume \(addresses[0].port ?? 0) \(version)")
      #expect(code == 0)
    }
    #expect(resumed.withLock { $0 } == [false, true])
  }

  @Test func `curl speaks TLS 1_2 unless 1_3 is demanded`() async throws {
    let curl = "curl -sk --max-time 20 --tls-max 1.2 "
    for minimum in [TLSVersion.tls12, .tls13] {
      var configuration = HTTPServer.Configuration(loopbackListen())
      configuration.tls = .init(identity: try TLSTests.identity())
      configuration.tls?.minimumVersion = minimum
      try await withServer(configuration, Self.facts()) { _, addresses in
        let url = "https://127.0.0.1:\(addresses[0].port ?? 0)/"
        let answer = try await Self.shell(curl + url + " >&3")
        if minimum == .tls12 {
          #expect(answer.code == 0 && answer.text == "1.2 false")
        } else {
          #expect(answer.code == 35)  // CURLE_SSL_CONNECT_ERROR
        }
      }
    }
  }

  @Test(arguments: [false, true], ["Expect: 100-continue", "Expect:"])
  func `curl sends and gets 3 MB`(usesTLS: Bool, expect: String) async throws {
    let path = "/tmp/bloom-curl-\(UInt32.random(in: 0...UInt32.max))"
    defer { remove(path, path + ".back") }
    var configuration = HTTPServer.Configuration(loopbackListen())
    if usesTLS { configuration.tls = .init(identity: try TLSTests.identity()) }
    try await withServer(configuration, HTTPServerTests.router()) { _, addresses in
      let url = "\(usesTLS ? "https" : "http")://127.0.0.1:\(addresses[0].port ?? 0)/echo"
      let result = try await Self.shell(
        """
        head -c 3000000 /dev/urandom > \(path) &&
        curl -skf --max-time 20 -H '\(expect)' --data-binary @\(path) -o \(path).back \(url) &&
        cmp \(path) \(path).back
        """)
      #expect(result.code == 0)
    }
  }
}
