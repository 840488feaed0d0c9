internal import BloomBase

/// `darkbloom env`: exports for programs that speak OpenAI's or Anthropic's API.
struct EnvCommand {
  static let spec = CommandSpec(
    "env", "print the exports that point programs to the local gateway",
    options: [CommandContext.data, GatewayCommand.port, .json],
    examples: [.init("eval \"$(darkbloom env)\"", "in a shell, then start any OpenAI program")])

  private let context: CommandContext

  init(_ context: CommandContext) { self.context = context }

  func run() throws -> ExitCode {
    let port = try context.command.integer("port", in: 1...65_535) ?? 8642
    let token = try LocalToken.read(context.dataFolder)
    let base = "http://localhost:\(port)"
    if context.command.has("json") {
      print("{\"base_url\":\"\(base)/v1\",\"api_key\":\"\(token)\"}")
    } else {
      print("export OPENAI_BASE_URL=\(base)/v1")
      print("export OPENAI_API_KEY=\(token)")
      print("export ANTHROPIC_BASE_URL=\(base)")
      print("export ANTHROPIC_API_KEY=\(token)")
    }
    return .done
  }
}
