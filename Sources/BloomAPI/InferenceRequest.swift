package import BloomWire

/// One request in the dialect-neutral form that is sealed: OpenAI's body with checked types.
///
/// Carries user content: it does not print, and the logger does not take it.
package struct InferenceRequest: Sendable {
  /// What is asked for; the canonical request's kind.
  package enum Kind: String, Sendable, Hashable {
    /// Chat completions, and every dialect that is translated to them.
    case chat
    /// Text completions.
    case completion
    /// Embeddings.
    case embeddings
    /// The number of a chat's prompt tokens, without an answer.
    case count
  }

  /// What is asked for.
  package let kind: Kind
  /// The model's name as the client gave it.
  package let model: String
  /// OpenAI-shaped members without transport parameters; sealed as they are.
  package let body: JSONValue
  /// Whether the client wants events.
  package let isStreaming: Bool
  /// Whether a stream ends with usage.
  package let includesUsage: Bool
  /// The number of choices, 1…8; for embeddings the number of inputs.
  package let choices: Int
  /// The most tokens of one choice; `nil` leaves it to the model's context.
  package let maxTokens: Int?
  /// The client's seed; the gateway draws one when absent.
  package let seed: Int64?
  /// The client's key for prefix reuse within its own requests.
  package let cacheKey: String?

  /// The stop texts as machines number them.
  package var stops: [String] {
    guard let stop = body["stop"] else { return [] }
    return stop.string.map { [$0] } ?? (stop.items ?? []).compactMap(\.string)
  }

  init(
    kind: Kind, model: String, body: JSONValue, isStreaming: Bool = false,
    includesUsage: Bool = false, choices: Int = 1, maxTokens: Int? = nil, seed: Int64? = nil,
    cacheKey: String? = nil
  ) {
    self.kind = kind
    self.model = model
    self.body = body
    self.isStreaming = isStreaming
    self.includesUsage = includesUsage
    self.choices = choices
    self.maxTokens = maxTokens
    self.seed = seed
    self.cacheKey = cacheKey
  }
}

extension InferenceRequest: CustomStringConvertible, CustomReflectable {
  /// Never the content.
  package var description: String { "InferenceRequest(\(kind.rawValue))" }
  /// Nothing to reflect: `dump` and string interpolation of a container show nothing.
  package var customMirror: Mirror { Mirror(self, children: []) }
}

/// Bounds of the API that are ours, not a model's.
package enum APILimits: Sendable {
  /// Bytes of one request body.
  package static let bodyBytes = 32 << 20
  /// Choices of one request.
  package static let choices: Int64 = 8
  /// Inputs of one embeddings request, as OpenAI.
  package static let embeddingInputs = 2048
  /// Tools of one request, as OpenAI.
  package static let tools = 128
  /// Stop strings of one request, as machines take.
  package static let stops = 16
  /// Bytes of one stop string.
  package static let stopBytes = 256
  /// Messages of one request.
  package static let messages = 10_000
  /// Output tokens that may be asked for; the largest class of the routing header.
  package static let outputTokens: Int64 = 65_536
}

func parseBody(_ bytes: [UInt8]) throws(APIError) -> Field {
  do {
    let value = try JSONValue(decoding: bytes, limits: .request)
    guard value.members != nil else {
      throw APIError.invalid(nil, "The body must be a JSON object.")
    }
    return Field("", value)
  } catch let error as APIError {
    throw error
  } catch {
    throw .invalid(
      nil, "We could not parse the JSON body of your request.", code: "invalid_json")
  }
}
