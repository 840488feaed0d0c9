internal import BloomBase
internal import BloomHTTP
package import BloomNet

/// Which HTTP proxy a node asks to CONNECT; pure.
package enum ProxyChoice: Sendable {
  /// The owner's setting, else `HTTPS_PROXY` of the environment unless `NO_PROXY` names the host.
  ///
  /// Coordinators on this machine are reached without one.
  /// - Parameters:
  ///   - setting: `http://host:port`, with `user:password@` when the proxy wants it.
  ///   - environment: The process's.
  ///   - coordinator: The URL that the proxy is for.
  /// - Returns: The proxy; `nil` for none.
  /// - Throws: ``NodeError`` `badConfiguration` for a proxy that is none.
  package static func choose(
    setting: String?, environment: [String: String], coordinator: String
  ) throws(NodeError) -> ProxyConfiguration? {
    // A mistake in it is told also where it is not used.
    let chosen = try setting.map { text throws(NodeError) in try parse(text) }
    guard let place = (try? HTTPURL(coordinator))?.authority, !place.isLoopback else { return nil }
    if let chosen { return chosen }
    func value(_ name: String) -> String? {
      (environment[name.uppercased()] ?? environment[name]).flatMap { $0.isEmpty ? nil : $0 }
    }
    for part in (value("no_proxy") ?? "").split(separator: ",") {
      let host = place.hostForResolution
      let name = part.filter { $0 != " " }
      if name == "*" || host == name || host.hasSuffix("." + name.drop { $0 == "." }) { return nil }
    }
    return try value("https_proxy").map { text throws(NodeError) in try parse(text) }
  }

  /// Reads `http://[user:password@]host[:port]`.
  package static func parse(_ text: String) throws(NodeError) -> ProxyConfiguration {
    var rest = text[...]
    if rest.hasPrefix("http://") { rest = rest.dropFirst(7) }
    var authorization: String?
    if let at = rest.lastIndex(of: "@") {
      // RFC 7617: what is escaped in a URL stands plain in the field.
      let user = PercentCoding.decode(rest[..<at]) ?? String(rest[..<at])
      authorization = "Basic \(Base64.encode(Array(user.utf8)))"
      rest = rest[rest.index(after: at)...]
    }
    guard !text.contains("://") || text.hasPrefix("http://"),
      let url = try? HTTPURL("http://\(rest)")
    else {
      throw NodeError(.badConfiguration, "a proxy looks like http://host:port")
    }
    return ProxyConfiguration(
      host: url.authority.hostForResolution, port: url.authority.port ?? 8_080,
      authorization: authorization)
  }
}
