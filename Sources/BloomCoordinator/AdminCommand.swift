internal import BloomBase
internal import BloomHTTP
internal import BloomNet
internal import BloomPlatform
internal import BloomWire

/// `darkbloom-coordinator admin …`: speaks to a running coordinator over its local socket.
enum AdminCommand {
  /// The socket's file in the data folder.
  static let socketName = "admin.sock"
  /// Bytes of a socket's path that every system takes, unix(7).
  static let socketPathMax = 100

  static let spec = CommandSpec(
    "admin", "manage a running coordinator over its local socket",
    discussion: """
      Works on the coordinator's machine, for the user who runs it. Money is in millionths of a \
      unit, times are seconds since 1970.
      """,
    options: [
      OptionSpec("data", value: "DIR", "the data folder", environment: "DARKBLOOM_DATA"), .json,
    ],
    examples: [
      .init(
        "darkbloom-coordinator admin invites create --for user --data /var/lib/darkbloom",
        "a link for a new user"),
      .init(
        "darkbloom-coordinator admin approve WDJB-MJHT --account u-0123456789abcdef",
        "join the device that shows this code"),
    ],
    subcommands: [
      CommandSpec(
        "accounts", "who may use the network",
        subcommands: [
          CommandSpec("list", "every account with its balance"),
          CommandSpec(
            "create", "make an account", options: [name],
            arguments: [ArgumentSpec("ACCOUNT", "its id: a-z 0-9 . _ : -")]),
          CommandSpec(
            "block", "let an account do nothing",
            options: [OptionSpec("reason", value: "TEXT", "why")], arguments: [account]),
          CommandSpec("unblock", "let an account go on", arguments: [account]),
          CommandSpec(
            "grant", "give credit",
            options: [
              OptionSpec("key", value: "TEXT", "the same grant is booked once under one key")
            ],
            arguments: [account, ArgumentSpec("MICROS", "millionths of a unit")]),
        ]),
      CommandSpec(
        "keys", "API keys of an account",
        subcommands: [
          CommandSpec("list", "its keys with their limits", arguments: [account]),
          CommandSpec(
            "create", "make a key; it is shown once", options: keyOptions, arguments: [account]),
          CommandSpec(
            "revoke", "make a key void",
            arguments: [account, ArgumentSpec("ID", "the key's id")]),
        ]),
      CommandSpec(
        "invites", "links for new users and machines",
        subcommands: [
          CommandSpec("list", "links that are still good"),
          CommandSpec(
            "create", "make a link",
            options: [
              OptionSpec("for", value: "WHOM", "who it is for", choices: ["user", "node"]),
              OptionSpec("account", value: "ACCOUNT", "who invites and owns a machine; admin"),
              OptionSpec("uses", value: "N", "how often it is good, once unless given"),
              OptionSpec("micros", value: "MICROS", "credit that comes with it"),
              OptionSpec("expires-in", value: "SECONDS", "a week unless given"),
            ]),
          CommandSpec(
            "revoke", "take a link back", arguments: [ArgumentSpec("ID", "the invite's id")]),
        ]),
      CommandSpec(
        "nodes", "enrolled machines",
        subcommands: [
          CommandSpec("list", "every machine and its owner"),
          CommandSpec(
            "remove", "take a machine out of its account",
            arguments: [ArgumentSpec("NODE", "its id, 8 digits or more")]),
        ]),
      CommandSpec(
        "models", "which models users are told of",
        discussion: """
          Users choose a model by its name, and a machine can call anything by any name: a model \
          is served once the operator listed it. Machines tell what they have when they connect.
          """,
        subcommands: [
          CommandSpec("list", "listed models, and those that connected machines offer"),
          CommandSpec("allow", "list a model that a machine offers", arguments: [model]),
          CommandSpec(
            "add", "list a model by its manifest",
            arguments: [ArgumentSpec("FILE", "the manifest, from the model store's manifests")]),
          CommandSpec("remove", "serve a model no more", arguments: [model]),
        ]),
      CommandSpec(
        "pools", "private pools",
        subcommands: [
          CommandSpec("list", "every pool with members and machines"),
          CommandSpec("remove", "end a pool", arguments: [ArgumentSpec("POOL", "its name")]),
        ]),
      CommandSpec(
        "approve", "join the device that shows a code",
        options: [
          OptionSpec("account", value: "ACCOUNT", "to which account, admin unless given"),
          OptionSpec("deny", "refuse it"),
        ], arguments: [ArgumentSpec("CODE", "what the device shows")]),
      CommandSpec("status", "what runs now"),
      CommandSpec(
        "drain", "take no new work, let running answers end, stop",
        discussion: """
          The same as SIGTERM: what still runs after 30 s is handed over to other machines or to \
          the next start.
          """),
      CommandSpec(
        "disputes", "settlements that users question",
        subcommands: [CommandSpec("list", "those without an answer")]),
      CommandSpec(
        "refund", "end a dispute: the user gets the money back",
        options: [OptionSpec("decline", "the owner keeps it")],
        arguments: [
          ArgumentSpec("ENTRY", "the ledger entry, from: admin disputes list"),
          ArgumentSpec("PART", "the part"),
        ]),
    ] + MoneyCommand.specs)

  private static let account = ArgumentSpec("ACCOUNT", "its id")
  private static let model = ArgumentSpec("MODEL", "its name, or 8 digits or more of its id")
  private static let name = OptionSpec("name", value: "NAME", "as people call it")
  private static let keyOptions = [
    name,
    OptionSpec("micros-per-day", value: "MICROS", "the most it spends in a day, UTC"),
    OptionSpec("micros-per-month", value: "MICROS", "the most it spends in a month, UTC"),
    OptionSpec("requests-per-minute", value: "N", "answers it begins in a minute"),
    OptionSpec("model", value: "DIGEST", "a model it may ask, else all", repeats: true),
    OptionSpec("pool", value: "POOL", "the only pool whose machines answer"),
    OptionSpec("region", value: "REGION", "the only region whose machines answer"),
    OptionSpec(
      "tier", value: "TIER", "the weakest evidence of machines",
      choices: ["software", "paired", "measured", "hardware"]),
    OptionSpec("expires", value: "SECONDS", "when it is void, seconds since 1970"),
    OptionSpec("manages-account", "it may approve devices and make keys"),
  ]

  /// Asks and prints.
  static func run(_ command: ParsedCommand, _ folder: CoordinatorFolder) async throws {
    let words = Array(command.path.dropFirst())
    if try await MoneyCommand.run(words, command, folder) { return }
    let answer = try await ask(
      "/" + words.joined(separator: "/"), try body(words, command),
      socket: folder.folder.path(of: socketName))
    if command.has("json") {
      print(String(decoding: answer.encoded, as: UTF8.self))
    } else {
      print(PlainText.of(answer), terminator: "")
    }
  }

  private static func body(_ words: [String], _ command: ParsedCommand) throws -> JSONValue {
    var members: [JSONValue.Member] = []
    func add(_ name: String, _ text: String?) {
      if let text { members.append(.init(name, .string(text))) }
    }
    func number(_ name: String, _ option: String) throws {
      guard let number = try command.integer(option) else { return }
      members.append(.init(name, .integer(number)))
    }
    func argument(_ index: Int, _ name: String) throws {
      guard let number = Int64(command.arguments[index]) else {
        throw UsageError("\(name.uppercased()) must be a whole number")
      }
      members.append(.init(name, .integer(number)))
    }
    switch words {
    case ["accounts", "create"], ["accounts", "block"], ["accounts", "unblock"], ["keys", "list"]:
      add("account", command.arguments[0])
    case ["accounts", "grant"]:
      add("account", command.arguments[0])
      try argument(1, "micros")
    case ["keys", "create"]:
      add("account", command.arguments[0])
      if command.has("manages-account") {
        members.append(.init("manages_account", .bool(true)))
      }
      members.append(.init("models", .array(command.all("model").map { .string($0) })))
    case ["keys", "revoke"]:
      add("account", command.arguments[0])
      add("id", command.arguments[1])
    case ["invites", "revoke"]: add("id", command.arguments[0])
    case ["nodes", "remove"]: add("node", command.arguments[0])
    case ["models", "allow"], ["models", "remove"]: add("model", command.arguments[0])
    case ["models", "add"]:
      let file = try ByteFile(reading: command.arguments[0])
      let bytes = try file.read(
        min(try file.byteCount(), ManifestCatalog.manifestBytes + 1))
      add("manifest", Base64.encode(bytes))
    case ["pools", "remove"]: add("pool", command.arguments[0])
    case ["approve"]:
      add("code", command.arguments[0])
      members.append(.init("approve", .bool(!command.has("deny"))))
    case ["refund"]:
      try argument(0, "entry")
      try argument(1, "part")
      members.append(.init("refund", .bool(!command.has("decline"))))
    default: break
    }
    for option in ["name", "reason", "key", "for", "pool", "region", "tier"] {
      add(option, command.value(option))
    }
    if words.first != "accounts", words.first != "keys" { add("account", command.value("account")) }
    for (name, option) in [
      ("micros_per_day", "micros-per-day"), ("micros_per_month", "micros-per-month"),
      ("requests_per_minute", "requests-per-minute"), ("expires", "expires"), ("uses", "uses"),
      ("micros", "micros"), ("expires_in", "expires-in"),
    ] { try number(name, option) }
    return .object(members)
  }

  /// Sends one question to the socket.
  static func ask(
    _ path: String, _ body: JSONValue, socket: String
  ) async throws -> JSONValue {
    try JSONValue(decoding: try await exchange(path, body, socket: socket))
  }

  /// Sends one question to the socket; the answer may be of any type.
  static func exchange(
    _ path: String, _ body: JSONValue, socket: String
  ) async throws -> [UInt8] {
    guard socket.utf8.count <= socketPathMax else {
      throw UsageError("the data folder's path is too long for a socket; use a shorter one")
    }
    let client = HTTPClient()
    defer { client.close() }
    var request = try ClientRequest.post("http://coordinator\(path)", body.encoded)
    request.unixSocket = socket
    let response: ClientResponse
    do {
      response = try await client.send(request, timeout: .seconds(30))
    } catch let error as NetError where error.code == .connectFailed || error.code == .system {
      throw AdminUnavailable(
        "no coordinator runs with this data folder; start it: darkbloom-coordinator serve --data DIR"
      )
    }
    let bytes = try await response.body.collect(upTo: 64 << 20)
    guard response.status == .ok else {
      let value = try? JSONValue(decoding: bytes)
      throw AdminFailure(value?["error"]?["message"]?.string ?? "the coordinator refused")
    }
    return bytes
  }
}

/// Nobody listens on the socket.
struct AdminUnavailable: PublicError, Equatable {
  let publicDescription: String

  init(_ publicDescription: String) { self.publicDescription = publicDescription }
}

/// What the coordinator refused.
struct AdminFailure: PublicError, Equatable {
  let publicDescription: String

  init(_ publicDescription: String) { self.publicDescription = publicDescription }
}

/// JSON for people: one `name value` a line, items of lists apart from one another.
enum PlainText {
  static func of(_ value: JSONValue) -> String {
    var text = ""
    append(value, "", to: &text)
    return text
  }

  private static func append(_ value: JSONValue, _ name: String, to text: inout String) {
    switch value {
    case .object(let members):
      for member in members {
        append(member.value, name.isEmpty ? member.name : "\(name).\(member.name)", to: &text)
      }
    case .array(let items):
      let isPlain = items.allSatisfy { $0.members == nil }
      if isPlain {
        text += "\(name)  \(items.map(scalar).joined(separator: ", "))\n"
      } else {
        for item in items {
          append(item, "", to: &text)
          text += "\n"
        }
      }
    case .null: break
    default: text += "\(name)  \(scalar(value))\n"
    }
  }

  private static func scalar(_ value: JSONValue) -> String {
    value.string ?? String(decoding: value.encoded, as: UTF8.self)
  }
}
