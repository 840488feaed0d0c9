internal import BloomBase
internal import BloomPlatform
internal import BloomWire

/// `darkbloom ask`: one question through the local gateway, answered as it comes.
struct AskCommand {
  static let spec = CommandSpec(
    "ask", "ask one question through the local gateway",
    options: [
      CommandContext.data, GatewayCommand.port, .json,
      OptionSpec("model", value: "NAME", "the first chat model unless given"),
      OptionSpec("max-tokens", value: "N", "the answer's limit"),
    ],
    arguments: [ArgumentSpec("QUESTION", "what to ask; - reads it from a pipe", repeats: true)],
    examples: [
      .init("darkbloom ask why is the sky blue", "prints the answer"),
      .init("git diff | darkbloom ask -", "asks what comes through the pipe"),
      .init("darkbloom ask --json why is the sky blue", "text, machine, tier and answer id"),
    ])

  private let context: CommandContext

  init(_ context: CommandContext) { self.context = context }

  func run() async throws -> ExitCode {
    let limit = try context.command.integer("max-tokens", in: 1...65_536)
    var question = context.command.arguments.joined(separator: " ")
    if question == "-" { question = await LineReader().all() }
    let gateway = try GatewayClient(context)
    let model: String
    if let named = context.command.value("model") {
      model = named
    } else {
      model = try await gateway.firstModel()
    }
    let isJSON = context.command.has("json")
    let outcome = try await gateway.chat(
      model: model,
      messages: [.members(["role": .string("user"), "content": .string(question)])],
      maxTokens: limit, show: { if !isJSON { Terminal.show($0) } })
    if !isJSON { Terminal.show("\n") }
    if let failure = outcome.failure { throw UnavailableError(failure) }
    if isJSON {
      print(String(decoding: Self.json(outcome, model).encoded, as: UTF8.self))
      return .done
    }
    let machine = outcome.machine?.prefix(8) ?? "?"
    ProcessEnvironment.complain("sealed to machine \(machine), tier \(outcome.tier ?? "?")")
    return .done
  }

  private static func json(_ outcome: GatewayClient.Outcome, _ model: String) -> JSONValue {
    func text(_ value: String?) -> JSONValue { value.map { .string($0) } ?? .null }
    return .members([
      "text": .string(outcome.text), "model": .string(model), "answer": text(outcome.answer),
      "machine": text(outcome.machine), "tier": text(outcome.tier),
    ])
  }
}
