internal import BloomBase
internal import BloomPlatform
internal import BloomSeal
internal import BloomWire

/// `darkbloom verify`: what a receipt proves, by which machine, and what it leaves open; offline.
struct VerifyCommand {
  static let spec = CommandSpec(
    "verify", "say what a receipt proves, offline",
    discussion: """
      Checks the receipt's signature up to the machine's identity and, given request and response, that \
      they are the ones that were signed. The gateway keeps receipts; with --keep-content it keeps both \
      files beside them, and they are found by name. Each line is proven, refuted or open. Exit code 1 \
      when anything is refuted.
      """,
    options: [
      CommandContext.data, .json,
      OptionSpec("request", value: "FILE", "the canonical request that was sealed"),
      OptionSpec("response", value: "FILE", "the frames of the answer"),
    ],
    arguments: [ArgumentSpec("RECEIPT", "a receipt file, or an answer's id")],
    examples: [
      .init(
        "darkbloom verify 5f0c….receipt --request r.json --response r.frames",
        "everything that can be checked")
    ])

  private let context: CommandContext

  init(_ context: CommandContext) { self.context = context }

  func run() throws -> ExitCode {
    guard let name = context.command.arguments.first else {
      throw UsageError("name a receipt; list them with: darkbloom receipts list")
    }
    let stored = try StoredReceipt.find(name, context)
    let report = try stored.report(
      request: context.command.value("request"), response: context.command.value("response"))
    if context.command.has("json") {
      print(String(decoding: Self.json(report).encoded, as: UTF8.self))
    } else {
      print(report.text, terminator: "")
      print(report.holds ? "nothing was refuted" : "the receipt does not hold")
    }
    return report.holds ? .done : .failed
  }

  private static func json(_ report: ReceiptReport) -> JSONValue {
    .members([
      "holds": .bool(report.holds),
      "lines": .array(
        report.lines.map {
          .members(["verdict": .string($0.verdict.rawValue), "text": .string($0.text)])
        }),
    ])
  }
}
