internal import BloomAPI
internal import BloomBase
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
  let keys: AccessKeys?

  /// Creates the rule of a device: one token, without limits.
  ///
  /// - Parameters:
  ///   - hosts: Host names without port that requests may name; loopback names always may.
  ///   - origins: Origins of web pages that may use the gateway, for example a local console.
  ///   - token: Bearer token that every request must carry; `nil` to need none.
  package init(hosts: Set<String> = [], origins: Set<String> = [], token: String?) {
    self.init(
      hosts: hosts, origins: origins,
      keys: token.map { AccessKeys([AccessKey(name: nil, token: $0)], time: SystemTime()) })
  }

  /// Creates the rule of an organisation's gateway: a key for each of its people or programs.
  ///
  /// - Parameters:
  ///   - hosts: Host names without port that requests may name; loopback names always may.
  ///   - origins: Origins of web pages that may use the gateway.
  ///   - keys: The keys, one of which every request must carry; `nil` to need none.
  package init(hosts: Set<String> = [], origins: Set<String> = [], keys: AccessKeys?) {
    self.hosts = Set(hosts.map { $0.lowercased() })
      .union(["localhost", "127.0.0.1", "[::1]", "::1"])
    self.origins = origins
    self.keys = keys
  }

  /// Refuses what may not come in, and answers CORS preflights of allowed origins.
  package func handle(
    _ request: Request, next: any HTTPResponder
  ) async throws -> Response {
    guard let host = request.headers[.host].map({ Self.name(of: $0) }), hosts.contains(host) else {
      return refusal(
        request, 403, "host_not_allowed", "This gateway does not answer for that host name.")
    }
    let origin = request.headers[.origin]
    if let origin, !origins.contains(origin) {
      return refusal(
        request, 403, "origin_not_allowed",
        "Web pages may not use this gateway unless its configuration allows their origin.")
    }
    if request.method == .options, origin != nil { return preflight(request, origin) }
    var request = request
    if let keys, !isOpen(request.path) {
      switch keys.admit(Self.token(of: request)) {
      case .allowed(let key):
        // What the gateway knows of its user is for the device's own token alone.
        guard key.name == nil || !request.path.hasPrefix(WireTapRoutes.prefix) else {
          return refusal(
            request, 403, "owner_only", "Only the owner of this gateway may see that.")
        }
        request.values[RequestAccessKey.self] = key
      case .unknown:
        return withCORS(
          refusal(
            request, 401, "invalid_api_key",
            "Incorrect API key provided; `darkbloom env` prints the one of this device."), origin)
      case .limited(let seconds):
        return withCORS(
          refusal(
            request, 429, "rate_limit_exceeded", "This key's requests of a minute are used up.",
            retryAfterSeconds: seconds), origin)
      }
    }
    return withCORS(try await next.respond(to: request), origin)
  }

  private func isOpen(_ path: String) -> Bool {
    ["/health", "/livez", "/readyz", "/metrics"].contains(path)
  }

  private static func token(of request: Request) -> String {
    let bearer = request.headers[.authorization].flatMap { value in
      value.hasPrefix("Bearer ") ? String(value.dropFirst(7)) : nil
    }
    return bearer ?? request.headers["x-api-key"] ?? ""
  }

  private static func name(of host: String) -> String {
    if host.hasPrefix("[") { return String(host.prefix { $0 != "]" }) + "]" }
    return String(host.prefix { $0 != ":" }).lowercased()
  }

  /// A refusal in the shape of the API that was asked.
  private func refusal(
    _ request: Request, _ status: Int, _ code: String, _ message: String,
    retryAfterSeconds: Int? = nil
  ) -> Response {
    let error = APIError(
      status: status, type: "invalid_request_error", code: code, message: message,
      retryAfterSeconds: retryAfterSeconds)
    let body =
      request.path.hasPrefix("/v1/messages")
      ? error.anthropicBody
      : request.path.hasPrefix("/api/") ? error.ollamaBody : error.openAIBody
    return GatewayErrors.response(error, body)
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
