internal import BloomBase
internal import BloomHTTP
internal import BloomNet
internal import BloomWire

/// Asks a coordinator about accounts: JSON in, JSON out.
struct AccountClient {
  /// What the coordinator answered in place of an answer.
  struct Refusal: PublicError, Equatable {
    /// The reason's name, for example `not_allowed`, or RFC 8628's error of a waiting device.
    let reason: String
    /// What is wrong and what to do.
    let publicDescription: String
  }

  private static let answerBytes = 64 << 20
  private let base: String
  private let apiKey: String?
  private let http: HTTPClient

  init(base: String, apiKey: String?, http: HTTPClient) {
    self.base = base
    self.apiKey = apiKey
    self.http = http
  }

  /// The coordinator of a joined network, with this device's key.
  init(_ network: JoinedNetwork, _ context: CommandContext) {
    self.init(base: network.url, apiKey: network.apiKey, http: context.webClient())
  }

  /// The same without a key, for who gets one now.
  static func anonymous(_ network: JoinedNetwork, _ context: CommandContext) -> AccountClient {
    AccountClient(base: network.url, apiKey: nil, http: context.webClient())
  }

  /// Asks with a key.
  func get(_ path: String) async throws -> JSONValue {
    try await send(try ClientRequest.get(base + path))
  }

  /// Asks for text of another kind.
  func text(_ path: String) async throws -> [UInt8] {
    let (status, bytes) = try await exchange(try ClientRequest.get(base + path))
    guard status == .ok else { throw Self.refusal(status, bytes) }
    return bytes
  }

  /// Tells something.
  func post(
    _ path: String, _ members: KeyValuePairs<String, JSONValue> = [:]
  ) async throws -> JSONValue {
    try await send(try ClientRequest.post(base + path, JSONValue.members(members).encoded))
  }

  /// Tells something.
  func post(_ path: String, object: JSONValue) async throws -> JSONValue {
    try await send(try ClientRequest.post(base + path, object.encoded))
  }

  private func send(_ request: ClientRequest) async throws -> JSONValue {
    let (status, bytes) = try await exchange(request)
    guard status == .ok else { throw Self.refusal(status, bytes) }
    return try JSONValue(decoding: bytes)
  }

  private func exchange(
    _ request: ClientRequest
  ) async throws -> (HTTPStatus, [UInt8]) {
    var request = request
    if let apiKey {
      request.headers.add(.authorization, try HTTPFieldValue("Bearer " + apiKey))
    }
    do {
      let response = try await http.send(request, timeout: .seconds(20))
      return (response.status, try await response.body.collect(upTo: Self.answerBytes))
    } catch let error as NetError {
      throw Refusal(
        reason: "unreachable",
        publicDescription:
          "the coordinator cannot be reached (\(error.publicDescription)); check the network and "
          + "the link, then try again")
    }
  }

  private static func refusal(_ status: HTTPStatus, _ bytes: [UInt8]) -> Refusal {
    let error = (try? JSONValue(decoding: bytes))?["error"]
    if let reason = error?.string {
      return Refusal(reason: reason, publicDescription: "the coordinator says: \(reason)")
    }
    let reason = error?["reason"]?.string ?? "http_\(status.code)"
    let message = error?["message"]?.string
    return Refusal(
      reason: reason,
      publicDescription: message
        ?? "the coordinator refused with status \(status.code); is the address a coordinator's?")
  }
}
