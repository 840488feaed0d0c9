internal import BloomBase
internal import BloomNet
internal import BloomPlatform
internal import BloomWire

/// `darkbloom wiretap`: what the coordinator sees of this device, as it happens.
struct WiretapCommand {
  static let spec = CommandSpec(
    "wiretap", "show live what the coordinator sees of you",
    discussion: """
      Sizes, times, machines and ciphertext, from the gateway's own notes, which it keeps in memory only. \
      What is not shown here did not leave this device.
      """,
    options: [
      CommandContext.data, GatewayCommand.port, .json,
      OptionSpec("last", "what is remembered, then stop"),
    ],
    examples: [
      .init("darkbloom wiretap", "in one terminal, while you ask something in another"),
      .init("darkbloom wiretap --last --json", "as data"),
    ])

  private let context: CommandContext

  init(_ context: CommandContext) { self.context = context }

  func run() async throws -> ExitCode {
    let gateway = try GatewayClient(context)
    let isJSON = context.command.has("json")
    if context.command.has("last") {
      for event in try await gateway.get("/darkbloom/wiretap").items ?? [] {
        Self.show(event, isJSON)
      }
      return .done
    }
    if !isJSON, Terminal.hasMessages {
      ProcessEnvironment.complain("· everything that leaves for the coordinator; Ctrl-C stops")
    }
    let shutdown = ShutdownSignal()
    try await shutdown.run {
      try await gateway.follow("/darkbloom/wiretap?follow=1") { event in
        Self.show(event, isJSON)
        return true
      }
    }
    return .done
  }

  private static func show(_ event: JSONValue, _ isJSON: Bool) {
    print(isJSON ? String(decoding: event.encoded, as: UTF8.self) : WireTapText.line(event))
    ProcessEnvironment.flush()
  }
}

/// The gateway's notes in words.
enum WireTapText {
  /// One event; a request takes three lines.
  static func line(_ event: JSONValue) -> String {
    let time = stamp(event["milliseconds"]?.integer ?? 0)
    let bytes = event["bytes"]?.integer ?? 0
    let answer = event["answer"]?.string.map { String($0.prefix(8)) } ?? ""
    switch event["event"]?.string {
    case "request":
      let machines = event["candidates"]?.items?.compactMap { $0.string?.prefix(8) } ?? []
      return """
        \(time) → \(answer) part \(event["part"]?.integer ?? 0): \(bytes) bytes, of which the padded \
        \(event["kind"]?.string ?? "?") request is \(event["padded_bytes"]?.integer ?? 0)
                     for \(machines.joined(separator: " or ")), model \
        \(event["model"]?.string?.prefix(8) ?? "?"), at most \
        \(event["token_limit"]?.integer ?? 0) tokens, answer \(event["padding"]?.string ?? "?")
                     \(spaced(event["ciphertext"]?.string ?? ""))…
        """
    case "sealed": return "\(time) ← \(answer) \(bytes) bytes of ciphertext"
    case "accepted":
      return "\(time) ← \(answer) machine \(event["machine"]?.string?.prefix(8) ?? "?") takes it"
    case "alive": return "\(time) ← \(answer) alive"
    case "suspected": return "\(time) ← \(answer) its machine is silent"
    case "settled": return "\(time) ← \(answer) booked"
    case "queued": return "\(time) ← \(answer) waits in the queue"
    case "attempt-failed": return "\(time) ← \(answer) a machine failed"
    case "refused": return "\(time) ← refused: \(event["reason"]?.string ?? "?")"
    case "directory": return "\(time) ← \(bytes) bytes of the public directory"
    default: return "\(time)   \(event["event"]?.string ?? "?")"
    }
  }

  /// `m:ss.mmm` since the gateway started.
  private static func stamp(_ milliseconds: Int64) -> String {
    func padded(_ number: Int64, _ width: Int) -> String {
      let digits = "\(number)"
      return String(repeating: "0", count: max(0, width - digits.count)) + digits
    }
    let seconds = milliseconds / 1000
    return "\(padded(seconds / 60, 3)):\(padded(seconds % 60, 2)).\(padded(milliseconds % 1000, 3))"
  }

  private static func spaced(_ hex: String) -> String {
    var text = ""
    for (index, digit) in hex.enumerated() {
      if index > 0, index.isMultiple(of: 4) { text += " " }
      text.append(digit)
    }
    return text
  }
}
