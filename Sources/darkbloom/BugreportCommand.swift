internal import BloomBase
internal import BloomGateway
internal import BloomModels
internal import BloomNode
internal import BloomPlatform
internal import BloomWire

/// `darkbloom bugreport`: facts for whoever helps, without anything of the user's.
struct BugreportCommand {
  static let spec = CommandSpec(
    "bugreport", "collect facts for a report, redacted and shown first",
    discussion: """
      Versions, the machine's kind, names of settings, the findings of netcheck, counters and the node's \
      state. Prompts and answers are nowhere it looks; keys, tokens, addresses and names of folders are \
      taken out. It is shown before it is saved, and sent nowhere.
      """,
    options: [
      CommandContext.data, CommandContext.models, GatewayCommand.port,
      OptionSpec("output", value: "FILE", "save it there without asking"),
      OptionSpec("network", value: "FILE", "the network to check, this device's own unless given"),
    ],
    examples: [
      .init("darkbloom bugreport", "shows it and asks where to save it"),
      .init("darkbloom bugreport --output report.txt", "for scripts"),
    ])

  private let context: CommandContext

  init(_ context: CommandContext) { self.context = context }

  func run() async throws -> ExitCode {
    let report = try redaction().apply(to: await collect())
    print(report, terminator: "")
    ProcessEnvironment.flush()
    var path = context.command.value("output")
    if path == nil, Terminal.hasInput, Terminal.hasOutput {
      Terminal.hint("save this as darkbloom-report.txt? [y/N] ")
      if ["y", "yes"].contains(await LineReader().next()?.lowercased() ?? "") {
        path = "darkbloom-report.txt"
      }
    }
    guard let path else {
      ProcessEnvironment.complain("· nothing was saved")
      return .done
    }
    try PrivateFile.write(Array(report.utf8), to: path)
    ProcessEnvironment.complain("· saved as \(path); read it again before you send it")
    return .done
  }

  private func redaction() throws -> Redaction {
    var secrets = [context.environment["USER"] ?? "", context.environment["LOGNAME"] ?? ""]
    secrets = secrets.filter { $0.count > 2 && $0 != "root" }
    if let token = try PrivateFile.read("\(context.dataFolder)/gateway-token", limitBytes: 256) {
      secrets.append(String(decoding: token, as: UTF8.self))
    }
    return Redaction(home: context.environment["HOME"] ?? "", secrets: secrets)
  }

  private func collect() async -> String {
    let facts = HardwareFacts.current()
    var text = "darkbloom \(DarkbloomCommand.version)\n"
    text += "machine: \(facts.architecture), \(facts.usableCores) of \(facts.logicalCores) cores, "
    text += "\(facts.memoryBytes >> 20) MiB\n"
    text += "system: \(Self.system())\n"
    text += "settings: \(settings())\n"
    text += "models: \(models())\n"
    text += "\n# netcheck\n"
    for finding in await NetworkCheck(context).run() { text += finding.text + "\n" }
    text += "\n# gateway counters\n\(await counters())"
    text += "\n# node\n\(await node())\n"
    return text
  }

  private static func system() -> String {
    for path in ["/etc/os-release", "/System/Library/CoreServices/SystemVersion.plist"] {
      // A system without the file is described by its kind alone.
      guard let bytes = try? PrivateFile.read(path), !bytes.isEmpty else { continue }
      let lines = String(decoding: bytes, as: UTF8.self).split(separator: "\n")
      if let name = lines.first(where: { $0.hasPrefix("PRETTY_NAME=") }) {
        return name.dropFirst(12).filter { $0 != "\"" }
      }
    }
    #if os(macOS)
    return "macOS"
    #else
    return "Linux"
    #endif
  }

  /// Names only: values may be private.
  private func settings() -> String {
    var names = context.environment.keys.filter { $0.hasPrefix("DARKBLOOM_") }.sorted()
    for file in ["gateway.json5", "policy.json5", "node.json5"] {
      let path = "\(context.folders.configuration)/\(file)"
      if let bytes = try? PrivateFile.read(path), bytes.count > 0 { names.append(file) }
    }
    return names.isEmpty ? "defaults" : names.joined(separator: ", ")
  }

  private func models() -> String {
    guard let list = try? ModelStore(root: context.modelFolder).list() else {
      return "the store cannot be read"
    }
    return list.map { "\($0.kind) of \($0.weightBytes >> 20) MiB" }.joined(separator: ", ")
  }

  private func counters() async -> String {
    do {
      return try await GatewayClient(context).text("/metrics").split(separator: "\n").filter {
        !$0.hasPrefix("#") && !$0.contains("_bucket")
      }.joined(separator: "\n") + "\n"
    } catch {
      return "\(error.safeDescription)\n"
    }
  }

  private func node() async -> String {
    for folder in [context.dataFolder, "\(context.dataFolder)/up/node"] {
      let client = NodeConsoleClient(socket: "\(folder)/node.sock")
      // No node runs with this folder: the next one is asked.
      if let status = try? await client.ask(.status) {
        return String(decoding: status.encoded, as: UTF8.self)
      }
    }
    return "no node runs here"
  }
}
