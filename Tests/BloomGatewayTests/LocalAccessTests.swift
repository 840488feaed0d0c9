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
}
