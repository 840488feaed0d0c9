package import BloomBase
internal import BloomHTTP
internal import BloomModels
internal import BloomNet
internal import BloomPlatform
internal import BloomWire

#if canImport(Glibc)
internal import Glibc
#else
internal import Darwin
#endif

/// Checks everything that a node needs, and says for each fault what to do.
///
/// A running node is asked too: nothing is called well while the coordinator would refuse.
package struct NodeDoctor: Sendable {
  /// One check's result.
  package struct Finding: Sendable, Equatable {
    /// How serious it is.
    package enum State: String, Sendable {
      case ok
      /// The node works, less well.
      case warning
      /// The node does not work.
      case fault
    }

    /// What was looked at.
    package let name: String
    /// How it is.
    package let state: State
    /// What was found.
    package let text: String
    /// What to do; `nil` when nothing.
    package let fix: String?
  }

  /// How far clocks may differ, as the protocol allows, in seconds.
  static let skewSeconds: Int64 = 120
  static let nodeName = "node"
  /// What to do when the coordinator gives no work for a reason that stays.
  private static let fixes = [
    Reason.notProven.name: "enrol this machine again: darkbloom node enroll",
    Reason.modelUnlisted.name:
      "serve a model of the network's list, or ask its operator to list yours",
  ]

  let configuration: NodeService.Configuration
  /// The network's, pinned when it was joined; `nil` to leave the enrolment unasked.
  let logKey: [UInt8]?
  let time: any TimeSource

  /// Takes the settings that the node would run with.
  ///
  /// - Parameters:
  ///   - configuration: The node's.
  ///   - logKey: The network's key; `nil` to leave the enrolment unasked.
  ///   - time: The clocks.
  package init(
    configuration: NodeService.Configuration, logKey: [UInt8]? = nil,
    time: any TimeSource = SystemTime()
  ) {
    self.configuration = configuration
    self.logKey = logKey
    self.time = time
  }

  /// All checks, in the order in which a node needs them.
  package func examine() async -> [Finding] {
    var findings = [folder(), identity(), worker()]
    #if os(Linux)
    findings.append(Self.protections(.current()))
    #endif
    findings += models()
    findings += owner()
    findings += await coordinators()
    findings.append(await node())
    return findings
  }

  /// The findings as one JSON object.
  package static func json(_ findings: [Finding]) -> [UInt8] {
    var writer = JSONWriter()
    writer.object { writer in
      writer.key("ok")
      writer.bool(!findings.contains { $0.state == .fault })
      writer.key("serves")
      writer.bool(findings.contains { $0.name == Self.nodeName && $0.state == .ok })
      writer.key("checks")
      writer.array { writer in
        for finding in findings {
          writer.object { writer in
            writer.key("name")
            writer.string(finding.name)
            writer.key("state")
            writer.string(finding.state.rawValue)
            writer.key("text")
            writer.string(finding.text)
            writer.key("fix")
            if let fix = finding.fix { writer.string(fix) } else { writer.null() }
          }
        }
      }
    }
    return writer.bytes
  }

  private func folder() -> Finding {
    do {
      let folder = try StateFolder(creating: configuration.dataFolder)
      try folder.write("doctor", [1])
      folder.remove("doctor")
      return Finding(name: "data folder", state: .ok, text: "can be written", fix: nil)
    } catch {
      return Finding(
        name: "data folder", state: .fault, text: error.safeDescription,
        fix: "make it writable for this user, or name another with --data")
    }
  }

  private func identity() -> Finding {
    let file = "\(configuration.dataFolder)/\(NodeIdentity.fileName)"
    do {
      let identity = try NodeIdentity.software(folder: configuration.dataFolder)
      return Finding(
        name: "identity", state: .ok, text: "\(identity.nodeID), kept in a file: tier software",
        fix: nil)
    } catch {
      return Finding(
        name: "identity", state: .fault, text: error.publicDescription,
        fix: isReadable(file)
          ? "chmod 600 \(file)"
          : "restore \(file) from a backup, or remove it to become a new machine")
    }
  }

  /// Whether others than the owner may read a file.
  private func isReadable(_ path: String) -> Bool {
    var facts = stat()
    return unsafe stat(path, &facts) == 0 && facts.st_mode & 0o077 != 0
  }

  private func worker() -> Finding {
    let path = configuration.workerPath ?? ProcessLauncher.besideThisProgram()
    guard unsafe access(path, X_OK) == 0 else {
      return Finding(
        name: "worker", state: .fault, text: "darkbloom-worker is missing or cannot be run",
        fix: "install it beside darkbloom")
    }
    return Finding(name: "worker", state: .ok, text: "found", fix: nil)
  }

  /// What a worker's protections need of a system, and what to do where it is absent.
  static func protections(_ system: SandboxSupport) -> Finding {
    let lacking = system.lacking.facts
    // Without locked memory a worker makes no keys.
    let demanded = lacking.intersection(SandboxFacts.requiredOfWorker.union([.lockedKeys]))
    // Nobody demands secret memory, and not every current system has it: nothing to repair.
    let missing = SandboxFacts(
      demanded.isEmpty ? lacking.subtracting([.secretKeys]) : demanded)
    guard !missing.facts.isEmpty else {
      return Finding(
        name: "protections", state: .ok, text: "this system has what workers need", fix: nil)
    }
    let names = missing.names.joined(separator: ", ")
    return Finding(
      name: "protections", state: demanded.isEmpty ? .warning : .fault,
      text: "\(demanded.isEmpty ? "a" : "no") worker serves without \(names)",
      fix: missing.remedies.joined(separator: "; "))
  }

  private func models() -> [Finding] {
    guard !configuration.models.isEmpty else {
      return [
        Finding(
          name: "models", state: .fault, text: "none is chosen",
          fix: "add one: darkbloom models add FILE.gguf")
      ]
    }
    let plan = MemoryPlan(configuration.models, settings: configuration.owner)
    let advice = plan.advice
    return zip(configuration.models, advice).map { model, advice in
      for (file, path) in zip(model.manifest.files, model.paths) {
        var facts = stat()
        guard unsafe stat(path, &facts) == 0, UInt64(max(0, facts.st_size)) == file.byteCount else {
          return Finding(
            name: "model \(advice.name)", state: .fault,
            text: "\(file.name) is missing or has another size",
            fix: "add it again: darkbloom models add FILE.gguf")
        }
      }
      guard let reason = advice.reason else {
        return Finding(name: "model \(advice.name)", state: .ok, text: "complete, fits", fix: nil)
      }
      return Finding(
        name: "model \(advice.name)", state: plan.models.isEmpty ? .fault : .warning, text: reason,
        fix: "raise limits.memory_mib in node.json5, or choose a smaller model")
    }
  }

  /// Whether the owner's signals can be seen, so that "serves while nobody is here" is true.
  private func owner() -> [Finding] {
    guard let settings = configuration.owner, !settings.isDedicated else {
      return [
        Finding(
          name: "owner", state: .ok, text: "not looked at: the machine has no other use", fix: nil)
      ]
    }
    var findings: [Finding] = []
    var sensor = SystemSensor.make(settings: settings, environment: configuration.environment)
    var snapshot = OwnerSnapshot(local: LocalClock.local(time.unixTime()))
    sensor.read(into: &snapshot)
    if settings.yieldsToInput {
      let isSeen = sensor.inputIdle() != nil
      findings.append(
        Finding(
          name: "owner's input", state: isSeen ? .ok : .warning,
          text: isSeen
            ? "seen" : "cannot be seen: no display, desktop or terminal of this session answers",
          fix: isSeen
            ? nil : "start the node inside the desktop session: darkbloom node start"))
    }
    if settings.limits.watts > 0, snapshot.watts == nil {
      findings.append(
        Finding(
          name: "limits.watts", state: .warning,
          text: "the system does not tell this user what power the machine takes",
          fix: "remove the limit, or let this user read /sys/class/powercap"))
    }
    let free = ModelDownload.freeBytes(configuration.dataFolder) >> 20
    if free < 256 {
      findings.append(
        Finding(
          name: "disk", state: free < 16 ? .fault : .warning, text: "only \(free) MiB are free",
          fix: "free some: receipts must be kept until the coordinator has them"))
    }
    return findings
  }

  /// The finding when not even the settings can be read.
  package static func unusable(_ text: String) -> Finding {
    Finding(name: "settings", state: .fault, text: text, fix: "correct it, then run this again")
  }

  /// The finding on a device that has joined no network.
  package static let noNetwork = Finding(
    name: "network", state: .fault, text: "this device has joined no network",
    fix: "darkbloom join LINK, with the link that the network's operator gave you for machines; "
      + "then darkbloom node enroll")

  /// What the running node says of itself.
  private func node() async -> Finding {
    guard let path = configuration.consoleSocket,
      let status = try? await NodeConsoleClient(socket: path).ask(.status)
    else {
      return Finding(
        name: Self.nodeName, state: .warning, text: "does not run",
        fix: "start it: darkbloom node start, or in this terminal: darkbloom node run")
    }
    if let failure = (status["models"]?.items ?? []).compactMap({ $0["failure"]?.string }).first {
      let missing = PlatformError.protections(missingIn: failure)
      guard missing.facts.isEmpty else {
        let names = missing.names.joined(separator: ", ")
        return Finding(
          name: Self.nodeName, state: .fault, text: "its worker must not serve without \(names)",
          fix: missing.remedies.joined(separator: "; "))
      }
      return Finding(
        name: Self.nodeName, state: .fault, text: "a worker failed: \(failure)",
        fix: PlatformError.isRefusal(failure)
          ? "do what this line says, then start the node again"
          : "read the log, then fetch the model again or give more memory")
    }
    guard status["link"]?.string == "open" else {
      let problem = status["link_problem"]?.string
      return Finding(
        name: Self.nodeName, state: .fault,
        text: "no link to the coordinator: \(problem ?? status["link"]?.string ?? "unknown")",
        fix: problem == NodeAgent.notEnrolled
          ? "darkbloom node enroll" : "see the lines of coordinator and enrolment")
    }
    let tests = (status["models"]?.items ?? []).compactMap { $0["self_test"]?["failure"]?.string }
    if let failure = tests.first {
      return Finding(
        name: Self.nodeName, state: .fault, text: "the self-test failed: \(failure)",
        fix: "verify the model: darkbloom models verify NAME; then start the node again")
    }
    for name in [Reason.notProven, .lowStanding, .modelUnlisted].map(\.name) {
      guard let count = status["standing"]?["no_work"]?[name]?.integer, count > 0 else { continue }
      return Finding(
        name: Self.nodeName, state: .fault,
        text: "the coordinator gives it no work: \(NodeStatusPage.plain(name))",
        fix: Self.fixes[name] ?? "let it run undisturbed; standing comes back with kept work")
    }
    if status["models"]?.items?.contains(where: { $0["state"]?.string == "loaded" }) != true,
      ["serve", "polite"].contains(status["level"]?.string)
    {
      return Finding(
        name: Self.nodeName, state: .warning, text: "loads its model still",
        fix: "wait, then run this again")
    }
    if let reason = status["reason"]?.string, status["level"]?.string == "polite" {
      return Finding(
        name: Self.nodeName, state: .ok,
        text: "serves, one request at a time now: \(NodeStatusPage.plain(reason))", fix: nil)
    }
    if let reason = status["reason"]?.string {
      return Finding(
        name: Self.nodeName, state: .warning, text: "takes no work now: \(reason)",
        fix: reason == "paused"
          ? "darkbloom node resume"
          : "nothing to repair: see darkbloom node status for what it waits")
    }
    return Finding(name: Self.nodeName, state: .ok, text: "serves", fix: nil)
  }
}
