internal import BloomBase
internal import BloomCrypto
internal import BloomGateway
internal import BloomPlatform
internal import BloomWire

/// `darkbloom gateway keys`: who may use an organisation's own gateway, and how much.
struct GatewayKeysCommand {
  static let spec = CommandSpec(
    "keys", "give people and programs keys of their own, with limits",
    discussion: """
      For an organisation's own gateway: each key has its limits, a running gateway sees changes within \
      seconds, and a key's text is shown once. Settings in gateway.json5 let other machines connect: \
      listen, hosts, tls.certificate, tls.key.
      """,
    subcommands: [
      CommandSpec(
        "add", "make a key and print it once",
        options: [
          CommandContext.data,
          OptionSpec("requests-per-minute", value: "N", "requests a minute"),
          OptionSpec("tokens-per-day", value: "N", "tokens of prompts and answers a day of UTC"),
          OptionSpec(
            "micros-per-day", value: "N", "what the network may book a day, in micro-units"),
          OptionSpec("model", value: "NAME", "a model it may ask; any unless given", repeats: true),
        ],
        arguments: [ArgumentSpec("NAME", "who gets it")],
        examples: [
          .init("darkbloom gateway keys add ann --requests-per-minute 60", "a key with a limit")
        ]),
      CommandSpec(
        "list", "names, limits and what was used today", options: [CommandContext.data, .json],
        examples: [.init("darkbloom gateway keys list --json", "for a script that bills")]),
      CommandSpec(
        "revoke", "take a key back", options: [CommandContext.data],
        arguments: [ArgumentSpec("NAME", "whose key")],
        examples: [.init("darkbloom gateway keys revoke ann", "her key is void within seconds")]),
    ])

  private let context: CommandContext

  init(_ context: CommandContext) { self.context = context }

  func run() throws -> ExitCode {
    try PrivateFile.makeFolder(context.dataFolder)
    let files = GatewayFiles(folder: context.dataFolder)
    switch context.command.path.last {
    case "add": try add(files)
    case "list": try list(files)
    case "revoke":
      let name = context.command.arguments.first ?? ""
      var book = try files.book()
      try book.revoke(name)
      try files.write(book)
      print("the key of \(name) is taken back")
    default: throw UsageError("choose one of add, list, revoke")
    }
    return .done
  }

  private func add(_ files: GatewayFiles) throws {
    let text = context.command.arguments.first ?? ""
    guard let name = ShortName(text) else {
      throw UsageError("a key's name has 1 to 48 letters, digits or . _ - : /")
    }
    var limits = KeyLimits()
    limits.requestsPerMinute = try context.command.integer(
      "requests-per-minute", in: 1...1_000_000)
    limits.tokensPerDay = try context.command.integer("tokens-per-day", in: 0...1 << 50)
    limits.spendPerDay = try context.command.integer("micros-per-day", in: 0...1 << 50).map {
      Micros(Int64($0))
    }
    let models = context.command.all("model")
    limits.models = models.isEmpty ? nil : Set(models)
    let token = "org-" + Base64.encode(SecureRandom.bytes(24), .url)
    var book = try files.book()
    try book.add(AccessKey(name: name, token: token, limits: limits), at: SystemTime().unixTime())
    try files.write(book)
    ProcessEnvironment.complain("the key of \(name); it is shown only now:")
    print(token)
  }

  private func list(_ files: GatewayFiles) throws {
    let entries = try files.book().entries
    let usage = try files.usage(at: SystemTime().unixTime())
    if context.command.has("json") {
      let items = entries.map { entry in
        let used = usage.of(entry.key.digest)
        let limits = entry.key.limits
        return JSONValue.members([
          "name": .string(entry.key.name?.text ?? ""), "created": .integer(entry.created.seconds),
          "requests_per_minute": limits.requestsPerMinute.map { .integer($0) } ?? .null,
          "tokens_per_day": limits.tokensPerDay.map { .integer($0) } ?? .null,
          "micros_per_day": limits.spendPerDay.map { .integer($0.rawValue) } ?? .null,
          "models": limits.models.map { .array($0.sorted().map { .string($0) }) } ?? .null,
          "tokens_today": .integer(used.tokens), "micros_today": .integer(used.spent.rawValue),
        ])
      }
      print(String(decoding: JSONValue.array(items).encoded, as: UTF8.self))
      return
    }
    if entries.isEmpty { print("no keys yet; make one with: darkbloom gateway keys add NAME") }
    for entry in entries {
      let used = usage.of(entry.key.digest)
      let limits = entry.key.limits
      let parts = [
        limits.requestsPerMinute.map { "\($0) requests a minute" },
        limits.tokensPerDay.map { "\($0) tokens a day" },
        limits.spendPerDay.map { "\($0.rawValue) micro-units a day" },
        limits.models.map { $0.sorted().joined(separator: " ") },
      ].compactMap { $0 }
      print(
        "\(entry.key.name?.text ?? "")\t\(parts.isEmpty ? "no limit" : parts.joined(separator: ", "))"
          + "\ttoday \(used.tokens) tokens, \(used.spent.rawValue) micro-units")
    }
  }
}

/// The gateway's files in its data folder.
struct GatewayFiles: Sendable {
  let folder: String

  private var bookPath: String { "\(folder)/gateway-keys.json" }
  private var usagePath: String { "\(folder)/gateway-usage.json" }

  /// The keys; none without a file.
  func book() throws -> KeyBook {
    guard let bytes = try PrivateFile.read(bookPath, limitBytes: 1 << 24) else { return KeyBook() }
    return try KeyBook(decoding: bytes)
  }

  func write(_ book: KeyBook) throws { try PrivateFile.write(book.encoded, to: bookPath) }

  /// What was used on the day of a time.
  func usage(at now: UnixTime) throws -> KeyUsage {
    guard let bytes = try PrivateFile.read(usagePath, limitBytes: 1 << 24) else {
      return KeyUsage()
    }
    let usage = KeyUsage(decoding: bytes)
    return usage.day == now.seconds / 86_400 ? usage : KeyUsage()
  }

  func write(_ usage: KeyUsage) throws { try PrivateFile.write(usage.encoded, to: usagePath) }
}
