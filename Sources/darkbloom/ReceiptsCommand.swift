internal import BloomBase
internal import BloomPlatform
internal import BloomRecords
internal import BloomSeal
internal import BloomWire

/// `darkbloom receipts`: what machines signed for this user's answers.
struct ReceiptsCommand {
  static let spec = CommandSpec(
    "receipts", "list, show and verify the receipts of your answers",
    subcommands: [
      CommandSpec(
        "list", "list receipts, newest first", options: [CommandContext.data, .json],
        examples: [.init("darkbloom receipts list", "a line for each part of an answer")]),
      CommandSpec(
        "show", "print what one receipt claims", options: [CommandContext.data, .json],
        arguments: [ArgumentSpec("RECEIPT", "a receipt file, or an answer's id")],
        examples: [
          .init(
            "darkbloom receipts show 4d1da1a7b8db60da5552aa28f082a10e",
            "with the id that X-Darkbloom-Answer names")
        ]),
      CommandSpec(
        "verify", "verify every receipt that is kept", options: [CommandContext.data, .json],
        examples: [
          .init("darkbloom receipts verify", "offline; exit code 1 when one is false or damaged")
        ]),
    ])

  private let context: CommandContext

  init(_ context: CommandContext) { self.context = context }

  func run() throws -> ExitCode {
    switch context.command.path.dropFirst().first {
    case "list": return list()
    case "show":
      try show()
      return .done
    case "verify": return verify()
    default: throw UsageError("choose one of list, show, verify")
    }
  }

  private func list() -> ExitCode {
    let paths = Array(StoredReceipt.paths(context).reversed())
    let damaged: Int
    if context.command.has("json") {
      var items: [JSONValue] = []
      damaged = StoredReceipt.each(paths) { stored in
        items.append(Self.json(try stored.claims(), stored))
      }
      print(String(decoding: JSONValue.array(items).encoded, as: UTF8.self))
    } else {
      if paths.isEmpty { print("no receipts yet; the gateway keeps one of each answer") }
      damaged = StoredReceipt.each(paths) { stored in
        let claims = try stored.claims()
        print(
          "\(claims.answer)-\(claims.part)\tmachine \(claims.node.digest)\t"
            + "\(claims.promptTokens) + \(claims.completionTokens) tokens\t"
            + (claims.finish.map { "\($0)" } ?? "running"))
      }
    }
    return damaged == 0 ? .done : .failed
  }

  private func show() throws {
    guard let name = context.command.arguments.first else {
      throw UsageError("name a receipt; list them with: darkbloom receipts list")
    }
    let stored = try StoredReceipt.find(name, context)
    let claims = try stored.claims()
    if context.command.has("json") {
      print(String(decoding: Self.json(claims, stored).encoded, as: UTF8.self))
      return
    }
    print("answer      \(claims.answer), part \(claims.part)")
    print("machine     \(claims.node.digest.hex)")
    print("model       \(claims.model.digest.hex)")
    print("release     \(claims.release.hex)")
    print("tokens      \(claims.promptTokens) prompt, \(claims.completionTokens) completion")
    print("finish      \(claims.finish.map { "\($0)" } ?? "running")")
    if let cost = stored.file?.cost { print("booked      \(cost.rawValue) micros") }
    print("claims only; check them with: darkbloom verify \(stored.path)")
  }

  private func verify() -> ExitCode {
    var count = 0
    var refuted: [(path: String, claims: [String])] = []
    let damaged = StoredReceipt.each(StoredReceipt.paths(context)) { stored in
      let report = try stored.report(request: nil, response: nil)
      count += 1
      if report.holds { return }
      let claims = report.lines.filter { $0.verdict == .refuted }.map(\.text)
      refuted.append((stored.path, claims))
    }
    if context.command.has("json") {
      let items = refuted.map {
        JSONValue.members([
          "path": .string($0.path), "claims": .array($0.claims.map { .string($0) }),
        ])
      }
      let value = JSONValue.members([
        "receipts": .integer(count), "refuted": .array(items), "unreadable": .integer(damaged),
      ])
      print(String(decoding: value.encoded, as: UTF8.self))
    } else {
      for (path, claims) in refuted {
        print("\(path): not true: \(claims.joined(separator: "; "))")
      }
      let unreadable = damaged > 0 ? ", \(damaged) unreadable" : ""
      print("\(count) receipts, \(refuted.count) refuted\(unreadable)")
    }
    return refuted.isEmpty && damaged == 0 ? .done : .failed
  }

  private static func json(_ claims: ReceiptClaims, _ stored: StoredReceipt) -> JSONValue {
    .members([
      "path": .string(stored.path),
      "answer": .string("\(claims.answer)"), "part": .integer(claims.part),
      "machine": .string(claims.node.digest.hex), "model": .string(claims.model.digest.hex),
      "release": .string(claims.release.hex), "prompt_tokens": .integer(claims.promptTokens),
      "completion_tokens": .integer(claims.completionTokens),
      "finish": claims.finish.map { .string("\($0)") } ?? .null,
      "started": .integer(claims.start.seconds), "ended": .integer(claims.end.seconds),
      "cost_micros": stored.file?.cost.map { .integer($0.rawValue) } ?? .null,
    ])
  }
}
