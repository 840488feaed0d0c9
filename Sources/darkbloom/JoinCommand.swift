internal import BloomBase
internal import BloomClient
internal import BloomHTTP
internal import BloomNet
internal import BloomPlatform
internal import BloomSeal
internal import BloomWire

/// `darkbloom join LINK`: pins a network on this device and uses the invitation that came with it.
struct JoinCommand {
  static let spec = CommandSpec(
    "join", "join a network by its link",
    discussion: """
      The link names the coordinator and the key that signs its directory; the key is pinned and \
      nothing else is believed from then on. With an invite for a user it makes an account; with \
      one for a machine, run darkbloom node enroll next. Put the link in quotes.
      """,
    options: [
      CommandContext.data, .json,
      OptionSpec("name", value: "NAME", "how the account is called"),
      OptionSpec("replace", "leave the network joined before; its key on this device is lost"),
      OptionSpec("plain-http", "allow a coordinator without TLS that is not this machine"),
    ],
    arguments: [ArgumentSpec("LINK", "https://HOST/join#origin=…&key=…")],
    examples: [
      .init("darkbloom join 'https://bloom.example/join#origin=bloom&key=…'", "join a network")
    ])

  private let context: CommandContext

  init(_ context: CommandContext) { self.context = context }

  func run() async throws -> ExitCode {
    let link: NetworkLink
    do {
      link = try NetworkLink(context.command.arguments[0])
    } catch {
      throw UsageError(error.publicDescription)
    }
    try checkTransport(link)
    let data = context.dataFolder
    try PrivateFile.makeFolder(data)
    let path = JoinedNetwork.path(data)
    if !context.command.has("replace"), let known = try? JoinedNetwork(path: path) {
      let isSame = known.origin == link.origin && known.logKey == link.logKey
      throw ConfigurationError(
        isSame
          ? "this device is in the network \(known.origin) already; with --replace it joins anew"
          : "this device is in the network \(known.origin); leave it with --replace, or use "
            + "another --data folder")
    }
    try await verify(link)
    var network = JoinedNetwork(link)
    var account: String?
    if let invite = link.invite {
      // A machine's invitation is kept for its enrolment, a user's makes an account now.
      if link.isForMachine {
        network.invite = invite
      } else {
        account = try await signUp(invite, &network)
      }
    }
    try network.write(to: path)
    report(network, account)
    return .done
  }

  /// An API key must not travel in clear over other people's wires.
  private func checkTransport(_ link: NetworkLink) throws {
    guard let url = try? HTTPURL(link.url) else {
      throw UsageError(NetworkLink.Problem.notALink.publicDescription)
    }
    guard url.scheme.usesTLS || url.authority.isLoopback || context.command.has("plain-http") else {
      throw UsageError(
        "the link is without TLS: others on the way would read your key; ask for an https link, "
          + "or add --plain-http on a network of your own")
    }
  }

  /// The coordinator must show a directory signed by the link's key before anything is kept.
  private func verify(_ link: NetworkLink) async throws {
    let http = context.webClient()
    defer { http.close() }
    let verifier = try DirectoryVerifier(origin: link.origin, key: link.logKey)
    let bytes: [UInt8]
    do {
      bytes = try await CoordinatorClient(base: link.url, apiKey: nil, http: http)
        .directory(earlier: 0)
    } catch let error as NetError {
      throw AccountClient.Refusal(
        reason: "unreachable",
        publicDescription:
          "the coordinator cannot be reached (\(error.publicDescription)); nothing was changed")
    }
    _ = try verifier.snapshot(bytes, known: nil, now: SystemTime().unixTime())
  }

  private func signUp(_ invite: String, _ network: inout JoinedNetwork) async throws -> String? {
    let name = context.command.value("name") ?? "user"
    let made = try await AccountClient.anonymous(network, context).post(
      "/v1/signup", ["name": .string(name), "invite": .string(invite)])
    network.apiKey = made["api_key"]?.string
    return made["account"]?.string
  }

  private func report(_ network: JoinedNetwork, _ account: String?) {
    if context.command.has("json") {
      let value = JSONValue.members([
        "origin": .string(network.origin), "url": .string(network.url),
        "account": account.map { .string($0) } ?? .null,
        "machine_invite": .bool(network.invite != nil),
      ])
      print(String(decoding: value.encoded, as: UTF8.self))
      return
    }
    print("joined \(network.origin); the key of its directory is pinned on this device")
    if let account {
      print("your account is \(account); start asking with: darkbloom gateway")
    } else if network.invite != nil {
      print("this machine may serve; next: darkbloom node enroll")
    } else {
      print("next: darkbloom login, or darkbloom node enroll for a machine that serves")
    }
  }
}
