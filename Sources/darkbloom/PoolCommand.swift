internal import BloomBase
internal import BloomPlatform
internal import BloomWire

/// `darkbloom pool`: private pools, whose members' machines alone answer their members.
struct PoolCommand {
  private static let pool = ArgumentSpec("POOL", "its name")

  static let spec = CommandSpec(
    "pool", "private pools: members' machines only",
    discussion: """
      A request in a pool is given to machines of its members and to nobody else; when none is \
      there it is refused. Start the gateway with --pool NAME to ask in one.
      """,
    options: [CommandContext.data, .json],
    subcommands: [
      CommandSpec(
        "create", "make a pool that you own", arguments: [pool],
        examples: [.init("darkbloom pool create lab", "then: darkbloom pool invite lab")]),
      CommandSpec(
        "invite", "make a code that lets somebody in",
        options: [
          OptionSpec("uses", value: "N", "how often it is good, once unless given"),
          OptionSpec("days", value: "N", "how long it is good, a week unless given"),
        ], arguments: [pool],
        examples: [.init("darkbloom pool invite lab --uses 5", "one code for five people")]),
      CommandSpec(
        "join", "become a member", arguments: [ArgumentSpec("CODE", "from a member")],
        examples: [.init("darkbloom pool join K7QM-2X9D", "with the code of a member")]),
      CommandSpec(
        "leave", "leave a pool, or as its owner remove a member or end it",
        options: [
          OptionSpec("member", value: "ACCOUNT", "whom to remove"),
          OptionSpec("delete", "end the pool"),
        ], arguments: [pool],
        examples: [.init("darkbloom pool leave lab", "your machines answer it no more")]),
      CommandSpec(
        "policy", "show or change what a pool demands",
        options: [
          OptionSpec(
            "tier", value: "TIER", "the weakest evidence of its machines",
            choices: ["software", "paired", "measured", "hardware"]),
          OptionSpec("region", value: "REGION", "the only region, any for no limit"),
          OptionSpec(
            "model", value: "DIGEST", "a model that may be asked, any for no limit",
            repeats: true),
          OptionSpec(
            "machine", value: "NODE", "a machine that may answer, any for no limit",
            repeats: true),
          OptionSpec(
            "invite", value: "WHO", "who may invite", choices: ["owner", "members"]),
          OptionSpec("members", value: "N", "the most members"),
        ], arguments: [pool],
        examples: [.init("darkbloom pool policy lab --region eu", "machines in one region only")]),
      CommandSpec(
        "list", "your pools with members and machines",
        examples: [.init("darkbloom pool list", "members, machines, and what a pool demands")]),
      CommandSpec(
        "audit", "what happened in a pool you own",
        options: [
          OptionSpec("format", value: "FORMAT", "csv unless given", choices: ["csv", "json"]),
          OptionSpec("output", value: "FILE", "where to write it, mode 0600"),
        ], arguments: [pool],
        examples: [.init("darkbloom pool audit lab --output lab.csv", "for a spreadsheet")]),
    ])

  private let context: CommandContext

  init(_ context: CommandContext) { self.context = context }

  func run() async throws -> ExitCode {
    let network = try JoinedNetwork.current(context)
    _ = try network.requireKey()
    let client = AccountClient(network, context)
    let command = context.command
    switch command.path.last {
    case "create":
      show(try await client.post("/v1/pools", ["name": .string(try name())]))
    case "invite": try await invite(client)
    case "join":
      show(try await client.post("/v1/pools/join", ["invite": .string(command.arguments[0])]))
    case "leave": try await leave(client)
    case "policy":
      let body = try policy()
      let path = "/v1/pools/\(try name())"
      show(
        try await body.members?.isEmpty == true
          ? client.get(path) : client.post(path + "/policy", object: body))
    case "audit": try await audit(client)
    default: try await list(client)
    }
    return .done
  }

  private func name() throws -> String {
    let name = context.command.arguments[0]
    guard PoolName.isValid(name) else {
      throw UsageError("a pool's name has 1 to 32 characters of a-z, 0-9 and -, not - first")
    }
    return name
  }

  private func invite(_ client: AccountClient) async throws {
    let uses = try context.command.integer("uses", in: 1...10_000) ?? 1
    let days = try context.command.integer("days", in: 1...365) ?? 7
    let answer = try await client.post(
      "/v1/pools/\(try name())/invite",
      ["uses": .integer(uses), "expires_in": .integer(days * 86_400)])
    if context.command.has("json") { return show(answer) }
    let code = answer["invite"]?.string ?? "?"
    print(code)
    ProcessEnvironment.complain(
      "on a device that is logged in: darkbloom pool join \(code)")
  }

  private func leave(_ client: AccountClient) async throws {
    let member = context.command.value("member").map { JSONValue.string($0) } ?? .null
    let answer = try await client.post(
      "/v1/pools/\(try name())/leave",
      ["member": member, "delete": .bool(context.command.has("delete"))])
    if context.command.has("json") { return show(answer) }
    print("done; see what is left with: darkbloom pool list")
  }

  private func policy() throws -> JSONValue {
    let command = context.command
    var members: [JSONValue.Member] = []
    if let tier = command.value("tier") { members.append(.init("tier", .string(tier))) }
    if let region = command.value("region") {
      members.append(.init("region", .string(region == "any" ? "" : region)))
    }
    for (option, member) in [("model", "models"), ("machine", "machines")] {
      let values = command.all(option)
      guard !values.isEmpty else { continue }
      members.append(
        .init(member, .array(values == ["any"] ? [] : values.map { .string($0) })))
    }
    if let who = command.value("invite") {
      members.append(.init("members_invite", .bool(who == "members")))
    }
    if let most = try command.integer("members", in: 1...10_000) {
      members.append(.init("maximum_members", .integer(most)))
    }
    return .object(members)
  }

  private func audit(_ client: AccountClient) async throws {
    let format =
      context.command.value("format") ?? (context.command.has("json") ? "json" : "csv")
    let bytes = try await client.text("/v1/pools/\(try name())/audit?format=\(format)")
    if let path = context.command.value("output") {
      try PrivateFile.write(bytes, to: path)
    } else {
      print(String(decoding: bytes, as: UTF8.self), terminator: format == "csv" ? "" : "\n")
    }
  }

  // MARK: Printing

  private func list(_ client: AccountClient) async throws {
    let answer = try await client.get("/v1/pools")
    if context.command.has("json") { return show(answer) }
    let pools = answer["pools"]?.items ?? []
    if pools.isEmpty { print("you are in no pool; make one: darkbloom pool create NAME") }
    for pool in pools { Terminal.tell(Self.text(pool)) }
  }

  private func show(_ value: JSONValue) {
    Terminal.tell(
      context.command.has("json")
        ? String(decoding: value.encoded, as: UTF8.self) : Self.text(value))
  }

  private static func text(_ pool: JSONValue) -> String {
    let machines = pool["machines"]?.items ?? []
    let connected = machines.count { $0["connected"]?.bool == true }
    let policy = pool["policy"]
    var lines = [
      "\(pool["pool"]?.string ?? "?")  owner \(pool["owner"]?.string ?? "?")",
      "  members   " + (pool["members"]?.items ?? []).compactMap(\.string).joined(separator: ", "),
      "  machines  \(machines.count), \(connected) connected",
      "  demands   tier \(policy?["tier"]?.string ?? "?"), region "
        + (policy?["region"]?.string ?? "any"),
    ]
    for machine in machines {
      let state = machine["connected"]?.bool == true ? "connected" : "away"
      lines.append(
        "  \(machine["node"]?.string?.prefix(8) ?? "?")  \(machine["name"]?.string ?? "")  \(state)"
      )
    }
    return lines.joined(separator: "\n")
  }
}
