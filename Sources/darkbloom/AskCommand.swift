internal import BloomBase
internal import BloomHTTP
internal import BloomNet
internal import BloomPlatform
internal import BloomWire

/// `darkbloom ask`: one question through the local gateway, answered as it comes.
struct AskCommand {
  static let spec = CommandSpec(
    "ask", "ask one question through the local gateway",
    options: [
      CommandContext.data, GatewayCommand.port,
      OptionSpec("model", value: "NAME", "the first chat model unless given"),
      OptionSpec("max-tokens", value: "N", "the answer's limit"),
    ],
    arguments: [ArgumentSpec("QUESTION", "what to ask", repeats: true)],
    examples: [.init("darkbloom ask why is the sky blue", "prints the answer")])

  private let context: CommandContext

  init(_ context: CommandContext) { self.context = context }

  func run() async throws -> ExitCode {
    let port = try context.command.integer("port", in: 1...65_535) ?? 8642
    let base = "http://127.0.0.1:\(port)"
    let token = try LocalToken.read(context.dataFolder)
    let client = HTTPClient()
    let authorization = try HTTPFieldValue("Bearer " + token)
    var model = context.command.value("model")
    if model == nil {
      var request = try ClientRequest.get(base + "/v1/models")
      request.headers.add(.authorization, authorization)
      let body = try await client.send(request).body.collect(upTo: 1 << 20)
      model = (try? JSONValue(decoding: body))?["data"]?.items?.first?["id"]?.string
    }
    guard let model else {
      ProcessEnvironment.complain("darkbloom: no verified machine serves a model now")
      return .unavailable
    }
    var members: [JSONValue.Member] = [
      .init("model", .string(model)), .init("stream", .bool(true)),
      .init(
        "messages",
        .array([
          .members([
            "role": .string("user"),
            "content": .string(context.command.arguments.joined(separator: " ")),
          ])
        ])),
    ]
    if let limit = try context.command.integer("max-tokens", in: 1...65_536) {
      members.append(.init("max_tokens", .integer(limit)))
    }
    var request = try ClientRequest.post(
      base + "/v1/chat/completions", JSONValue.object(members).encoded)
    request.headers.add(.authorization, authorization)
    let response = try await client.send(request)
    guard response.status == .ok else {
      let body = try await response.body.collect(upTo: 1 << 20)
      let message = (try? JSONValue(decoding: body))?["error"]?["message"]?.string
      ProcessEnvironment.complain("darkbloom: \(message ?? "the gateway refused the request")")
      return .unavailable
    }
    try await show(response.body)
    let node = response.headers["X-Darkbloom-Node"].map { String($0.prefix(8)) } ?? "?"
    let tier = response.headers["X-Darkbloom-Tier"] ?? "?"
    ProcessEnvironment.complain("sealed to machine \(node), tier \(tier)")
    return .done
  }

  private func show(_ body: MessageBody) async throws {
    var pending: [UInt8] = []
    for try await chunk in body {
      pending += chunk
      while let end = pending.firstIndex(of: 0x0a) {
        let line = pending[..<end]
        pending.removeFirst(end + 1)
        guard line.starts(with: "data: ".utf8),
          let event = try? JSONValue(decoding: Array(line.dropFirst(6)))
        else { continue }
        if let message = event["error"]?["message"]?.string {
          ProcessEnvironment.complain("\ndarkbloom: \(message)")
        }
        if let text = event["choices"]?.items?.first?["delta"]?["content"]?.string {
          print(text, terminator: "")
          ProcessEnvironment.flush()
        }
      }
    }
    print("")
  }
}
