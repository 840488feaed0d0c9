internal import BloomBase
internal import BloomPlatform
internal import BloomWire

/// `darkbloom-coordinator admin prices|policy|payouts|statement|deposit|fund-replay|books`.
enum MoneyCommand: Sendable {
  private static let account = ArgumentSpec("ACCOUNT", "its id")
  private static let payout = ArgumentSpec("PAYOUT", "its number, from: admin payouts list")
  private static let output = OptionSpec("output", value: "FILE", "where to write it, mode 0600")
  private static let reference = OptionSpec(
    "reference", value: "TEXT", "the bank's or provider's; the same one is booked once")

  static let specs: [CommandSpec] = [
    CommandSpec(
      "prices", "what answers cost, in micro-units a million tokens",
      subcommands: [
        CommandSpec(
          "list", "the prices in force",
          options: [OptionSpec("history", "every change there ever was")]),
        CommandSpec(
          "set", "change a price; answers that run keep theirs",
          discussion: """
            KIND is chat, completion, embeddings, transcription, rerank, image, speech or count. \
            --fallback sets the price of every model and kind without one of its own; counting \
            tokens is free unless it has one.
            """,
          options: [
            OptionSpec("prompt", value: "MICROS", "of a million prompt tokens"),
            OptionSpec("completion", value: "MICROS", "of a million completion tokens"),
            OptionSpec("fallback", "for all models and kinds without a price of their own"),
          ],
          arguments: [
            ArgumentSpec("MODEL", "its name in the catalog or its digest", isOptional: true),
            ArgumentSpec("KIND", "what is asked of it", isOptional: true),
          ],
          examples: [
            .init(
              "darkbloom-coordinator admin prices set qwen3-8b:q4_k_m chat --prompt 80000 "
                + "--completion 300000 --data DIR", "one model"),
            .init(
              "darkbloom-coordinator admin prices set --fallback --prompt 50000 "
                + "--completion 200000 --data DIR", "all others"),
          ]),
      ]),
    CommandSpec(
      "policy", "how what users pay is shared",
      discussion: """
        A policy is a text of one name=value a line with the signature of the network's key below; \
        clients that pinned the key can check it. Change it so: policy show --next > FILE, edit \
        FILE, policy sign FILE > SIGNED, policy adopt SIGNED.
        """,
      subcommands: [
        CommandSpec(
          "show", "the policy in force, as text",
          options: [OptionSpec("next", "the same with the next version, to be edited")]),
        CommandSpec(
          "sign", "sign a policy with the key in the data folder",
          options: [output],
          arguments: [ArgumentSpec("FILE", "the policy's text")],
          examples: [
            .init(
              "darkbloom-coordinator admin policy sign next.policy --output signed.policy "
                + "--data DIR", "needs no running coordinator")
          ]),
        CommandSpec(
          "adopt", "put a signed policy into force",
          arguments: [ArgumentSpec("FILE", "from policy sign")]),
      ]),
    CommandSpec(
      "payouts", "money on its way to owners",
      discussion: """
        The operator exports what is pending, pays by bank, and confirms each payout with the \
        bank's reference. A payout that is cancelled is the owner's again.
        """,
      subcommands: [
        CommandSpec(
          "list", "pending payouts", options: [OptionSpec("all", "those that ended too")]),
        CommandSpec(
          "propose", "ask in an owner's name, or for all who earned the policy's minimum",
          options: [
            OptionSpec("micros", value: "MICROS", "how much, all that was earned unless given"),
            OptionSpec("destination", value: "TEXT", "where to, as the last time unless given"),
            OptionSpec("key", value: "TEXT", "the same payout is asked for once under one key"),
          ], arguments: [ArgumentSpec("ACCOUNT", "its id", isOptional: true)],
          examples: [
            .init("darkbloom-coordinator admin payouts propose --data DIR", "once a month"),
            .init(
              "darkbloom-coordinator admin payouts propose u-0123456789abcdef --destination "
                + "DE02120300000000202051 --data DIR", "one owner"),
          ]),
        CommandSpec(
          "export", "pending payouts as CSV", options: [output],
          examples: [
            .init(
              "darkbloom-coordinator admin payouts export --output payouts.csv --data DIR",
              "for the bank")
          ]),
        CommandSpec(
          "confirm", "say that a payout was sent",
          options: [OptionSpec("reference", value: "TEXT", "the bank's; needed")],
          arguments: [payout]),
        CommandSpec(
          "cancel", "say that a payout was not sent: the money is the owner's again",
          options: [OptionSpec("reason", value: "TEXT", "why; needed")], arguments: [payout]),
      ]),
    CommandSpec(
      "statement", "what an account paid and earned",
      options: [
        OptionSpec("from", value: "DAY", "YYYY-MM-DD, 29 days before the last unless given"),
        OptionSpec("to", value: "DAY", "YYYY-MM-DD, UTC, today unless given"),
        OptionSpec("answers", "single answers in place of days"),
        OptionSpec("csv", "as comma-separated values"), output,
      ], arguments: [account],
      examples: [
        .init(
          "darkbloom-coordinator admin statement u-0123456789abcdef --from 2026-11-01 "
            + "--to 2026-11-30 --csv --data DIR", "a month for a spreadsheet")
      ]),
    CommandSpec(
      "deposit", "book money that came in", options: [reference],
      arguments: [account, ArgumentSpec("MICROS", "millionths of a unit")]),
    CommandSpec(
      "fund-replay", "move fees to the pool that pays for repeated work", options: [reference],
      arguments: [ArgumentSpec("MICROS", "millionths of a unit")]),
    CommandSpec("books", "the platform's accounts and the sums of all others"),
  ]

  /// Runs one of these.
  ///
  /// - Returns: Whether it is one.
  /// - Throws: What the command throws.
  static func run(
    _ words: [String], _ command: ParsedCommand, _ folder: CoordinatorFolder
  ) async throws -> Bool {
    guard let first = words.first, specs.contains(where: { $0.name == first }) else { return false }
    let path = "/" + words.joined(separator: "/")
    let socket = folder.folder.path(of: AdminCommand.socketName)
    switch words {
    case ["policy", "sign"]:
      try write(Array(sign(command, folder).utf8), command)
    case ["policy", "show"]:
      let policy = try await AdminCommand.ask(
        path, try body(words, command), socket: socket)
      if command.has("json") {
        try write(policy.encoded + [0x0a], command)
      } else {
        try write(Array((policy["text"]?.string ?? "").utf8), command)
      }
    case ["payouts", "export"]:
      try write(try await AdminCommand.exchange(path, .object([]), socket: socket), command)
    case ["statement"]: try await statement(path, command, socket)
    default:
      let answer = try await AdminCommand.ask(path, try body(words, command), socket: socket)
      if command.has("json") {
        try write(answer.encoded + [0x0a], command)
      } else {
        print(PlainText.of(answer), terminator: "")
      }
    }
    return true
  }

  /// To the file of `--output`, or to standard output.
  private static func write(_ bytes: [UInt8], _ command: ParsedCommand) throws {
    if let path = command.value("output") {
      try PrivateFile.write(bytes, to: path)
    } else {
      print(String(decoding: bytes, as: UTF8.self), terminator: "")
    }
  }

  // MARK: Requests

  private static func body(_ words: [String], _ command: ParsedCommand) throws -> JSONValue {
    var members: [JSONValue.Member] = []
    func add(_ name: String, _ value: String?) {
      if let value { members.append(.init(name, .string(value))) }
    }
    func need(_ option: String) throws -> String {
      guard let value = command.value(option) else {
        throw UsageError("--\(option) is needed, see \(words.joined(separator: " ")) --help")
      }
      return value
    }
    func argument(_ index: Int, _ name: String) throws {
      guard let number = Int64(command.arguments[index]), number > 0 else {
        throw UsageError("\(name.uppercased()) must be a whole number above 0")
      }
      members.append(.init(name, .integer(number)))
    }
    switch words {
    case ["prices", "list"]: members.append(.init("history", .bool(command.has("history"))))
    case ["prices", "set"]: members = try price(command, need)
    case ["policy", "show"]: members.append(.init("next", .bool(command.has("next"))))
    case ["policy", "adopt"]: add("text", try text(command.arguments[0]))
    case ["payouts", "list"]: members.append(.init("all", .bool(command.has("all"))))
    case ["payouts", "propose"]:
      add("account", command.arguments.first)
      add("destination", command.value("destination"))
      add("key", command.value("key"))
      if let micros = try command.integer("micros", in: 1...Int.max) {
        members.append(.init("micros", .integer(micros)))
      }
    case ["payouts", "confirm"]:
      try argument(0, "payout")
      add("reference", try need("reference"))
    case ["payouts", "cancel"]:
      try argument(0, "payout")
      add("reason", try need("reason"))
    case ["deposit"]:
      add("account", command.arguments[0])
      try argument(1, "micros")
      add("reference", try need("reference"))
    case ["fund-replay"]:
      try argument(0, "micros")
      add("reference", try need("reference"))
    default: break
    }
    return .object(members)
  }

  private static func price(
    _ command: ParsedCommand, _ need: (String) throws -> String
  ) throws -> [JSONValue.Member] {
    var members: [JSONValue.Member] = []
    switch (command.has("fallback"), command.arguments.count) {
    case (true, 0): members.append(.init("fallback", .bool(true)))
    case (false, 2):
      members += [
        .init("model", .string(command.arguments[0])), .init("kind", .string(command.arguments[1])),
      ]
    default: throw UsageError("name MODEL and KIND, or give --fallback without them")
    }
    for option in ["prompt", "completion"] {
      _ = try need(option)
      guard let micros = try command.integer(option, in: 0...Int.max) else { continue }
      members.append(.init("\(option)_micros", .integer(micros)))
    }
    return members
  }

  private static func text(_ path: String) throws -> String {
    guard let bytes = try PrivateFile.read(path, limitBytes: 65_536) else {
      throw UsageError("\(path) does not exist")
    }
    return String(decoding: bytes, as: UTF8.self)
  }

  private static func sign(
    _ command: ParsedCommand, _ folder: CoordinatorFolder
  ) throws -> String {
    let policy = try PolicyFile.read(try text(command.arguments[0]))
    return PolicyFile.text(try PolicyFile.sign(policy, with: try folder.logKey()))
  }

  // MARK: Statements

  private static func statement(
    _ path: String, _ command: ParsedCommand, _ socket: String
  ) async throws {
    guard !(command.has("csv") && command.has("json")) else {
      throw UsageError("choose --csv or --json")
    }
    var members: [JSONValue.Member] = [
      .init("account", .string(command.arguments[0])),
      .init("detail", .string(command.has("answers") ? "answers" : "days")),
      .init("format", .string(command.has("csv") ? "csv" : "json")),
    ]
    for option in ["from", "to"] {
      if let day = command.value(option) { members.append(.init(option, .string(day))) }
    }
    let whole = try await AdminCommand.exchange(path, .object(members), socket: socket)
    if command.has("csv") || command.has("json") || command.has("output") {
      try write(whole, command)
    } else {
      print(PlainText.of(try JSONValue(decoding: whole)), terminator: "")
    }
  }
}
