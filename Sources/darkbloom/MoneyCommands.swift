internal import BloomBase
internal import BloomPlatform
internal import BloomRecords
internal import BloomWire

/// `darkbloom account|statement|usage|payout|dispute`: what an account has, paid and earned.
struct MoneyCommands {
  private static let period = [
    OptionSpec("from", value: "DAY", "YYYY-MM-DD, 29 days before the last unless given"),
    OptionSpec("to", value: "DAY", "YYYY-MM-DD, UTC, today unless given"),
  ]

  static let specs = [
    CommandSpec(
      "account", "what your account has, and what this device's key may spend",
      options: [CommandContext.data, .json],
      examples: [.init("darkbloom account", "balance, earnings and the key's limits")]),
    CommandSpec(
      "statement", "what you paid and earned, by day, machine and model",
      discussion: """
        What is shown is what was booked: the sum of all changes is what the account has. Earnings \
        are net of the platform's share. Users are not told which machines answered.
        """,
      options: [CommandContext.data, .json] + period + [
        OptionSpec("answers", "single answers in place of days"),
        OptionSpec("csv", "as comma-separated values"),
        OptionSpec("output", value: "FILE", "where to write it, mode 0600"),
      ],
      examples: [
        .init("darkbloom statement", "the last thirty days"),
        .init(
          "darkbloom statement --from 2026-11-01 --to 2026-11-30 --csv --output november.csv",
          "a month for a spreadsheet"),
      ]),
    CommandSpec(
      "usage", "answers and tokens of each day", options: [CommandContext.data, .json] + period,
      examples: [.init("darkbloom usage --from 2026-11-01", "since the first of November")]),
    CommandSpec(
      "payout", "ask for what your machines earned",
      discussion: """
        Without an action payouts are listed. The operator pays and confirms; until then the money \
        is yours and cannot be spent.
        """,
      options: [
        CommandContext.data, .json,
        OptionSpec("micros", value: "MICROS", "how much, all that was earned unless given"),
        OptionSpec("destination", value: "TEXT", "where to, for example an IBAN"),
      ],
      arguments: [ArgumentSpec("ACTION", "list or request", isOptional: true)],
      examples: [
        .init(
          "darkbloom payout request --destination DE02120300000000202051", "all that was earned")
      ]),
    CommandSpec(
      "dispute", "question an answer that you paid: its price is held until the operator decides",
      discussion: """
        Names a receipt of this device, or with --entry a line of your statement. Without either, \
        open disputes are listed.
        """,
      options: [
        CommandContext.data, .json,
        OptionSpec("entry", value: "N", "a line of darkbloom statement --answers"),
        OptionSpec("part", value: "N", "the part of that answer, 0 unless given"),
      ],
      arguments: [
        ArgumentSpec("RECEIPT", "a receipt file, or an answer's id", isOptional: true)
      ],
      examples: [
        .init("darkbloom receipts list", "find the answer"),
        .init("darkbloom dispute 0123456789abcdef0123456789abcdef", "question it"),
      ]),
  ]

  private let context: CommandContext
  private var command: ParsedCommand { context.command }

  init(_ context: CommandContext) { self.context = context }

  func run() async throws -> ExitCode {
    let network = try JoinedNetwork.current(context)
    _ = try network.requireKey()
    let client = AccountClient(network, context)
    switch command.path.last {
    case "account": show(try await client.get("/v1/account"), Self.account)
    case "statement": try await statement(client)
    case "usage": show(try await client.get("/v1/usage" + (try query())), Self.usage)
    case "payout": try await payout(client)
    default: try await dispute(client)
    }
    return .done
  }

  private func show(_ value: JSONValue, _ text: (JSONValue) -> String) {
    Terminal.tell(
      command.has("json") ? String(decoding: value.encoded, as: UTF8.self) : text(value))
  }

  /// The days that were asked for; the coordinator says what is wrong with them.
  private func query(_ more: [String] = []) throws -> String {
    var items = more
    for option in ["from", "to"] {
      guard let day = command.value(option) else { continue }
      guard !day.isEmpty, day.utf8.allSatisfy({ (48...57).contains($0) || $0 == 45 }) else {
        throw UsageError("--\(option) must be a day such as 2026-11-21")
      }
      items.append("\(option)=\(day)")
    }
    return items.isEmpty ? "" : "?" + items.joined(separator: "&")
  }

  // MARK: Account

  private static func account(_ answer: JSONValue) -> String {
    let account = answer["account"]
    func micros(_ name: String) -> String {
      "\(Micros(account?[name]?.integer ?? 0))"
    }
    let credit = account?["credit_micros"]?.integer ?? 0
    let earned = account?["earned_micros"]?.integer ?? 0
    var lines = [
      "account    \(account?["account"]?.string ?? "?")  \(account?["name"]?.string ?? "")",
      "to spend   \(Micros(credit &+ earned))",
      "  credit   \(micros("credit_micros"))",
      "  earned   \(micros("earned_micros"))  can be paid out: darkbloom payout request",
      "reserved   \(micros("reserved_micros"))  for answers that run",
      "held       \(micros("held_micros"))  earned and disputed",
      "on its way \(micros("payout_micros"))  payouts not confirmed yet",
    ]
    let key = answer["key"]
    lines.append("this key   \(key?["id"]?.string ?? "?")  \(key?["name"]?.string ?? "")")
    let limits = key?["limits"]
    for (name, spent, text) in [
      ("micros_per_day", "spent_today_micros", "a day"),
      ("micros_per_month", "spent_this_month_micros", "a month"),
    ] {
      guard let limit = limits?[name]?.integer else { continue }
      let used = Micros(key?[spent]?.integer ?? 0)
      lines.append("  may spend \(Micros(limit)) \(text), \(used) of it spent")
    }
    if let limit = limits?["requests_per_minute"]?.integer {
      lines.append("  may ask \(limit) times a minute")
    }
    for name in ["pool", "region"] {
      if let only = limits?[name]?.string { lines.append("  \(name) \(only) only") }
    }
    return lines.joined(separator: "\n")
  }

  // MARK: Statement

  private func statement(_ client: AccountClient) async throws {
    guard !(command.has("csv") && command.has("json")) else {
      throw UsageError("choose --csv or --json")
    }
    let isRaw = command.has("csv") || command.has("json") || command.has("output")
    let path = try query([
      "detail=\(command.has("answers") ? "answers" : "days")",
      "format=\(command.has("csv") ? "csv" : "json")",
    ])
    let bytes = try await client.text("/v1/statement" + path)
    if let file = command.value("output") {
      try PrivateFile.write(bytes, to: file)
    } else if isRaw {
      print(
        String(decoding: bytes, as: UTF8.self), terminator: command.has("csv") ? "" : "\n")
    } else {
      Terminal.tell(Self.statement(try JSONValue(decoding: bytes)))
    }
  }

  private static func statement(_ statement: JSONValue) -> String {
    let lines = statement["lines"]?.items ?? []
    if lines.isEmpty { return "nothing in these days" }
    return
      (lines.map(line) + [
        "sum \(Micros(statement["change_micros"]?.integer ?? 0))"
      ]).joined(separator: "\n")
  }

  private static func line(_ line: JSONValue) -> String {
    var words = [
      line["date"]?.string ?? "entry \(line["entry"]?.integer ?? 0)", line["kind"]?.string ?? "?",
    ]
    if let node = line["node"]?.string { words.append("machine \(node.prefix(8))") }
    if let model = line["model"]?.string {
      words.append("model \(line["model_name"]?.string ?? String(model.prefix(8)))")
      if let answers = line["answers"]?.integer { words.append("\(answers) answers") }
      words.append(
        "\(line["prompt_tokens"]?.integer ?? 0) + \(line["completion_tokens"]?.integer ?? 0) tokens"
      )
    }
    if let fee = line["fee_micros"]?.integer, fee > 0 { words.append("fee \(Micros(fee))") }
    words.append("\(Micros(line["change_micros"]?.integer ?? 0))")
    return words.joined(separator: "  ")
  }

  // MARK: Usage

  private static func usage(_ usage: JSONValue) -> String {
    let days = usage["days"]?.items ?? []
    if days.isEmpty { return "nothing in these days" }
    return
      (days.map { sides($0["date"]?.string ?? "?", $0) }
      + [sides("all       ", usage["total"] ?? .null)]).joined(separator: "\n")
  }

  private static func sides(_ name: String, _ day: JSONValue) -> String {
    func number(_ side: String, _ member: String) -> Int64 { day[side]?[member]?.integer ?? 0 }
    func tokens(_ side: String) -> String {
      "\(number(side, "prompt_tokens")) + \(number(side, "completion_tokens")) tokens"
    }
    var words = [name]
    if number("asked", "answers") > 0 {
      words.append(
        "asked \(number("asked", "answers")), \(tokens("asked")), "
          + "paid \(Micros(number("asked", "paid_micros")))")
    }
    if number("served", "parts") > 0 {
      words.append(
        "served \(number("served", "parts")), \(tokens("served")), "
          + "earned \(Micros(number("served", "earned_micros")))")
    }
    return words.joined(separator: "  ")
  }

  // MARK: Payouts

  private func payout(_ client: AccountClient) async throws {
    switch command.arguments.first ?? "list" {
    case "list":
      show(try await client.get("/v1/payouts")) { answer in
        let payouts = answer["payouts"]?.items ?? []
        return payouts.isEmpty
          ? "no payouts yet; ask for one: darkbloom payout request --destination TEXT"
          : payouts.map(Self.payout).joined(separator: "\n")
      }
    case "request":
      guard let destination = command.value("destination") else {
        throw UsageError("--destination is needed: where the operator sends the money")
      }
      var members: [JSONValue.Member] = [.init("destination", .string(destination))]
      if let micros = try command.integer("micros", in: 1...Int.max) {
        members.append(.init("micros", .integer(micros)))
      }
      show(try await client.post("/v1/payouts", object: .object(members)), Self.payout)
    default: throw UsageError("choose list or request")
    }
  }

  private static func payout(_ payout: JSONValue) -> String {
    var words = [
      "\(payout["payout"]?.integer ?? 0)", "\(Micros(payout["amount_micros"]?.integer ?? 0))",
      payout["state"]?.string ?? "?", "to \(payout["destination"]?.string ?? "?")",
    ]
    if let note = payout["note"]?.string { words.append("(\(note))") }
    return words.joined(separator: "  ")
  }

  // MARK: Disputes

  private func dispute(_ client: AccountClient) async throws {
    var members: [JSONValue.Member] = []
    switch (command.arguments.first, try command.integer("entry", in: 1...Int.max)) {
    case (nil, nil):
      return show(try await client.get("/v1/disputes")) { answer in
        let disputes = answer["disputes"]?.items ?? []
        return disputes.isEmpty
          ? "no open disputes" : disputes.map(Self.dispute).joined(separator: "\n")
      }
    case (_?, _?): throw UsageError("name a receipt or an entry, not both")
    case (let name?, nil):
      let claims = try StoredReceipt.find(name, context).claims()
      members = [
        .init("answer", .string("\(claims.answer)")), .init("part", .integer(claims.part)),
        .init("ended", .integer(claims.end.seconds)),
      ]
    case (nil, let entry?):
      members = [
        .init("entry", .integer(entry)),
        .init("part", .integer(try command.integer("part", in: 0...15) ?? 0)),
      ]
    }
    show(try await client.post("/v1/disputes", object: .object(members)), Self.dispute)
  }

  private static func dispute(_ dispute: JSONValue) -> String {
    let micros = Micros(dispute["micros"]?.integer ?? 0)
    let entry = "entry \(dispute["entry"]?.integer ?? 0), part \(dispute["part"]?.integer ?? 0)"
    return dispute["side"]?.string == "owner"
      ? "\(entry): \(micros) of yours is held until the operator decides"
      : "\(entry): \(micros) that you paid waits for the operator's decision"
  }
}
