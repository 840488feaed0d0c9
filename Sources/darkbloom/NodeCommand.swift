internal import BloomBase

/// `darkbloom node`: serve this machine to the network.
struct NodeCommand {
  static let spec = CommandSpec("node", "serve this machine to the network")
  private let context: CommandContext
  init(_ context: CommandContext) { self.context = context }
  func run() async throws -> ExitCode { throw UsageError("choose a node command") }
}
