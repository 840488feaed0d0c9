internal import BloomBase
internal import BloomNet
internal import BloomPlatform
internal import BloomSeal
internal import BloomWire

/// `darkbloom chat`: a conversation in the terminal, or line by line through a pipe.
struct ChatCommand {
  static let spec = CommandSpec(
    "chat", "talk with a model, privately",
    discussion: """
      Each line is a message; lines that begin with / are commands, /help lists them. Ctrl-C stops the \
      answer, a second one leaves. Through a pipe only answers are printed. Nothing of the conversation \
      is stored.
      """,
    options: [
      CommandContext.data, GatewayCommand.port,
      OptionSpec("model", value: "NAME", "the first chat model unless given"),
      OptionSpec("system", value: "TEXT", "what the model is told before the conversation"),
      OptionSpec("max-tokens", value: "N", "the limit of each answer"),
    ],
    examples: [
      .init("darkbloom chat", "a conversation; /privacy shows what the coordinator saw of it"),
      .init("printf 'Hi!\\n/receipt\\n' | darkbloom chat", "an answer and its receipt"),
    ])

  private let context: CommandContext

  init(_ context: CommandContext) { self.context = context }

  func run() async throws -> ExitCode {
    let gateway = try GatewayClient(context)
    let limit = try context.command.integer("max-tokens", in: 1...65_536)
    let model: String
    if let named = context.command.value("model") {
      model = named
    } else {
      model = try await gateway.firstModel()
    }
    var chat = Chat(
      context: context, gateway: gateway, model: model, limit: limit,
      system: context.command.value("system"))
    return await chat.run()
  }
}

/// A running conversation.
private struct Chat {
  let context: CommandContext
  let gateway: GatewayClient
  var model: String
  let limit: Int?
  let system: String?
  private var messages: [JSONValue] = []
  private var last: GatewayClient.Outcome?
  private var hasFailed = false
  private let isTalking = Terminal.hasInput
  private let running = Locked<Task<Void, Never>?>(nil)

  private static let help = """
    /model [NAME]  which model answers, or another one
    /privacy       what the coordinator saw of the last answer
    /receipt       what the last answer's receipt proves
    /clear         begin anew
    /help          this list
    /quit          leave, as Ctrl-D does
    """

  init(
    context: CommandContext, gateway: GatewayClient, model: String, limit: Int?, system: String?
  ) {
    self.context = context
    self.gateway = gateway
    self.model = model
    self.limit = limit
    self.system = system
  }

  mutating func run() async -> ExitCode {
    let running = running
    let signal = InterruptSignal {
      let answer = running.withLock { task in
        defer { task = nil }
        return task
      }
      if let answer { return answer.cancel() }
      Terminal.hint("\n")
      ProcessEnvironment.exit(.done)
    }
    defer { withExtendedLifetime(signal) {} }
    if isTalking {
      ProcessEnvironment.complain("\(model) answers; /help lists commands, Ctrl-D leaves")
    }
    let reader = LineReader()
    while true {
      if isTalking { Terminal.hint("> ") }
      guard let line = await reader.next() else { break }
      let words = line.split(separator: " ", maxSplits: 1).map(String.init)
      guard let first = words.first else { continue }
      if first == "/quit" || first == "/exit" { return .done }
      do {
        if first.hasPrefix("/") {
          try await obey(first, words.count > 1 ? words[1] : nil)
        } else {
          try await answer(line)
        }
      } catch {
        hasFailed = true
        ProcessEnvironment.complain("darkbloom: \(error.spoken)")
      }
    }
    if isTalking { Terminal.hint("\n") }
    // A script must see that an answer is missing; a person has seen it.
    return hasFailed && !isTalking ? .unavailable : .done
  }

  private mutating func answer(_ text: String) async throws {
    let question = JSONValue.members(["role": .string("user"), "content": .string(text)])
    var asked = messages + [question]
    if let system {
      asked.insert(
        .members(["role": .string("system"), "content": .string(system)]), at: 0)
    }
    let (gateway, model, limit, conversation) = (gateway, model, limit, asked)
    let shown = Locked(GatewayClient.Outcome())
    let failure = Locked<(any Error)?>(nil)
    let task = Task {
      do {
        let outcome = try await gateway.chat(
          model: model, messages: conversation, maxTokens: limit,
          begun: { head in shown.withLock { $0 = head } },
          show: { piece in
            shown.withLock { $0.text += piece }
            Terminal.show(piece)
          })
        shown.withLock { $0.failure = outcome.failure }
      } catch {
        failure.withLock { $0 = error }
      }
    }
    running.withLock { $0 = task }
    await task.value
    let isWhole = running.withLock { task in
      defer { task = nil }
      return task != nil
    }
    let outcome = shown.withLock { $0 }
    if !outcome.text.isEmpty || outcome.answer != nil { Terminal.show("\n") }
    if isWhole, let error = failure.withLock({ $0 }) { throw error }
    if !isWhole { ProcessEnvironment.complain("(stopped: the machine stops too)") }
    last = outcome
    if let failure = outcome.failure { throw UnavailableError(failure) }
    // What was shown is part of the conversation, also when it was stopped.
    messages += [
      question, .members(["role": .string("assistant"), "content": .string(outcome.text)]),
    ]
  }

  // MARK: Commands

  private mutating func obey(_ command: String, _ argument: String?) async throws {
    switch command {
    case "/help": print(Self.help)
    case "/clear":
      messages = []
      last = nil
      ProcessEnvironment.complain("the conversation begins anew")
    case "/model": try await choose(argument)
    case "/privacy": try await privacy()
    case "/receipt": try await receipt()
    default:
      let known = ["/help", "/clear", "/model", "/privacy", "/receipt", "/quit"]
      let nearest = NearestName.find(command, in: known).map { ", did you mean \($0)?" }
      throw UsageError("there is no command \(command)" + (nearest ?? "; /help lists them"))
    }
    ProcessEnvironment.flush()
  }

  private mutating func choose(_ name: String?) async throws {
    let models = try await gateway.models()
    guard let name else {
      for model in models { print(model == self.model ? "* \(model)" : "  \(model)") }
      return
    }
    guard models.contains(name) else {
      let nearest = NearestName.find(name, in: models).map { ", did you mean \($0)?" }
      throw UsageError("no verified machine serves \(name)" + (nearest ?? "; /model lists them"))
    }
    model = name
    ProcessEnvironment.complain("\(name) answers from here on")
  }

  private func privacy() async throws {
    guard let outcome = last, let answer = outcome.answer else {
      throw UsageError("ask something first")
    }
    let machine = outcome.machine.map { String($0.prefix(16)) } ?? "?"
    print("sealed to    machine \(machine)…, tier \(outcome.tier ?? "?")")
    let events = try await gateway.get("/darkbloom/wiretap").items ?? []
    let own = events.filter { $0["answer"]?.string == answer }
    for event in own where event["event"]?.string == "request" {
      print(WireTapText.line(event))
    }
    let sealed = own.filter { $0["event"]?.string == "sealed" }
    let bytes = sealed.compactMap { $0["bytes"]?.integer }.reduce(0, +)
    print("it relayed   \(bytes) bytes of ciphertext back, in \(sealed.count) pieces")
    print("never saw    \(outcome.text.utf8.count) bytes of answer, the question, the keys")
  }

  private func receipt() async throws {
    guard let answer = last?.answer else { throw UsageError("ask something first") }
    // The gateway keeps it as soon as the last part is verified, just after the text's end.
    for _ in 0..<20 {
      if let stored = try? StoredReceipt.find(answer, context) {
        let report = try stored.report(request: nil, response: nil)
        print(report.text, terminator: "")
        print(report.holds ? "nothing was refuted" : "the receipt does not hold")
        return
      }
      try await Task.sleep(for: .milliseconds(100))
    }
    throw UsageError("no receipt was kept: the answer was stopped, or its machine signed none")
  }
}
