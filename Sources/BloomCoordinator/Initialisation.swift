internal import BloomBase
internal import BloomLedger
internal import BloomStore
internal import BloomCrypto
internal import BloomHTTP
internal import BloomPlatform
internal import BloomWire

/// `darkbloom-coordinator init`: keys, database, first admin, links, and what is needed in front.
struct Initialisation {
  private let folder: CoordinatorFolder
  private let origin: String
  private let url: String
  private let tls: (certificate: String, key: String)?
  private let signUp: String?
  private let price: Price
  private let firstCredit: Micros
  private let place: LedgerPlace

  /// Micro-units a million tokens that a new network charges unless it is told otherwise: with a
  /// unit of about a dollar, what small open models cost elsewhere.
  static let defaultPrice = (prompt: 50_000, completion: 200_000)
  /// What the first accounts may spend: one unit, since an answer's worst case is set aside.
  static let defaultCredit = 1_000_000

  /// Reads and checks the command line; nothing is written.
  init(
    _ folder: CoordinatorFolder, _ command: ParsedCommand, _ environment: [String: String]
  ) throws {
    self.folder = folder
    place = try LedgerPlace(command, environment, file: nil)
    origin = command.value("origin") ?? "darkbloom"
    try CoordinatorProgram.check(origin: origin)
    url = try CoordinatorProgram.check(url: command.value("url") ?? "https://\(origin)")
    signUp = command.value("signup")
    let prices = 0...Int(LedgerLimits.pricePerMillion)
    let asked = (
      prompt: try command.integer("price-prompt", in: prices) ?? Self.defaultPrice.prompt,
      completion: try command.integer("price-completion", in: prices)
        ?? Self.defaultPrice.completion
    )
    guard
      let price = Price(
        promptPerMillion: Int64(asked.prompt), completionPerMillion: Int64(asked.completion))
    else { throw UsageError("a price is in 0…\(LedgerLimits.pricePerMillion)") }
    self.price = price
    firstCredit = Micros(
      Int64(try command.integer("first-credit", in: 0...1_000_000_000_000) ?? Self.defaultCredit))
    switch (command.value("tls-certificate"), command.value("tls-key")) {
    case (nil, nil): tls = nil
    case (let certificate?, let key?):
      for path in [certificate, key] {
        guard let bytes = try PrivateFile.read(path), PEM.isPresent(bytes) else {
          throw UsageError("\(path) is not a PEM file")
        }
      }
      tls = (certificate, key)
    default: throw UsageError("--tls-certificate and --tls-key must be given together")
    }
  }

  func run() async throws {
    var settings = [(name: "url", value: url)]
    if let signUp { settings.append((name: "signup", value: signUp)) }
    if let tls {
      settings += [
        (name: "tls.certificate", value: tls.certificate), (name: "tls.key", value: tls.key),
      ]
    }
    if case .postgresql(let address) = place {
      settings.append((name: LedgerPlace.setting, value: address.withoutPassword.text))
    }
    try folder.checkUnused(place)
    try folder.checkNew()
    // The books before the key: a folder with a key is a whole one, one without can be tried again.
    let store = try await folder.openStore(place)
    let first: FirstCodes
    do {
      try await store.apply(.changePrice(.fallback(price)))
      first = try await fill(Accounts(store: store))
    } catch {
      await store.close()
      throw error
    }
    await store.close()
    let key = try folder.initialise(origin: origin, settings: settings)
    try report(first, key.verifyingKey.bytes)
  }

  /// What is shown once, to whoever ran `init`.
  private struct FirstCodes {
    let apiKey: String
    let node: String
    let user: String
  }

  private func fill(_ accounts: Accounts) async throws -> FirstCodes {
    let now = SystemTime().unixTime()
    let admin = CoordinatorProgram.admin
    try await accounts.ensure(admin, name: "admin", credit: firstCredit, now: now)
    let apiKey = try await accounts.addKey(
      for: admin, name: "first", managesAccount: true, now: now
    ).text
    let week = now + 604_800
    let node = try await accounts.invite(.node, by: admin, expires: week)
    let user = try await accounts.invite(
      .user, by: admin, credit: firstCredit, expires: week)
    return FirstCodes(apiKey: apiKey, node: node.code, user: user.code)
  }

  private func report(_ first: FirstCodes, _ logKey: [UInt8]) throws {
    let link = { (code: String, isForMachine: Bool) in
      NetworkLink(
        url: url, origin: origin, logKey: logKey, invite: code, isForMachine: isForMachine
      ).text
    }
    print("log      \(origin)")
    print("log key  \(Hex.encode(logKey))")
    print("account  \(CoordinatorProgram.admin)")
    print("API key  \(first.apiKey)")
    if case .postgresql(let address) = place {
      print("database \(address)" + (address.hasPassword ? ", its password is not kept" : ""))
    }
    print("The API key is shown only now. Keep a copy of log.key: clients trust no other.")
    print("")
    print("Links, good once and for a week; on the device, in quotes:")
    print("  a user:    darkbloom join '\(link(first.user, false))'")
    print("  a machine: darkbloom join '\(link(first.node, true))' && darkbloom node enroll")
    print("Then let users see what the machine serves:")
    print("  darkbloom-coordinator admin models list --data \(folder.folder.path)")
    print("  darkbloom-coordinator admin models allow MODEL --data \(folder.folder.path)")
    print("More: darkbloom-coordinator admin invites create --data \(folder.folder.path)")
    print("")
    print(
      "Answers cost \(price.promptPerMillion) micro-units a million prompt tokens and "
        + "\(price.completionPerMillion) a million completion tokens;")
    print(
      "95 % is the owner's. The first user and admin begin with \(firstCredit) units. Change it:")
    print(
      "  darkbloom-coordinator admin prices set --fallback --prompt MICROS --completion MICROS "
        + "--data \(folder.folder.path)")
    print("")
    if tls == nil {
      try writeSnippets()
    } else {
      print("Start it, on port 443 or behind a forwarded one:")
      print(
        "  darkbloom-coordinator serve --data \(folder.folder.path) --listen :8640")
    }
  }

  /// The coordinator listens on loopback then, and a proxy ends TLS in front of it.
  private func writeSnippets() throws {
    let host = url.split(separator: "/").last.map(String.init) ?? origin
    // nginx has the port with `listen`.
    let name = (try? HTTPURL(url))?.authority.host ?? host
    try folder.folder.replace("Caddyfile", with: Array(ProxySnippet.caddy(host: host).utf8))
    try folder.folder.replace("nginx.conf", with: Array(ProxySnippet.nginx(host: name).utf8))
    print("No TLS files were given: put a proxy in front. Caddy gets certificates by itself:")
    print("")
    print(ProxySnippet.caddy(host: host), terminator: "")
    print("")
    print("Both are in \(folder.folder.path): Caddyfile and nginx.conf. Then start it:")
    print("  darkbloom-coordinator serve --data \(folder.folder.path)")
  }
}

/// Configurations of proxies that end TLS for the coordinator on this machine.
///
/// Answers are streams and node links are WebSockets that live for days: nothing may be buffered
/// or cut by the proxy.
enum ProxySnippet {
  static func caddy(host: String) -> String {
    """
    \(host) {
      reverse_proxy 127.0.0.1:8640 {
        flush_interval -1
      }
    }

    """
  }

  static func nginx(host: String) -> String {
    """
    server {
      listen 443 ssl;
      server_name \(host);
      ssl_certificate /etc/letsencrypt/live/\(host)/fullchain.pem;
      ssl_certificate_key /etc/letsencrypt/live/\(host)/privkey.pem;
      client_max_body_size 64m;
      location / {
        proxy_pass http://127.0.0.1:8640;
        proxy_http_version 1.1;
        proxy_set_header Host $host;
        proxy_set_header X-Forwarded-For $remote_addr;
        proxy_set_header Upgrade $http_upgrade;
        proxy_set_header Connection $http_connection;
        proxy_buffering off;
        proxy_request_buffering off;
        proxy_read_timeout 1h;
        proxy_send_timeout 1h;
      }
    }

    """
  }
}

extension PEM {
  /// Whether a file looks like PEM; the server checks the rest when it starts.
  fileprivate static func isPresent(_ bytes: [UInt8]) -> Bool {
    String(decoding: bytes.prefix(4_096), as: UTF8.self).contains("-----BEGIN ")
  }
}
