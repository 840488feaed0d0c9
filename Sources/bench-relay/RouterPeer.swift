internal import BloomBase
internal import BloomHTTP
internal import BloomNet
internal import BloomPlatform
internal import BloomWire

/// An inference router beside which the relay is measured: the proxy of LiteLLM, from PyPI.
///
/// It routes plain OpenAI requests, since it knows nothing of sealed ones, to a server that answers
/// with a script: as many events of 512 bytes as the model's name says.
struct RouterPeer: Sendable {
  /// Where `scripts/bench` installs it.
  static let program = ".build/bench-router/bin/litellm"
  private static let key = "sk-bench-of-the-relay-0123456789"

  let process: Subprocess
  let base: String

  /// Starts it before a scripted server; `nil` when it is not installed or does not start.
  static func start(
    folder: String, port: Int, upstream: Int, client: HTTPClient, group: EventLoopGroup
  ) async throws -> RouterPeer? {
    let models = [1, 256].map { count in
      """
        - model_name: "\(count)"
          litellm_params: {model: openai/script, api_key: none,
            api_base: "http://127.0.0.1:\(upstream)/v1/script/\(count)"}

      """
    }
    let text = "model_list:\n" + models.joined()
    try PrivateFile.write(Array(text.utf8), to: folder + "/router.yaml")
    var options = Subprocess.Options(
      program,
      ["--config", folder + "/router.yaml", "--host", "127.0.0.1", "--port", "\(port)"]
        + ["--num_workers", "1"])
    // Its table of prices comes with it; nothing is fetched or reported.
    options.environment =
      ProcessEnvironment.current.map { "\($0.key)=\($0.value)" }
      + ["LITELLM_LOCAL_MODEL_COST_MAP=True", "LITELLM_MASTER_KEY=" + key, "LITELLM_LOG=ERROR"]
    options.inheritsOutput = false
    guard let process = try? await Subprocess.start(options, group: group) else { return nil }
    let peer = RouterPeer(process: process, base: "http://127.0.0.1:\(port)")
    let isAlive = try ClientRequest.get(peer.base + "/health/liveliness")
    for _ in 0..<300 {
      try await group.next().sleep(for: .milliseconds(200))
      let response = try? await client.send(isAlive, timeout: .seconds(5))
      if response?.status == .ok { return peer }
    }
    await peer.stop()
    return nil
  }

  /// A request for a streamed answer of 1 or 256 events.
  ///
  /// - Parameters:
  ///   - base: Of the router, or of the scripted server with a path that names the count.
  ///   - tokens: How many.
  /// - Returns: The request.
  /// - Throws: When the address is none.
  static func request(_ base: String, tokens: Int) throws -> ClientRequest {
    let body = JSONValue.members([
      "model": .string("\(tokens)"), "stream": .bool(true),
      "messages": .array([
        .members([
          "role": .string("user"),
          "content": .string(String(repeating: "a word or two ", count: 110)),
        ])
      ]),
    ])
    var request = try ClientRequest.post(
      base + "/chat/completions", body.encoded, type: "application/json")
    request.headers.add(.authorization, try HTTPFieldValue("Bearer " + key))
    return request
  }

  /// The server of scripted answers.
  static func script(_ group: EventLoopGroup) -> HTTPServer {
    func event(_ content: String, _ finish: String) -> [UInt8] {
      let text =
        #"{"id":"c","object":"chat.completion.chunk","created":1,"model":"script","choices":["#
        + #"{"index":0,"delta":{"content":""# + content + #""},"finish_reason":"# + finish + "}]}"
      return Array(text.utf8)
    }
    let bare = event("", "null").count + "data: \n\n".utf8.count
    let chunk = event(String(repeating: "w", count: 512 - bare), "null")
    let last = event("", "\"stop\"")
    var router = Router()
    router.post("/v1/script/:tokens/chat/completions") { request in
      let tokens = request.parameters["tokens"].flatMap { Int($0) } ?? 1
      _ = try await request.body.collect(upTo: 1 << 20)
      return .sse { writer in
        for _ in 0..<tokens { try await writer.send(chunk) }
        try await writer.send(last)
        try await writer.send("[DONE]")
      }
    }
    return HTTPServer(
      HTTPServer.Configuration(.tcp(host: "127.0.0.1", port: 0)), group: group, responder: router)
  }

  func stop() async {
    process.signal(9)
    _ = try? await process.exit()  // it is gone either way
  }
}
