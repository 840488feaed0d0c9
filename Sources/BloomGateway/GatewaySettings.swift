package import BloomBase
package import BloomNet

/// Everything that can be set of a gateway, each from the first place that has it: flag,
/// environment, file, default.
///
/// The file is JSON5, `gateway.json5` in the user's configuration folder; `timeouts.idle` there is
/// `{timeouts: {idle: 60}}`, and `DARKBLOOM_GATEWAY_TIMEOUTS_IDLE` in the environment.
package struct GatewaySettings: Sendable, Equatable {
  /// Address literals to listen on; loopback unless set.
  package var listen = ["127.0.0.1", "::1"]
  /// 0…65,535; 0 takes any free one.
  package var port = 8642
  /// Host names that requests may name beside loopback's.
  package var hosts: Set<String> = []
  /// Origins of web pages that may use the gateway.
  package var origins: Set<String> = []
  /// Certificate chain and key for TLS; `nil` for plain HTTP.
  package var tls: TLSIdentity?
  /// Whether plain HTTP is spoken beyond loopback, behind a proxy that ends TLS.
  package var allowsPlainHTTP = false
  /// The network's file; `nil` for the device's own.
  package var network: String?
  /// Machines of each sealed request, 1…4.
  package var candidates = 2
  /// Whether prompts and answers are kept beside their receipts.
  package var keepsContent = false
  /// Whether what was delivered is replayed when an answer goes on elsewhere, so that its text is
  /// the same.
  package var continuesExactly = false
  /// The longest silence of a stream, in seconds, before a sign of life is sent; 0 for none.
  package var keepAliveSeconds = 10
  /// The longest that an answer may take, in seconds.
  package var answerSeconds = 3600
  /// Times of connections, in seconds each.
  package var timeouts = Times()

  /// Times of connections, in seconds each, 1…86,400.
  package struct Times: Sendable, Equatable {
    /// For a request's head.
    package var head = 10
    /// Between two pieces of a request's body.
    package var body = 30
    /// Between requests.
    package var idle = 75
    /// For the program to take what was written.
    package var write = 30
    /// For answers under way when the gateway stops.
    package var drain = 30
  }

  /// The full names of all settings.
  package static let names: Set<String> = [
    "listen", "port", "hosts", "origins", "tls.certificate", "tls.key", "plain-http", "network",
    "candidates", "keep-content", "exact", "keep-alive", "timeouts.answer", "timeouts.head",
    "timeouts.body", "timeouts.idle", "timeouts.write", "timeouts.drain",
  ]

  /// The defaults.
  package init() {}

  /// Reads the settings.
  ///
  /// - Parameters:
  ///   - flags: Values by setting name, from the command line.
  ///   - environment: The process's environment.
  ///   - file: The text of the file; `nil` when there is none.
  ///   - fileName: How errors call the file.
  /// - Throws: ``ConfigurationError`` that names the place, the setting and the nearest known one.
  package init(
    flags: [String: String] = [:], environment: [String: String] = [:], file: String? = nil,
    fileName: String = "gateway.json5"
  ) throws(ConfigurationError) {
    let prefix = "DARKBLOOM_GATEWAY_"
    // The file's own place is an option, and no setting in it.
    var names: Set<String> = [prefix + "CONFIG"]
    for name in Self.names {
      names.insert(prefix + String(Configuration.variable(name).dropFirst("DARKBLOOM_".count)))
    }
    try Configuration.checkVariables(prefix, in: environment, known: names)
    var variables: [String: String] = [:]
    for (name, value) in environment where name.hasPrefix(prefix) {
      variables["DARKBLOOM_" + name.dropFirst(prefix.count)] = value
    }
    do throws(ConfigurationError) {
      try read(
        Configuration(
          known: Self.names, flags: flags, environment: variables, file: file, fileName: fileName),
        fileName)
    } catch {
      // The gateway's variables have its name in them.
      guard error.publicDescription.hasPrefix("DARKBLOOM_") else { throw error }
      throw ConfigurationError(prefix + error.publicDescription.dropFirst("DARKBLOOM_".count))
    }
  }

  private mutating func read(
    _ values: Configuration, _ file: String
  ) throws(ConfigurationError) {
    if let hosts = try values.strings("listen") { listen = hosts }
    guard !listen.isEmpty else { throw ConfigurationError("listen needs an address") }
    port = try values.integer("port", in: 0...65_535) ?? port
    hosts = Set(try values.strings("hosts") ?? [])
    origins = Set(try values.strings("origins") ?? [])
    for origin in origins { try Self.check(origin: origin) }
    switch (try values.string("tls.certificate"), try values.string("tls.key")) {
    case (let certificate?, let key?): tls = .files(certificate: certificate, key: key)
    case (nil, nil): tls = nil
    default: throw ConfigurationError("tls.certificate and tls.key need each other")
    }
    allowsPlainHTTP = try values.boolean("plain-http") ?? false
    network = try values.string("network")
    candidates = try values.integer("candidates", in: 1...4) ?? candidates
    keepsContent = try values.boolean("keep-content") ?? false
    continuesExactly = try values.boolean("exact") ?? false
    keepAliveSeconds = try values.integer("keep-alive", in: 0...3600) ?? keepAliveSeconds
    let range = 1...86_400
    answerSeconds = try values.integer("timeouts.answer", in: range) ?? answerSeconds
    timeouts.head = try values.integer("timeouts.head", in: range) ?? timeouts.head
    timeouts.body = try values.integer("timeouts.body", in: range) ?? timeouts.body
    timeouts.idle = try values.integer("timeouts.idle", in: range) ?? timeouts.idle
    timeouts.write = try values.integer("timeouts.write", in: range) ?? timeouts.write
    timeouts.drain = try values.integer("timeouts.drain", in: range) ?? timeouts.drain
  }

  /// A wildcard would let every page in, and a path is never sent.
  private static func check(origin: String) throws(ConfigurationError) {
    let rest = ["https://", "http://"].first { origin.hasPrefix($0) }.map {
      origin.dropFirst($0.count)
    }
    guard let rest, !rest.isEmpty, !rest.contains("/"), !rest.contains("*") else {
      throw ConfigurationError(
        "origins takes whole origins such as https://chat.example.org, without path or *")
    }
  }

  /// Whether only programs of this machine can connect.
  package var isLoopbackOnly: Bool {
    listen.allSatisfy { $0 == "localhost" || IPAddress($0)?.isLoopback ?? false }
  }

  /// `http`, or `https` with TLS.
  package var scheme: String { tls == nil ? "http" : "https" }

  /// Where commands of this device reach the gateway, without a path: `http://127.0.0.1:8642`.
  ///
  /// Loopback where it is listened on, which needs no name resolution; else a name that requests
  /// may carry.
  package var localURL: String {
    let host =
      if listen.contains(where: { ["127.0.0.1", "localhost", "0.0.0.0"].contains($0) }) {
        "127.0.0.1"
      } else if listen.contains(where: { ["::1", "::"].contains($0) }) {
        "[::1]"
      } else {
        hosts.min() ?? "localhost"
      }
    return "\(scheme)://\(host):\(port)"
  }

  /// Refuses what would let strangers in or show them prompts.
  ///
  /// - Parameter hasKeys: Whether the organisation gave out keys.
  /// - Throws: ``ConfigurationError`` that says what to do.
  package func check(hasKeys: Bool) throws(ConfigurationError) {
    if isLoopbackOnly { return }
    guard hasKeys else {
      throw ConfigurationError(
        "a gateway for other machines needs a key for each person or program; make one with: "
          + "darkbloom gateway keys add NAME")
    }
    guard tls != nil || allowsPlainHTTP else {
      throw ConfigurationError(
        "a gateway for other machines must not show prompts to the network between: set "
          + "tls.certificate and tls.key, or plain-http: true behind a proxy that ends TLS")
    }
    guard !hosts.isEmpty else {
      throw ConfigurationError(
        "a gateway for other machines needs the host names they use, for example "
          + "hosts: [\"ai.example.org\"]")
    }
  }

  /// The server's form of the settings.
  package var server: HTTPServer.Configuration {
    var configuration = HTTPServer.Configuration()
    configuration.listen = listen.map { .tcp(host: $0, port: port) }
    configuration.tls = tls.map { TLSServerConfiguration(identity: $0) }
    configuration.timeouts.head = .seconds(timeouts.head)
    configuration.timeouts.body = .seconds(timeouts.body)
    configuration.timeouts.idle = .seconds(timeouts.idle)
    configuration.timeouts.write = .seconds(timeouts.write)
    configuration.timeouts.drain = .seconds(timeouts.drain)
    return configuration
  }
}
