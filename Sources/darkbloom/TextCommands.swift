internal import BloomBase

/// `darkbloom completion`: a script for the shell.
enum CompletionCommand {
  static let spec = CommandSpec(
    "completion", "print a completion script for a shell",
    arguments: [ArgumentSpec("SHELL", "bash, zsh or fish")],
    examples: [
      .init("source <(darkbloom completion bash)", "in ~/.bashrc"),
      .init(
        "darkbloom completion fish > ~/.config/fish/completions/darkbloom.fish", "once, for fish"),
    ])

  static func run(_ context: CommandContext) throws -> ExitCode {
    let name = context.command.arguments.first ?? ""
    guard let shell = CommandText.Shell(rawValue: name) else {
      let known = CommandText.Shell.allCases.map(\.rawValue)
      let nearest = NearestName.find(name, in: known).map { ", did you mean \($0)?" } ?? ""
      throw UsageError("completion is for bash, zsh or fish" + nearest)
    }
    print(CommandText.completion(DarkbloomCommand.spec, shell), terminator: "")
    return .done
  }
}

/// `darkbloom man`: the manual page.
enum ManualCommand {
  static let spec = CommandSpec(
    "man", "print the manual page",
    examples: [.init("darkbloom man | man -l -", "reads it")])

  static func run() -> ExitCode {
    let version = "darkbloom \(DarkbloomCommand.version)"
    print(CommandText.manual(DarkbloomCommand.spec, version: version), terminator: "")
    return .done
  }
}
