internal import BloomBase
internal import BloomAPI
internal import BloomHTTP
package import BloomNet

/// Who may use the gateway: programs of this device, not web pages unasked.
///
/// A page in a browser can send requests to loopback. It cannot set `Host` and cannot hide
/// `Origin`: requests for another host name (DNS rebinding) and from origins that are not allowed
/// are refused before anything is read.
package struct LocalAccess: Middleware {
  private let hosts: Set<String>
  private let origins: Set<String>
  private let token: String?

  /// Creates the rule.
  ///
  /// - Parameters:
  ///   - hosts: Host names without port that requests may name; loopback names always may.
  ///   - origins: Origins of web pages that may use the gateway, for example a local console.
  ///   - token: Bearer token that every request must carry; `nil` to need none.
  package init(hosts: Set<String> = [], origins: Set<String> = [], token: String?) {
    self.hosts = hosts.union(["localhost", "127.0.0.1", "[::1]", "::1"])
    self.origins = origins
    self.token = token
  }

  /// Refuses what may not come in, and answers CORS preflights of allowed origins.
  package func handle(
    _ request: Request, next: any HTTPResponder
  ) async throws -> Response {
    guard let host = request.headers[.host].map({ Self.name(of: $0) }), hosts.contains(host) else {
      return refusal(
        403, "host_not_allowed", "This gateway does not answer for that host name.")
    }
    let origin = request.headers[.origin]
    if let origin, !origins.contains(origin) {
      return refusal(
        403, "origin_not_allowed",
        "Web pages may not use this gateway; allow the origin in gateway.json5.")
    }
    if request.method == .options, origin != nil {
      return preflight(request, origin)
    }
    if let token, !isOpen(request.path), !Self.isBearer(request, token) {
      return refusal(
        401, "invalid_api_key",
        "Incorrect API key provided; `darkbloom env` prints the one of this device.")
    }
    return withCORS(try await next.respond(to: request), origin)
  }

  private func isOpen(_ path: String) -> Bool {
    ["/health", "/livez", "/readyz", "/metrics"].contains(path)
  }

  private static func isBearer(_ request: Request, _ token: String) -> Bool {
    let given =
      request.headers[.authorization].flatMap { value in
        value.hasPrefix("Bearer ") ? String(value.dropFirst(7)) : nil
      } ?? request.headers["x-api-key"] ?? ""
    // Constant time: the token is a secret of this device.
    let a = Array(given.utf8)
    let b = Array(token.utf8)
    guard a.count == b.count else { return false }
    return zip(a, b).reduce(0) { $0 | ($1.0 ^ $1.1) } == 0
  }

  private static func name(of host: String) -> String {
    if host.hasPrefix("[") { return String(host.prefix { $0 != "]" }) + "]" }
    return String(host.prefix { $0 != ":" }).lowercased()
  }

  private func refusal(_ status: Int, _ code: String, _ message: String) -> Response {
    let error = APIError(
      status: status, type: "invalid_request_error", code: code, message: message)
    return .json(error.openAIBody, status: HTTPStatus(status) ?? .forbidden)
  }

  /// What an allowed page may send: it is trusted as programs of this device are.
  private func preflight(_ request: Request, _ origin: String?) -> Response {
    var response = withCORS(Response(.noContent), origin)
    response.headers.add("Access-Control-Allow-Methods", "GET, POST, OPTIONS")
    if let names = request.headers["access-control-request-headers"],
      let value = try? HTTPFieldValue(names)  // what came in a field is valid in one
    {
      response.headers.add("Access-Control-Allow-Headers", value)
    }
    return response
  }

  private func withCORS(_ response: Response, _ origin: String?) -> Response {
    guard let origin, let value = try? HTTPFieldValue(origin) else { return response }
    var response = response
    response.headers.add(.accessControlAllowOrigin, value)
    response.headers.add(.vary, "origin")
    return response
  }
}
