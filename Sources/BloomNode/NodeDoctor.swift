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
  private static let skewSeconds: Int64 = 120

  private let configuration: NodeService.Configuration
  private let time: any TimeSource

  /// Takes the settings that the node would run with.
  package init(configuration: NodeService.Configuration, time: any TimeSource = SystemTime()) {
    self.configuration = configuration
    self.time = time
  }

  /// All checks, in the order in which a node needs them.
  package func examine() async -> [Finding] {
    var findings = [folder(), identity(), worker()]
    findings += models()
    findings += owner()
    for url in configuration.coordinators { findings.append(await coordinator(url)) }
    findings.append(await node())
    return findings
  }

  /// The findings as one JSON object.
  package static func json(_ findings: [Finding]) -> [UInt8] {
    var writer = JSONWriter()
    writer.object { writer in
      writer.key("ok")
      writer.bool(!findings.contains { $0.state == .fault })
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
    do {
      let identity = try NodeIdentity.software(folder: configuration.dataFolder)
      return Finding(
        name: "identity", state: .ok, text: "\(identity.nodeID), kept in a file: tier software",
        fix: nil)
    } catch {
      return Finding(
        name: "identity", state: .fault, text: error.publicDescription,
        fix: "restore identity.p8 from a backup, or remove it to become a new machine")
    }
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

  private func models() -> [Finding] {
    guard !configuration.models.isEmpty else {
      return [
        Finding(
          name: "models", state: .fault, text: "none is chosen",
          fix: "add one: darkbloom models add FILE.gguf")
      ]
    }
    let advice = MemoryPlan(configuration.models, settings: configuration.owner).advice
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
        name: "model \(advice.name)", state: .warning, text: reason,
        fix: "give more memory, or choose a smaller model")
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

  private func coordinator(_ base: String) async -> Finding {
    let name = "coordinator"
    let client = HTTPClient(configuration.client)
    defer { client.close() }
    do {
      let url = base.hasSuffix("/") ? base + "readyz" : base + "/readyz"
      let response = try await client.send(try .get(url), timeout: .seconds(10))
      guard response.status == .ok else {
        return Finding(
          name: name, state: .fault, text: "answers with status \(response.status.code)",
          fix: "check its address, or try later")
      }
      if let date = response.headers[.date], !isNow(date) {
        return Finding(
          name: "clock", state: .fault,
          text: "differs from the coordinator's by more than \(Self.skewSeconds) s",
          fix: "set the machine's clock; keys would be refused")
      }
      return Finding(name: name, state: .ok, text: "answers", fix: nil)
    } catch {
      return Finding(
        name: name, state: .fault, text: error.safeDescription,
        fix: "check the network, the proxy and the coordinator's address")
    }
  }

  /// Whether a date field names a second near now.
  private func isNow(_ date: String) -> Bool {
    let now = time.unixTime().seconds
    let text = Array(date.utf8)
    return (now - Self.skewSeconds...now + Self.skewSeconds).contains {
      HTTPDate.bytes(UnixTime($0)) == text
    }
  }

  /// What the running node says of itself.
  private func node() async -> Finding {
    guard let path = configuration.consoleSocket,
      let status = try? await NodeConsoleClient(socket: path).ask(.status)
    else {
      return Finding(
        name: "node", state: .warning, text: "does not run", fix: "start it: darkbloom node run")
    }
    if let failure = (status["models"]?.items ?? []).compactMap({ $0["failure"]?.string }).first {
      return Finding(
        name: "node", state: .fault, text: "a worker failed: \(failure)",
        fix: "read the log, then fetch the model again or give more memory")
    }
    guard status["link"]?.string == "open" else {
      return Finding(
        name: "node", state: .fault,
        text: "no link to the coordinator (\(status["link"]?.string ?? "unknown"))",
        fix: "see the coordinator's line; a refused machine must be enrolled")
    }
    let tests = (status["models"]?.items ?? []).compactMap { $0["self_test"]?["failure"]?.string }
    if let failure = tests.first {
      return Finding(
        name: "node", state: .fault, text: "the self-test failed: \(failure)",
        fix: "verify the model: darkbloom models verify NAME; then start the node again")
    }
    for name in [Reason.notProven, .lowStanding].map(\.name) {
      guard let count = status["standing"]?["no_work"]?[name]?.integer, count > 0 else { continue }
      return Finding(
        name: "node", state: .fault,
        text: "the coordinator gives it no work: \(NodeStatusPage.plain(name))",
        fix: name == Reason.notProven.name
          ? "enrol this machine again"
          : "let it run undisturbed; standing comes back with kept work")
    }
    if status["models"]?.items?.contains(where: { $0["state"]?.string == "loaded" }) != true,
      status["reason"]?.string == nil
    {
      return Finding(
        name: "node", state: .warning, text: "loads its model still",
        fix: "wait, then run this again")
    }
    if let reason = status["reason"]?.string {
      return Finding(
        name: "node", state: .warning, text: "takes no work now: \(reason)",
        fix: reason == "paused"
          ? "darkbloom node resume"
          : "nothing to repair: see darkbloom node status for what it waits")
    }
    return Finding(name: "node", state: .ok, text: "serves", fix: nil)
  }
}
