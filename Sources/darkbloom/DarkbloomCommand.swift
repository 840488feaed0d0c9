internal import BloomBase
internal import BloomNet
internal import BloomPlatform

/// The command line of `darkbloom`.
enum DarkbloomCommand {
  static let version = "0.1.0"

  static let spec = CommandSpec(
    "darkbloom", "private AI inference on idle personal computers",
    discussion: """
      Prompts are sealed on this device to machines that were checked first; the coordinator between \
      routes ciphertext.
      """,
    examples: [
      .init("darkbloom up", "the whole network on this machine, with the bundled model"),
      .init("eval \"$(darkbloom env)\"", "point OpenAI programs to the local gateway"),
    ],
    subcommands: [
      UpCommand.spec, GatewayCommand.spec, NodeCommand.spec, AskCommand.spec, ChatCommand.spec,
      EnvCommand.spec, ModelsCommand.spec, PolicyCommand.spec, ReceiptsCommand.spec,
      VerifyCommand.spec, JoinCommand.spec, LoginCommand.spec, PairCommand.spec, KeysCommand.spec,
      PoolCommand.spec, WiretapCommand.spec, NetcheckCommand.spec, BugreportCommand.spec,
      CompletionCommand.spec, ManualCommand.spec,
    ] + MoneyCommands.specs)

  static func run(_ command: ParsedCommand, environment: [String: String]) async -> ExitCode {
    do {
      guard let folders = UserFolders(environment: environment) else {
        throw UsageError("HOME is not set; set it or XDG_DATA_HOME and XDG_CACHE_HOME")
      }
      let context = CommandContext(
        command: command, environment: environment, folders: folders)
      switch command.path.first {
      case "up": return try await UpCommand(context).run()
      case "gateway": return try await GatewayCommand(context).run()
      case "node": return try await NodeCommand(context).run()
      case "chat": return try await ChatCommand(context).run()
      case "wiretap": return try await WiretapCommand(context).run()
      case "netcheck": return try await NetcheckCommand(context).run()
      case "bugreport": return try await BugreportCommand(context).run()
      case "completion": return try CompletionCommand.run(context)
      case "man": return ManualCommand.run()
      case "ask": return try await AskCommand(context).run()
      case "env": return try EnvCommand(context).run()
      case "join": return try await JoinCommand(context).run()
      case "login": return try await LoginCommand(context).run()
      case "pair": return try await PairCommand(context).run()
      case "keys": return try await KeysCommand(context).run()
      case "account", "statement", "usage", "payout", "dispute":
        return try await MoneyCommands(context).run()
      case "pool": return try await PoolCommand(context).run()
      case "models": return try await ModelsCommand(context).run()
      case "policy": return try PolicyCommand(context).run()
      case "verify": return try VerifyCommand(context).run()
      case "receipts": return try ReceiptsCommand(context).run()
      default: throw UsageError("choose a command; `darkbloom --help` lists them")
      }
    } catch let error as UsageError {
      ProcessEnvironment.complain("darkbloom: \(error.publicDescription)")
      return .badUsage
    } catch let error as ConfigurationError {
      ProcessEnvironment.complain("darkbloom: \(error.publicDescription)")
      return .badConfiguration
    } catch let error as UnavailableError {
      ProcessEnvironment.complain("darkbloom: \(error.publicDescription)")
      return .unavailable
    } catch is CancellationError {
      return .done
    } catch let error as PrivateFile.Failure {
      ProcessEnvironment.complain("darkbloom: \(error)")
      return .failed
    } catch {
      ProcessEnvironment.complain("darkbloom: \(error.safeDescription)")
      return .failed
    }
  }
}

extension Error {
  /// What is said to whoever typed the command: with the path that no public text holds.
  var spoken: String { (self as? PrivateFile.Failure)?.description ?? safeDescription }
}

/// What every command gets.
struct CommandContext {
  let command: ParsedCommand
  let environment: [String: String]
  let folders: UserFolders

  /// The folder of state: `--data`, or the user's.
  var dataFolder: String { command.value("data") ?? folders.data }

  /// The folder of model files.
  var modelFolder: String { command.value("models") ?? "\(folders.cache)/models" }

  /// A client for coordinators, through the environment's proxy where there is one.
  func webClient() -> HTTPClient {
    var configuration = HTTPClient.Configuration()
    configuration.proxy = ProxyChoice(environment: environment)
    return HTTPClient(configuration)
  }

  func log(_ component: StaticString, minimum: LogLevel = .warning) -> Log {
    Log(
      component, minimum: command.value("log-level").flatMap { LogLevel(name: $0) } ?? minimum,
      sink: StandardErrorLog())
  }

  static let data = OptionSpec(
    "data", value: "DIR", "folder of keys and state", environment: "DARKBLOOM_DATA")
  static let models = OptionSpec(
    "models", value: "DIR", "folder of model files", environment: "DARKBLOOM_MODELS")
  static let logLevel = OptionSpec(
    "log-level", value: "LEVEL", "what is logged", choices: ["debug", "info", "warning", "error"])
}
