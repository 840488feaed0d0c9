internal import BloomBase
internal import BloomGateway
internal import BloomWire

/// `darkbloom env`: exports for programs that speak OpenAI's or Anthropic's API.
struct EnvCommand {
  static let spec = CommandSpec(
    "env", "print the exports that point programs to the local gateway",
    options: [CommandContext.data, GatewayCommand.port, .json],
    examples: [.init("eval \"$(darkbloom env)\"", "in a shell, then start any OpenAI program")])

  private let context: CommandContext

  init(_ context: CommandContext) { self.context = context }

  func run() throws -> ExitCode {
    let settings = try GatewayCommand.settings(context)
    let token = try LocalToken.read(context.dataFolder)
    let base = "\(settings.scheme)://localhost:\(settings.port)"
    if context.command.has("json") {
      let value = JSONValue.members([
        "base_url": .string("\(base)/v1"), "api_key": .string(token),
        "anthropic_base_url": .string(base), "ollama_host": .string(base),
      ])
      print(String(decoding: value.encoded, as: UTF8.self))
    } else {
      print("export OPENAI_BASE_URL=\(base)/v1")
      print("export OPENAI_API_KEY=\(token)")
      print("export ANTHROPIC_BASE_URL=\(base)")
      print("export ANTHROPIC_API_KEY=\(token)")
      print("export OLLAMA_HOST=\(base)")
    }
    return .done
  }
}
