internal import BloomBase
internal import BloomPlatform
internal import BloomWire

/// `darkbloom netcheck`: whether requests would get through, and what to do when not.
struct NetcheckCommand {
  static let spec = CommandSpec(
    "netcheck", "check the way to the network, step by step",
    discussion: """
      Reaches the coordinator, compares clocks, checks the signatures and proofs of its directory against \
      the key that this device pinned, counts verified machines for each model, and asks the local \
      gateway. Every fault comes with what to do. Exit code 69 when something is wrong.
      """,
    options: [
      CommandContext.data, GatewayCommand.port, .json,
      OptionSpec("network", value: "FILE", "the network to check, this device's own unless given"),
    ],
    examples: [.init("darkbloom netcheck", "before you report that something does not work")])

  private let context: CommandContext

  init(_ context: CommandContext) { self.context = context }

  func run() async throws -> ExitCode {
    let findings = await NetworkCheck(context).run()
    let isFine = findings.allSatisfy { $0.verdict != .fault }
    if context.command.has("json") {
      let value = JSONValue.members([
        "fine": .bool(isFine), "findings": .array(findings.map(\.json)),
      ])
      print(String(decoding: value.encoded, as: UTF8.self))
    } else {
      for finding in findings { print(finding.text) }
      print(isFine ? "requests would get through" : "requests would not get through")
    }
    return isFine ? .done : .unavailable
  }
}

/// One step of a check.
struct Finding: Sendable {
  enum Verdict: String, Sendable {
    case fine
    case warning
    case fault
  }

  let name: String
  let verdict: Verdict
  let text: String
  /// What to do about it.
  let fix: String?

  static func fine(_ name: String, _ text: String) -> Finding {
    Finding(name: name, verdict: .fine, detail: text, fix: nil)
  }

  static func fault(_ name: String, _ text: String, fix: String) -> Finding {
    Finding(name: name, verdict: .fault, detail: text, fix: fix)
  }

  static func warning(_ name: String, _ text: String, fix: String) -> Finding {
    Finding(name: name, verdict: .warning, detail: text, fix: fix)
  }

  private let detail: String

  private init(name: String, verdict: Verdict, detail: String, fix: String?) {
    self.name = name
    self.verdict = verdict
    self.detail = detail
    self.fix = fix
    let mark =
      switch verdict {
      case .fine: "ok   "
      case .warning: "warn "
      case .fault: "FAULT"
      }
    let gap = String(repeating: " ", count: max(1, 12 - name.count))
    text = "\(mark) \(name)\(gap)\(detail)" + (fix.map { "\n                  → \($0)" } ?? "")
  }

  var json: JSONValue {
    .members([
      "name": .string(name), "verdict": .string(verdict.rawValue), "text": .string(detail),
      "fix": fix.map { .string($0) } ?? .null,
    ])
  }
}
