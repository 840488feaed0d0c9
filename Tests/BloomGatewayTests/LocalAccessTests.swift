import BloomBase
import BloomGateway
import BloomHTTP
import BloomNet
import Testing

/// Who may use the gateway: programs of this device, not web pages unasked.
@Suite struct LocalAccessTests {
  private static let secret = "db-0123456789abcdef"

  private func ask(
    _ access: LocalAccess, _ fields: [(HTTPFieldName, HTTPFieldValue)],
    _ method: HTTPMethod = .get, _ path: String = "/v1/models"
  ) async throws -> Response {
    var headers = HTTPFields()
    for (name, value) in fields { headers.add(name, value) }
    let router = GatewayRouter.make(
      service: ScriptedService(.steps([])), access: access, metrics: MetricsRegistry(),
      time: FixedTime())
    return try await router.respond(to: Request(method, path, headers: headers))
  }

  @Test(arguments: [
    "localhost", "localhost:8642", "LOCALHOST:1", "127.0.0.1:8642", "[::1]:8642", "gate.lan:80",
  ])
  func `loopback and allowed names are answered`(_ host: String) async throws {
    let access = LocalAccess(hosts: ["gate.lan"], token: nil)
    let response = try await ask(access, [(.host, try HTTPFieldValue(host))])
    #expect(response.status == .ok)
  }

  @Test(arguments: [
    "evil.example", "localhost.evil.example", "127.0.0.1.evil.example:8642", "127.0.0.2", "",
    "[::2]:8642", "localhost@evil.example", "evil.example:localhost",
  ])
  func `other names are refused, so a rebound name is of no use`(_ host: String) async throws {
    let access = LocalAccess(token: nil)
    for path in ["/v1/models", "/health", "/metrics", "/nowhere"] {
      let response = try await ask(access, [(.host, try HTTPFieldValue(host))], .get, path)
      #expect(response.status == .forbidden, "\(path)")
    }
    #expect(try await ask(access, []).status == .forbidden)
  }

  @Test(arguments: [
    "http://evil.example", "null", "http://localhost:3000", "https://ok.example.evil",
  ])
  func `web pages are refused unless their origin is allowed`(_ origin: String) async throws {
    let access = LocalAccess(origins: ["https://ok.example"], token: nil)
    for method in [HTTPMethod.get, .post, .options] {
      let response = try await ask(
        access, [(.host, "localhost"), (.origin, try HTTPFieldValue(origin))], method)
      #expect(response.status == .forbidden)
      #expect(response.headers[.accessControlAllowOrigin] == nil)
    }
  }

  @Test func `an allowed page may ask what it may send, and then send it`() async throws {
    let access = LocalAccess(origins: ["https://ok.example"], token: Self.secret)
    let fields: [(HTTPFieldName, HTTPFieldValue)] = [
      (.host, "localhost"), (.origin, "https://ok.example"),
    ]
    let preflight = try await ask(
      access, fields + [("access-control-request-headers", "x-api-key, anthropic-version")],
      .options, "/v1/messages")
    #expect(preflight.status == .noContent)
    #expect(preflight.headers[.accessControlAllowOrigin] == "https://ok.example")
    #expect(
      preflight.headers["access-control-allow-headers"] == "x-api-key, anthropic-version")
    #expect(try await ask(access, fields).status == .unauthorized)
    let response = try await ask(
      access, fields + [(.authorization, try HTTPFieldValue("Bearer \(Self.secret)"))])
    #expect(response.status == .ok)
    #expect(response.headers[.accessControlAllowOrigin] == "https://ok.example")
    #expect(response.headers[.vary] == "origin")
  }

  @Test(arguments: [
    "", "Bearer", "Bearer ", "Bearer db-0123456789abcdeg", "Bearer db-0123456789abcde",
    "Basic db-0123456789abcdef", "db-0123456789abcdef", "Bearer db-0123456789abcdef0",
  ])
  func `a wrong token is refused`(_ value: String) async throws {
    let access = LocalAccess(token: Self.secret)
    let response = try await ask(
      access, [(.host, "localhost"), (.authorization, try HTTPFieldValue(value))])
    #expect(response.status == .unauthorized)
  }

  @Test func `the token may come as Anthropic's key, and health needs none`() async throws {
    let access = LocalAccess(token: Self.secret)
    let key = try HTTPFieldValue(Self.secret)
    #expect(try await ask(access, [(.host, "localhost"), ("x-api-key", key)]).status == .ok)
    #expect(try await ask(access, [(.host, "localhost")]).status == .unauthorized)
    for path in ["/health", "/livez", "/readyz", "/metrics"] {
      #expect(try await ask(access, [(.host, "localhost")], .get, path).status == .ok)
    }
    #expect(
      try await ask(access, [(.host, "localhost")], .get, "/metrics/x").status == .unauthorized)
  }

  @Test(arguments: [
    ("/v1/models", #"{"error":{"message":"#), ("/v1/messages", #"{"type":"error","error":"#),
    ("/api/chat", #"{"error":"Incorrect"#),
  ])
  func `refusals have the shape of the API that was asked`(
    _ path: String, _ start: String
  ) async throws {
    let access = LocalAccess(token: Self.secret)
    let response = try await ask(access, [(.host, "localhost")], .post, path)
    guard case .bytes(let body) = response.body else {
      Issue.record("no body")
      return
    }
    #expect(String(decoding: body, as: UTF8.self).hasPrefix(start))
  }

  @Test func `each key of an organisation has its own limit, which fills evenly`() throws {
    let time = SettableTime()
    let ann = AccessKey(
      name: ShortName("ann"), token: "a-1", limits: KeyLimits(requestsPerMinute: 2))
    let bob = AccessKey(name: ShortName("bob"), token: "b-1")
    let keys = AccessKeys(
      [ann, bob], time: time)
    #expect(keys.admit("c-1") == .unknown)
    #expect(keys.admit("") == .unknown)
    #expect([keys.admit("a-1"), keys.admit("a-1")] == [.allowed(ann), .allowed(ann)])
    #expect(keys.admit("a-1") == .limited(retryAfterSeconds: 30))
    for _ in 0..<100 { #expect(keys.admit("b-1") == .allowed(bob)) }
    time.advance(seconds: 29)
    #expect(keys.admit("a-1") == .limited(retryAfterSeconds: 1))
    time.advance(seconds: 2)
    #expect(keys.admit("a-1") == .allowed(ann))
    #expect(keys.admit("a-1") == .limited(retryAfterSeconds: 29))
    time.advance(seconds: 3600)
    #expect([keys.admit("a-1"), keys.admit("a-1")] == [.allowed(ann), .allowed(ann)])
    #expect(keys.admit("a-1") == .limited(retryAfterSeconds: 30))
  }

  @Test func `a limited key is told when to come back`() async throws {
    let keys = AccessKeys(
      [
        AccessKey(
          name: ShortName("ann"), token: "a-1", limits: KeyLimits(requestsPerMinute: 1))
      ], time: FixedTime())
    let access = LocalAccess(hosts: ["Gate.lan"], keys: keys)
    let fields: [(HTTPFieldName, HTTPFieldValue)] = [
      (.host, "gate.lan"), (.authorization, "Bearer a-1"),
    ]
    #expect(try await ask(access, fields).status == .ok)
    let limited = try await ask(access, fields)
    #expect(limited.status.code == 429)
    #expect(limited.headers[.retryAfter] == "60")
  }
}

/// A clock that stands still until it is told.
final class SettableTime: TimeSource {
  private let seconds = Locked<UInt64>(0)

  func advance(seconds more: UInt64) { seconds.withLock { $0 += more } }
  func now() -> Instant { Instant(nanoseconds: seconds.withLock { $0 } * 1_000_000_000) }
  func unixTime() -> UnixTime { UnixTime(Int64(seconds.withLock { $0 })) }
}
