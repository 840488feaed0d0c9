public import BloomBase
public import BloomHTTP

/// Which HTTP proxy is asked to CONNECT on the way to a place; pure.
public struct ProxyChoice: Sendable, Equatable {
  /// No connection goes through a proxy.
  public static let none = ProxyChoice()

  private var proxy: ProxyConfiguration?
  /// Why there is no `proxy` although one was named.
  private var problem: NetError?
  /// Hosts without one, lower case, each with all names below it; `*` for every host.
  private var exceptions: [String] = []
  private var isForLoopback = false
  private var isForTLSOnly = false

  private init() {}

  /// One proxy for every TCP connection, to this machine's own addresses too.
  public static func everywhere(_ proxy: ProxyConfiguration) -> ProxyChoice {
    var choice = ProxyChoice()
    choice.proxy = proxy
    choice.isForLoopback = true
    return choice
  }

  /// `HTTPS_PROXY` unless `NO_PROXY` names the host, in capitals or not.
  ///
  /// As everywhere, it is for TLS only: what is plain would be the proxy's to read. Loopback is
  /// reached without one. A proxy that is none is told where it would be used.
  /// - Parameter environment: The process's.
  public init(environment: [String: String]) {
    guard let text = Self.value("https_proxy", in: environment) else { return }
    proxy = Self.parse(text)
    if proxy == nil {
      problem = NetError(.proxyFailed, "HTTPS_PROXY: a proxy looks like http://host:port")
    }
    isForTLSOnly = true
    for part in (Self.value("no_proxy", in: environment) ?? "").split(separator: ",") {
      let name = String(part).lowercased().filter { $0 != " " }
      let host = String(name.drop { $0 == "." })
      if !host.isEmpty { exceptions.append(host) }
    }
  }

  /// The user's setting for every place beyond this machine, else the environment's.
  ///
  /// - Parameters:
  ///   - setting: `http://host:port`, with `user:password@` when the proxy wants it.
  ///   - environment: The process's.
  /// - Throws: `ConfigurationError` for a setting that is no proxy.
  public init(setting: String?, environment: [String: String]) throws(ConfigurationError) {
    guard let setting else {
      self.init(environment: environment)
      return
    }
    guard let named = Self.parse(setting) else {
      throw ConfigurationError("a proxy looks like http://host:port")
    }
    self.init()
    proxy = named
  }

  /// The proxy of connections to a URL; `nil` for none.
  ///
  /// - Throws: ``NetError`` with `proxyFailed` when the environment names one that is none.
  public func choose(for url: HTTPURL) throws(NetError) -> ProxyConfiguration? {
    try choose(host: url.authority.hostForResolution, usesTLS: url.scheme.usesTLS)
  }

  /// The same of a name or address in lower case, without brackets.
  func choose(host: String, usesTLS: Bool) throws(NetError) -> ProxyConfiguration? {
    guard isForLoopback || !Self.isLoopback(host), usesTLS || !isForTLSOnly else { return nil }
    for name in exceptions {
      if name == "*" || host == name || host.hasSuffix(".\(name)") { return nil }
    }
    if let problem { throw problem }
    return proxy
  }

  private static func isLoopback(_ host: String) -> Bool {
    host == "localhost" || IPAddress(host)?.isLoopback == true
  }

  private static func value(_ name: String, in environment: [String: String]) -> String? {
    (environment[name.uppercased()] ?? environment[name]).flatMap { $0.isEmpty ? nil : $0 }
  }

  /// Reads `http://[user:password@]host[:port]`; `nil` for what is no proxy.
  static func parse(_ text: String) -> ProxyConfiguration? {
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
    else { return nil }
    return ProxyConfiguration(
      host: url.authority.hostForResolution, port: url.authority.port ?? 8_080,
      authorization: authorization)
  }
}
