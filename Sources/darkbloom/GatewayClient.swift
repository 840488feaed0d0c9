internal import BloomBase
internal import BloomGateway
internal import BloomHTTP
internal import BloomNet
internal import BloomWire

/// The gateway of this device, as the commands ask it.
struct GatewayClient: Sendable {
  /// What an answer told beside its text.
  struct Outcome: Sendable {
    /// The answer's id, by which its receipt is found.
    var answer: String?
    /// The machine, in hexadecimal digits.
    var machine: String?
    /// The strength of its evidence.
    var tier: String?
    /// The text so far.
    var text = ""
    /// Why the answer is not whole.
    var failure: String?
  }

  /// `http://127.0.0.1:PORT`, unless the settings say otherwise.
  let base: String
  private let authorization: HTTPFieldValue
  private let client: HTTPClient

  /// Finds the gateway by the user's settings.
  ///
  /// - Throws: ``UnavailableError`` when none has ever run with the data folder.
  init(_ context: CommandContext) throws {
    let settings = try GatewayCommand.settings(context)
    base = settings.localURL
    client = HTTPClient(Self.configuration(settings))
    guard let token = try LocalToken.existing(context.dataFolder) else {
      throw Self.missing(base)
    }
    authorization = try HTTPFieldValue("Bearer " + token)
  }

  /// How this device's own gateway is asked.
  ///
  /// Its certificate is for the names that others use: here it is known by the key in its file.
  static func configuration(_ settings: GatewaySettings) -> HTTPClient.Configuration {
    var configuration = HTTPClient.Configuration()
    // A gateway whose certificate cannot be read does not start, and says why.
    if let key = try? settings.tls?.keyDigest() {
      configuration.tls.roots = .pinsOnly
      configuration.tls.pinnedKeys = [key]
    }
    return configuration
  }

  /// Gets JSON.
  ///
  /// - Throws: ``UnavailableError`` when no gateway answers.
  func get(_ path: String) async throws -> JSONValue {
    var request = try ClientRequest.get(base + path)
    request.headers.add(.authorization, authorization)
    let response = try await send(request, timeout: .seconds(15))
    let body = try await response.body.collect(upTo: 1 << 24)
    let value = try? JSONValue(decoding: body)
    if response.status != .ok { throw Self.refusal(value) }
    guard let value else { throw UnavailableError("the gateway's answer cannot be read") }
    return value
  }

  /// Gets text.
  func text(_ path: String) async throws -> String {
    let response = try await send(try ClientRequest.get(base + path), timeout: .seconds(15))
    return String(decoding: try await response.body.collect(upTo: 1 << 22), as: UTF8.self)
  }

  /// Opens a stream of server-sent events; gives the data of each until the body ends.
  func follow(
    _ path: String, _ take: (JSONValue) throws -> Bool
  ) async throws {
    var request = try ClientRequest.get(base + path)
    request.headers.add(.authorization, authorization)
    let response = try await send(request, timeout: .seconds(15))
    guard response.status == .ok else {
      throw Self.refusal(try? JSONValue(decoding: await response.body.collect(upTo: 1 << 20)))
    }
    try await Self.events(response.body, take)
  }

  /// The names of the models that can be asked now, chat models first.
  func models() async throws -> [String] {
    try await get("/v1/models")["data"]?.items?.compactMap { $0["id"]?.string } ?? []
  }

  /// The first chat model.
  func firstModel() async throws -> String {
    guard let model = try await models().first else {
      throw UnavailableError(
        "no verified machine serves a model now; see why with: darkbloom netcheck")
    }
    return model
  }

  /// Asks for an answer and shows it as it comes.
  ///
  /// - Parameters:
  ///   - model: The model's name.
  ///   - messages: The conversation.
  ///   - maxTokens: The answer's limit.
  ///   - begun: Told what the head of the response says.
  ///   - show: Called with each piece of text.
  /// - Returns: The whole text and what was told beside it.
  /// - Throws: ``UnavailableError`` with the gateway's own words when it refuses.
  func chat(
    model: String, messages: [JSONValue], maxTokens: Int? = nil,
    begun: (Outcome) -> Void = { _ in }, show: (String) -> Void
  ) async throws -> Outcome {
    var members: [JSONValue.Member] = [
      JSONValue.Member("model", .string(model)), JSONValue.Member("stream", .bool(true)),
      JSONValue.Member("messages", .array(messages)),
    ]
    if let maxTokens { members.append(JSONValue.Member("max_tokens", .integer(maxTokens))) }
    var request = try ClientRequest.post(
      base + "/v1/chat/completions", JSONValue.object(members).encoded)
    request.headers.add(.authorization, authorization)
    let response = try await send(request, timeout: nil)
    guard response.status == .ok else {
      throw Self.refusal(try? JSONValue(decoding: await response.body.collect(upTo: 1 << 20)))
    }
    var outcome = Outcome()
    outcome.answer = response.headers["X-Darkbloom-Answer"]
    outcome.machine = response.headers["X-Darkbloom-Node"]
    outcome.tier = response.headers["X-Darkbloom-Tier"]
    begun(outcome)
    try await Self.events(response.body) { event in
      if let message = event["error"]?["message"]?.string { outcome.failure = message }
      let delta = event["choices"]?.items?.first?["delta"]
      if let text = delta?["content"]?.string, !text.isEmpty {
        outcome.text += text
        show(text)
      }
      return true
    }
    return outcome
  }

  private func send(_ request: ClientRequest, timeout: Duration?) async throws -> ClientResponse {
    do {
      return try await client.send(request, timeout: timeout)
    } catch let error as NetError where error.code == .connectFailed {
      throw Self.missing(base)
    }
  }

  private static func missing(_ base: String) -> UnavailableError {
    UnavailableError(
      "no gateway answers at \(base); start one: darkbloom gateway, or the whole network: "
        + "darkbloom up (DARKBLOOM_GATEWAY_PORT names the port of one that was started with "
        + "--port)")
  }

  private static func refusal(_ body: JSONValue?) -> UnavailableError {
    UnavailableError(body?["error"]?["message"]?.string ?? "the gateway refused the request")
  }

  /// Reads `data:` lines that are JSON until `take` is false or the body ends.
  private static func events(
    _ body: MessageBody, _ take: (JSONValue) throws -> Bool
  ) async throws {
    var pending: [UInt8] = []
    for try await chunk in body {
      pending += chunk
      while let end = pending.firstIndex(of: 0x0a) {
        let line = pending[..<end]
        defer { pending.removeFirst(end + 1) }
        guard line.starts(with: "data: ".utf8),
          let event = try? JSONValue(decoding: Array(line.dropFirst(6)))
        else { continue }
        guard try take(event) else { return }
      }
    }
  }
}

/// A service that is needed is not there; exit code 69.
struct UnavailableError: PublicError {
  let publicDescription: String

  init(_ publicDescription: String) { self.publicDescription = publicDescription }
}
