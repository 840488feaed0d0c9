internal import BloomBase
internal import BloomNode
internal import BloomPlatform
internal import BloomWire

/// `darkbloom node price`: what the owner asks for a machine's answers.
struct NodePriceCommand {
  static let spec = CommandSpec(
    "price", "show or change what you ask for this machine's answers",
    discussion: """
      In micro-units a million tokens, within the policy's bounds around the list price. Without an \
      action the machine's own prices are shown; what has none is paid by the list. Needs a device \
      that is logged in to the owner's account.
      """,
    options: [
      CommandContext.data, .json,
      OptionSpec("machine", value: "NODE", "another machine of yours, by its first 8 digits"),
      OptionSpec("kind", value: "KIND", "what is asked of the model, chat unless given"),
      OptionSpec("prompt", value: "MICROS", "of a million prompt tokens"),
      OptionSpec("completion", value: "MICROS", "of a million completion tokens"),
    ],
    arguments: [
      ArgumentSpec("ACTION", "set or remove", isOptional: true),
      ArgumentSpec("MODEL", "its name or its digest", isOptional: true),
    ],
    examples: [
      .init("darkbloom node price", "what this machine asks"),
      .init(
        "darkbloom node price set qwen3-8b:q4_k_m --prompt 40000 --completion 150000",
        "less than the list: more work"),
      .init("darkbloom node price remove qwen3-8b:q4_k_m", "the list price again"),
    ])

  private let context: CommandContext
  private var command: ParsedCommand { context.command }

  init(_ context: CommandContext) { self.context = context }

  func run() async throws -> ExitCode {
    let change = try body()
    let network = try JoinedNetwork.current(context)
    _ = try network.requireKey()
    let client = AccountClient(network, context)
    let path = "/v1/nodes/\(try await machine(client))/price"
    guard let change else {
      let answer = try await client.get(path)
      show(answer, Self.text)
      return .done
    }
    show(try await client.post(path, object: change)) { answer in
      let own = answer["own"]?["price"].flatMap { $0 == .null ? nil : Self.price($0) }
      return "\(own.map { "asks \($0)" } ?? "is paid by the list"), "
        + "the list price is \(answer["list"].map(Self.price) ?? "?")"
    }
    return .done
  }

  /// What to change; `nil` when prices are only shown.
  private func body() throws -> JSONValue? {
    guard let action = command.arguments.first else { return nil }
    guard action == "set" || action == "remove" else {
      throw UsageError("choose set or remove, or nothing to see the prices")
    }
    guard command.arguments.count == 2 else { throw UsageError("name the MODEL") }
    var members: [JSONValue.Member] = [.init("model", .string(command.arguments[1]))]
    if let kind = command.value("kind") { members.append(.init("kind", .string(kind))) }
    if action == "remove" {
      members.append(.init("remove", .bool(true)))
    } else {
      for option in ["prompt", "completion"] {
        guard let micros = try command.integer(option, in: 0...Int.max) else {
          throw UsageError("--prompt and --completion are needed")
        }
        members.append(.init("\(option)_micros", .integer(micros)))
      }
    }
    return .object(members)
  }

  /// The machine that is meant: the one named, this one, or the account's only one.
  private func machine(_ client: AccountClient) async throws -> String {
    let mine = try await client.get("/v1/nodes")["nodes"]?.items?.compactMap { $0["node"]?.string }
    let machines = mine ?? []
    if let name = command.value("machine") {
      let found = machines.filter { $0.hasPrefix(name) }
      guard name.utf8.count >= 8, found.count == 1 else {
        throw UsageError("--machine must be the first 8 digits or more of one machine of yours")
      }
      return found[0]
    }
    if try PrivateFile.read("\(context.dataFolder)/\(NodeIdentity.fileName)") != nil {
      let identity = try NodeIdentity.software(folder: context.dataFolder)
      let own = identity.nodeID.digest.hex
      if machines.contains(own) { return own }
    }
    guard machines.count == 1 else {
      throw UsageError(
        machines.isEmpty
          ? "your account has no machine yet; on one: darkbloom node enroll"
          : "name one of your \(machines.count) machines with --machine")
    }
    return machines[0]
  }

  private func show(_ value: JSONValue, _ text: (JSONValue) -> String) {
    Terminal.tell(
      command.has("json") ? String(decoding: value.encoded, as: UTF8.self) : text(value))
  }

  private static func text(_ answer: JSONValue) -> String {
    let prices = answer["prices"]?.items ?? []
    let lines = prices.map { item in
      let name = item["name"]?.string ?? item["model"]?.string ?? "?"
      return "\(name)  \(item["kind"]?.string ?? "?")  asks \(item["price"].map(price) ?? "?")"
    }
    let bounds =
      "allowed: \(answer["least_per_mille"]?.integer ?? 0) to "
      + "\(answer["most_per_mille"]?.integer ?? 0) thousandths of the list price"
    return ((lines.isEmpty ? ["all models are paid by the list"] : lines) + [bounds])
      .joined(separator: "\n")
  }

  private static func price(_ price: JSONValue) -> String {
    "\(price["prompt_micros_per_million_tokens"]?.integer ?? 0) and "
      + "\(price["completion_micros_per_million_tokens"]?.integer ?? 0) micros a million tokens"
  }
}
