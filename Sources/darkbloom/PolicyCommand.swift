internal import BloomBase
internal import BloomClient
internal import BloomPlatform
internal import BloomWire

/// `darkbloom policy`: where requests may go, and what machines there must prove.
struct PolicyCommand {
  static let spec = CommandSpec(
    "policy", "say where requests may go and what machines must prove",
    discussion: """
      A request that no machine fits is refused, never sent to a weaker one. A change counts for \
      every answer that begins after it. Settings:

      """
        + PlacementSettings.all.map { "  \($0.name): \($0.help)" }.joined(separator: "\n"),
    subcommands: [
      CommandSpec(
        "show", "the policy in force", options: [.json],
        examples: [.init("darkbloom policy show", "every setting with its value")]),
      CommandSpec(
        "set", "change one setting",
        arguments: [
          ArgumentSpec("SETTING", "its name"), ArgumentSpec("VALUE", "lists with commas"),
        ],
        examples: [
          .init("darkbloom policy set places device", "nothing leaves this device"),
          .init("darkbloom policy set tier hardware", "only machines proven by hardware"),
        ]),
    ])

  private let context: CommandContext

  init(_ context: CommandContext) { self.context = context }

  func run() throws -> ExitCode {
    switch context.command.path.last {
    case "show": try show()
    case "set": try set()
    default: throw UsageError("choose one of show, set")
    }
    return .done
  }

  /// The policy of this user.
  static func read(_ context: CommandContext) throws -> PlacementPolicy {
    let text = try PrivateFile.read(path(context)).map { String(decoding: $0, as: UTF8.self) }
    return try PlacementSettings.policy(file: text, environment: context.environment)
  }

  /// The policy as the file alone says it.
  static func written(_ context: CommandContext) throws -> PlacementPolicy {
    let text = try PrivateFile.read(path(context)).map { String(decoding: $0, as: UTF8.self) }
    return try PlacementSettings.policy(file: text, environment: [:])
  }

  /// Keeps a policy, and gives the file's path.
  static func write(_ policy: PlacementPolicy, _ context: CommandContext) throws -> String {
    let path = path(context)
    try PrivateFile.makeFolder(context.folders.configuration)
    try PrivateFile.write(Array(PlacementSettings.file(of: policy).utf8), to: path)
    return path
  }

  static func path(_ context: CommandContext) -> String {
    "\(context.folders.configuration)/\(PlacementSettings.fileName)"
  }

  private func show() throws {
    let policy = try Self.read(context)
    if context.command.has("json") {
      let members = PlacementSettings.all.map {
        JSONValue.Member($0.name, .string($0.text(policy)))
      }
      print(String(decoding: JSONValue.object(members).encoded, as: UTF8.self))
      return
    }
    let width = PlacementSettings.all.map(\.name.count).max() ?? 0
    for setting in PlacementSettings.all {
      let space = String(repeating: " ", count: width - setting.name.count + 2)
      print("\(setting.name)\(space)\(setting.text(policy))")
    }
  }

  private func set() throws {
    guard context.command.arguments.count == 2 else {
      throw UsageError("name a setting and its value, as in: darkbloom policy set tier hardware")
    }
    // What the environment says is not written down.
    let new = try PlacementSettings.setting(
      context.command.arguments[0], to: context.command.arguments[1],
      in: try Self.written(context))
    let path = try Self.write(new, context)
    print("kept in \(path); it counts for every answer that begins from now on")
  }
}
