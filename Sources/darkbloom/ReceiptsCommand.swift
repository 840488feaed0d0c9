internal import BloomBase
internal import BloomPlatform
internal import BloomRecords

/// `darkbloom receipts`: what machines signed for this user's answers.
struct ReceiptsCommand {
  static let spec = CommandSpec(
    "receipts", "list and show the receipts of your answers",
    subcommands: [
      CommandSpec(
        "show", "print what one receipt claims", options: [CommandContext.data],
        arguments: [ArgumentSpec("FILE", "a receipt file")])
    ])

  private let context: CommandContext

  init(_ context: CommandContext) { self.context = context }

  func run() throws -> ExitCode {
    guard let path = context.command.arguments.first else {
      throw UsageError("name a receipt file; they are in \(context.dataFolder)/receipts")
    }
    guard let bytes = try PrivateFile.read(path, limitBytes: 65_536) else {
      throw UsageError("\(path) does not exist")
    }
    let claims = try Receipt(unverified: bytes).claims
    print("answer      \(claims.answer), part \(claims.part)")
    print("machine     \(claims.node.digest.hex)")
    print("model       \(claims.model.digest.hex)")
    print("release     \(claims.release.hex)")
    print("tokens      \(claims.promptTokens) prompt, \(claims.completionTokens) completion")
    print("finish      \(claims.finish.map { "\($0)" } ?? "running")")
    print("not checked here: the signature; the gateway checked it when the answer came")
    return .done
  }
}
