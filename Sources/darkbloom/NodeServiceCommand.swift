internal import BloomBase
internal import BloomModels
internal import BloomNet
internal import BloomNode
internal import BloomPlatform
internal import BloomWire

/// `darkbloom node start|stop|logs`: the node as a service of the user's session.
struct NodeServiceCommand {
  static let startSpec = CommandSpec(
    "start", "serve whenever you are logged in",
    discussion: """
      Shows what the machine will give and what stops it, asks for --accept the first time and after \
      each change of it, writes a systemd user unit (a launchd agent on macOS) and starts it.
      """,
    options: NodeSetup.serving + [
      OptionSpec("accept", "accept what is shown"), OptionSpec.json,
    ],
    examples: [
      .init("darkbloom node start", "read what the machine would give"),
      .init("darkbloom node start --accept", "accept it and serve"),
    ])
  static let stopSpec = CommandSpec(
    "stop", "end the service, and start it no more",
    options: [CommandContext.data, NodeSetup.socket, OptionSpec.json],
    examples: [.init("darkbloom node stop", "requests that run go on elsewhere")])
  static let logsSpec = CommandSpec(
    "logs", "what the node's service wrote",
    options: [
      OptionSpec("lines", short: "n", value: "N", "how many lines, 100 unless given"),
      OptionSpec("follow", short: "f", "go on as lines come"), OptionSpec.json,
    ],
    examples: [.init("darkbloom node logs --follow", "watch it work")])

  private let setup: NodeSetup
  private var context: CommandContext { setup.context }

  init(_ setup: NodeSetup) { self.setup = setup }

  // MARK: Start and stop

  func start() async throws -> ExitCode {
    let configuration = try setup.configuration()
    let owner = configuration.owner ?? OwnerSettings()
    let plan = MemoryPlan(configuration.models, settings: owner)
    guard !plan.models.isEmpty else {
      throw ConfigurationError(
        "no model of this machine's store fits; see: darkbloom node models")
    }
    let contract = NodeContract(
      settings: owner, models: plan.models.map(\.manifest.name),
      memoryBytes: HardwareFacts.current().memoryBytes)
    if !contract.isAccepted(in: context.dataFolder) {
      guard context.command.has("accept") else {
        try setup.settingsFile.writeTemplate()
        if context.command.has("json") {
          let asked = JSONValue.members([
            "accepted": .bool(false), "contract": .string(contract.text),
            "settings": .string(setup.settingsFile.path),
          ])
          print(String(decoding: asked.encoded, as: UTF8.self))
          return .failed
        }
        print(contract.text)
        print("\nSettings: \(setup.settingsFile.path)")
        print("To accept and start: darkbloom node start --accept")
        return .failed
      }
      try contract.accept(in: context.dataFolder)
    }
    try setup.settingsFile.writeTemplate()
    try install()
    let file = unitPath
    #if os(macOS)
    _ = try await command(["launchctl", "bootout", "gui/\(userNumber)", file], isQuiet: true)
    let code = try await command(["launchctl", "bootstrap", "gui/\(userNumber)", file])
    #else
    var code = try await command(["systemctl", "--user", "daemon-reload"])
    if code == 0 {
      code = try await command(["systemctl", "--user", "enable", ServiceFile.name])
    }
    // Restarted, so that a changed unit counts also when it runs already.
    if code == 0 {
      code = try await command(["systemctl", "--user", "restart", ServiceFile.name])
    }
    #endif
    guard code == 0 else {
      throw ConfigurationError(
        "the service manager refused; serve in this terminal instead: darkbloom node run")
    }
    try await report()
    return .done
  }

  /// Waits a moment for the first sign of life, so that a fault is seen here.
  private func report() async throws {
    for _ in 0..<50 {
      if let status = try? await setup.ask(.status) {
        if context.command.has("json") {
          print(String(decoding: status.encoded, as: UTF8.self))
        } else {
          print("the node runs, also after the next login; see: darkbloom node status")
        }
        return
      }
      try await Task.sleep(for: .milliseconds(100))
    }
    if context.command.has("json") {
      print("{\"installed\":true,\"answers\":false}")
    } else {
      print("the service is installed but does not answer yet; see: darkbloom node logs")
    }
  }

  func stop() async throws -> ExitCode {
    let (hadService, wasRunning) = try await end()
    if context.command.has("json") {
      let facts = JSONValue.members([
        "removed_service": .bool(hadService), "was_running": .bool(wasRunning),
      ])
      print(String(decoding: facts.encoded, as: UTF8.self))
    } else if hadService || wasRunning {
      print("stopped; identity, receipts and models stay")
    } else {
      print("no node runs here")
    }
    return .done
  }

  /// Whether the installed service is the node of this data folder.
  func isInstalled(for data: String) throws -> Bool {
    let text = try PrivateFile.read(unitPath).map { String(decoding: $0, as: UTF8.self) }
    let path = setup.absolute(data)
    // A whole word of either form of the file: another folder may begin with the same path.
    return ["\"\(path)\"", "<string>\(path)</string>"].contains { text?.contains($0) == true }
  }

  /// Ends the service and whatever node runs here, and waits for its drain.
  ///
  /// - Parameter endsService: Whether the service ends too, and not only a node in a terminal.
  /// - Returns: What there was to end.
  /// - Throws: `ConfigurationError` when the service manager is not here.
  @discardableResult
  func end(endsService: Bool = true) async throws -> (hadService: Bool, wasRunning: Bool) {
    var hadService = false
    if endsService, try PrivateFile.read(unitPath) != nil {
      hadService = true
      #if os(macOS)
      _ = try await command(["launchctl", "bootout", "gui/\(userNumber)", unitPath])
      #else
      _ = try await command(["systemctl", "--user", "disable", "--now", ServiceFile.name])
      #endif
      PrivateFile.remove(unitPath)
    }
    // A node that somebody runs in a terminal ends too: that is what "stop" says.
    let wasRunning = (try? await setup.ask(.stop)) != nil
    if wasRunning {
      for _ in 0..<400 {
        guard (try? await setup.ask(.status)) != nil else { break }
        try await Task.sleep(for: .milliseconds(100))
      }
    }
    return (hadService, wasRunning)
  }

  private func install() throws {
    let arguments = setup.serviceArguments()
    let program = "\(ProcessEnvironment.programFolder)/darkbloom"
    #if os(macOS)
    let text = ServiceFile.launchAgent(program: program, arguments: arguments, log: logPath)
    #else
    let text = ServiceFile.systemdUnit(program: program, arguments: arguments)
    #endif
    guard let text else {
      throw ConfigurationError("a path holds characters that a service file cannot; choose others")
    }
    let folder = unitPath.split(separator: "/").dropLast().joined(separator: "/")
    try PrivateFile.makeFolder("/" + folder)
    try PrivateFile.write(Array(text.utf8), to: unitPath)
  }

  private var home: String { context.environment["HOME"] ?? "" }

  private var unitPath: String {
    #if os(macOS)
    "\(home)/Library/LaunchAgents/org.darkbloom.node.plist"
    #else
    "\(context.environment["XDG_CONFIG_HOME"] ?? "\(home)/.config")/systemd/user/"
      + "\(ServiceFile.name).service"
    #endif
  }

  private var logPath: String { "\(home)/Library/Logs/\(ServiceFile.name).log" }

  #if os(macOS)
  private var userNumber: String { "\(ProcessEnvironment.userNumber)" }
  #endif

  // MARK: Logs

  func logs() async throws -> ExitCode {
    let lines = try context.command.integer("lines", in: 1...1_000_000) ?? 100
    let isFollowing = context.command.has("follow")
    #if os(macOS)
    let words = ["tail", "-n", "\(lines)"] + (isFollowing ? ["-f"] : []) + [logPath]
    #else
    var words = ["journalctl", "--user", "-u", ServiceFile.name, "-n", "\(lines)", "--no-pager"]
    if isFollowing { words.append("-f") }
    if context.command.has("json") { words += ["-o", "json"] }
    #endif
    return try await command(words) == 0 ? .done : .failed
  }

  /// Runs a program of the system to its end, with this command's output.
  private func command(_ words: [String], isQuiet: Bool = false) async throws -> Int {
    guard let name = words.first, let path = find(name) else {
      throw ConfigurationError(
        "\(words.first ?? "a program") is not here; serve in a terminal instead: "
          + "darkbloom node run")
    }
    var options = Subprocess.Options(path, Array(words.dropFirst()))
    options.inheritsOutput = !isQuiet
    let child = try await Subprocess.start(options)
    return try await child.exit().code
  }

  private func find(_ name: String) -> String? {
    let folders = (context.environment["PATH"] ?? "/usr/bin:/bin").split(separator: ":")
    return folders.map { "\($0)/\(name)" }.first { ServiceFile.isProgram($0) }
  }
}
