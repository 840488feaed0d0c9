internal import BloomBase
internal import BloomPlatform
internal import BloomWire

/// `darkbloom keys`: API keys of the account, with limits.
struct KeysCommand {
  static let spec = CommandSpec(
    "keys", "API keys of your account, with limits",
    options: [CommandContext.data, .json],
    subcommands: [
      CommandSpec(
        "list", "every key with its limits and what it spent",
        examples: [.init("darkbloom keys list", "each with its id, for revoke")]),
      CommandSpec(
        "create", "make a key; it is shown once",
        options: [
          OptionSpec("name", value: "NAME", "how you call it"),
          OptionSpec("micros-per-day", value: "MICROS", "the most it spends in a day, UTC"),
          OptionSpec("micros-per-month", value: "MICROS", "the most it spends in a month, UTC"),
          OptionSpec("requests-per-minute", value: "N", "answers it begins in a minute"),
          OptionSpec(
            "model", value: "DIGEST", "a model it may ask, from darkbloom models list --json",
            repeats: true),
          OptionSpec("pool", value: "POOL", "only machines of this pool answer"),
          OptionSpec("region", value: "REGION", "only machines of this region answer"),
          OptionSpec(
            "tier", value: "TIER", "the weakest evidence of machines",
            choices: ["software", "paired", "measured", "hardware"]),
          OptionSpec("days", value: "N", "void after so many days"),
        ],
        examples: [
          .init(
            "darkbloom keys create --name ci --micros-per-day 500000 --requests-per-minute 30",
            "a key that cannot cost more than half a unit a day")
        ]),
      CommandSpec(
        "revoke", "make a key void", arguments: [ArgumentSpec("ID", "the key's id, from list")],
        examples: [.init("darkbloom keys revoke 5f0c9a", "programs with it are refused at once")]),
    ])

  private let context: CommandContext

  init(_ context: CommandContext) { self.context = context }

  func run() async throws -> ExitCode {
    let network = try JoinedNetwork.current(context)
    _ = try network.requireKey()
    let client = AccountClient(network, context)
    switch context.command.path.last {
    case "list": show(try await client.get("/v1/keys"))
    case "create":
      let made = try await client.post("/v1/keys", object: try body())
      if context.command.has("json") {
        show(made)
      } else {
        print(made["api_key"]?.string ?? "")
        ProcessEnvironment.complain(
          "shown only now; its id is \(made["key"]?["id"]?.string ?? "?")")
      }
    default:
      let id = context.command.arguments[0]
      guard id.allSatisfy({ $0.isASCII && $0.isHexDigit }) else {
        throw UsageError("a key's id is hexadecimal; list them with: darkbloom keys list")
      }
      show(try await client.post("/v1/keys/\(id)/revoke"))
    }
    return .done
  }

  private func body() throws -> JSONValue {
    let command = context.command
    var members: [JSONValue.Member] = []
    for name in ["name", "pool", "region", "tier"] {
      if let text = command.value(name) { members.append(.init(name, .string(text))) }
    }
    for (name, option) in [
      ("micros_per_day", "micros-per-day"), ("micros_per_month", "micros-per-month"),
      ("requests_per_minute", "requests-per-minute"),
    ] {
      if let number = try command.integer(option, in: 0...Int.max) {
        members.append(.init(name, .integer(number)))
      }
    }
    members.append(.init("models", .array(command.all("model").map { .string($0) })))
    if let days = try command.integer("days", in: 1...36_500) {
      let end = SystemTime().unixTime().seconds + Int64(days) * 86_400
      members.append(.init("expires", .integer(end)))
    }
    return .object(members)
  }

  private func show(_ value: JSONValue) {
    if context.command.has("json") {
      return print(String(decoding: value.encoded, as: UTF8.self))
    }
    for key in value["keys"]?.items ?? [value] { print(Self.line(key)) }
  }

  private static func line(_ key: JSONValue) -> String {
    let limits = key["limits"]
    var words = [key["id"]?.string ?? "?", key["name"]?.string ?? ""]
    if key["revoked"]?.integer != nil { words.append("revoked") }
    if key["manages_account"]?.bool == true { words.append("manages the account") }
    for (name, text) in [
      ("micros_per_day", "micros a day"), ("micros_per_month", "micros a month"),
      ("requests_per_minute", "requests a minute"),
    ] {
      if let number = limits?[name]?.integer { words.append("at most \(number) \(text)") }
    }
    for name in ["pool", "region"] {
      if let text = limits?[name]?.string { words.append("\(name) \(text)") }
    }
    if let spent = key["spent_today_micros"]?.integer { words.append("spent today \(spent)") }
    return words.joined(separator: "  ")
  }
}
