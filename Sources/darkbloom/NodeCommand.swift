internal import BloomBase
internal import BloomNet
internal import BloomNode
internal import BloomPlatform
internal import BloomWire

/// `darkbloom node`: serve this machine to the network, and ask it how it does.
struct NodeCommand {
  private static let asking = [CommandContext.data, NodeSetup.socket, OptionSpec.json]

  static let spec = CommandSpec(
    "node", "serve this machine to the network",
    discussion: """
      The node serves while nobody uses the machine: node.json5 in the settings folder says when and \
      how much, and `darkbloom node start` writes one with every key explained. An administrator's \
      policy in \(OwnerSettingsFile.fleetPath) can only make it stricter.
      """,
    subcommands: [
      NodeServiceCommand.startSpec, NodeServiceCommand.stopSpec,
      CommandSpec(
        "run", "serve in this terminal until stopped", options: NodeSetup.serving,
        examples: [
          .init("darkbloom node run --model qwen3-8b", "serve one model"),
          .init("darkbloom node run --always", "serve whatever the owner does"),
          .init("darkbloom node run --refuse tools --refuse media", "serve plain text only"),
        ]),
      CommandSpec(
        "status", "what the node does and why; a live page on a terminal",
        options: asking + [OptionSpec("once", "print once also on a terminal")],
        examples: [.init("darkbloom node status --once", "print it and leave")]),
      CommandSpec(
        "pause", "take no new work until resumed", options: asking,
        examples: [.init("darkbloom node pause", "before a game or a long compile")]),
      CommandSpec(
        "resume", "serve again", options: asking,
        examples: [.init("darkbloom node resume", "after a pause")]),
      NodeServiceCommand.logsSpec, NodeReports.earningsSpec, NodeReports.modelsSpec,
      NodeScheduleCommand.spec, NodePriceCommand.spec, NodeReports.doctorSpec,
      NodeCodeCommand.spec, NodeEnrolment.enrollSpec, NodeEnrolment.leaveSpec,
    ])

  private let context: CommandContext
  private let setup: NodeSetup

  init(_ context: CommandContext) {
    self.context = context
    setup = NodeSetup(context)
  }

  func run() async throws -> ExitCode {
    switch context.command.path.last {
    case "run": return try await serve()
    case "status": return try await status()
    case "pause": return try await say(.pause, "paused; serve again with: darkbloom node resume")
    case "resume": return try await say(.resume, "resumed")
    case "start": return try await NodeServiceCommand(setup).start()
    case "stop": return try await NodeServiceCommand(setup).stop()
    case "logs": return try await NodeServiceCommand(setup).logs()
    case "earnings": return try await NodeReports(setup).earnings()
    case "models": return try await NodeReports(setup).models()
    case "schedule": return try await NodeScheduleCommand(setup).run()
    case "price": return try await NodePriceCommand(context).run()
    case "doctor": return try await NodeReports(setup).doctor()
    case "code": return try NodeCodeCommand(context).run()
    case "enroll": return try await NodeEnrolment(setup).enroll()
    case "leave": return try await NodeEnrolment(setup).leave()
    default: throw UsageError("choose a command; `darkbloom node --help` lists them")
    }
  }

  private func serve() async throws -> ExitCode {
    var configuration = try setup.configuration()
    configuration.selfTest = SelfTestBySealing()
    // Under `up` nobody would start it anew: what runs goes on until the terminal ends it.
    if context.environment["DARKBLOOM_PARENT"] == nil {
      configuration.programs = ["darkbloom", "darkbloom-worker"].map {
        "\(ProcessEnvironment.programFolder)/\($0)"
      }
    }
    // A service that says nothing leaves `darkbloom node logs` empty.
    let service = NodeService(
      configuration: configuration, log: context.log("node", minimum: .info))
    let shutdown = ShutdownSignal()
    ParentWatch.start(context.environment) { ParentWatch.terminate() }
    if context.environment["DARKBLOOM_PARENT"] == nil {
      ProcessEnvironment.complain(
        "· the node runs; what it does and why: darkbloom node status; Ctrl-C stops")
    }
    do {
      try await shutdown.run { try await service.run() }
    } catch let error as NodeError where error.code == .updated {
      ProcessEnvironment.complain("darkbloom: \(error.publicDescription)")
      return .tryAgain
    }
    return .done
  }

  private func say(_ call: NodeConsoleClient.Call, _ text: String) async throws -> ExitCode {
    let answer = try await setup.ask(call)
    print(context.command.has("json") ? String(decoding: answer.encoded, as: UTF8.self) : text)
    return .done
  }

  /// What there is to say without a node: that none runs, and what the last days brought.
  private func notRunning(_ error: NodeError) throws -> ExitCode {
    let book = try NodeService.earnings(
      dataFolder: context.dataFolder, costs: setup.settingsFile.load().costs)
    let last = book["days"]?.items?.first
    guard context.command.has("json") else {
      if let last { print("last worked: \(NodeStatusPage.line(ofDay: last))") }
      throw error
    }
    let value = JSONValue.members([
      "running": .bool(false), "problem": .string(error.publicDescription),
      "last_day": last ?? .null,
    ])
    print(String(decoding: value.encoded, as: UTF8.self))
    return .failed
  }

  private func status() async throws -> ExitCode {
    let status: JSONValue
    do {
      status = try await setup.ask(.status)
    } catch let error as NodeError where error.code == .notRunning {
      return try notRunning(error)
    }
    if context.command.has("json") {
      print(String(decoding: status.encoded, as: UTF8.self))
      return .done
    }
    let first = NodeStatusPage(status).text
    guard !context.command.has("once"), LivePage.isTerminal else {
      print(first, terminator: "")
      return .done
    }
    let shutdown = ShutdownSignal()
    let setup = setup
    try await shutdown.run {
      try await LivePage.show(first, every: .seconds(1)) {
        NodeStatusPage(try await setup.ask(.status)).text + "\nCtrl-C leaves; the node goes on.\n"
      }
    }
    return .done
  }
}
