import BloomAPI
import BloomWire
import Testing

/// The bytes of a body that is written in the test.
func bytes(_ json: String) -> [UInt8] { Array(json.utf8) }

func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }

func parsed(_ bytes: [UInt8]) throws -> JSONValue { try JSONValue(decoding: bytes) }

/// The error that a body causes; fails the test when it causes none.
func refusal<R>(
  _ json: String, _ parse: ([UInt8]) throws(APIError) -> R,
  _ location: SourceLocation = #_sourceLocation
) -> APIError? {
  do throws(APIError) {
    _ = try parse(bytes(json))
    Issue.record("accepted: \(json)", sourceLocation: location)
    return nil
  } catch {
    return error
  }
}

/// A body with one member more.
func adding(_ member: String, to json: String) -> String { json.dropLast() + ",\(member)}" }

/// Reads every request of every endpoint; the result is of no interest.
enum Endpoint: String, CaseIterable, Sendable {
  case chat = "/v1/chat/completions"
  case completions = "/v1/completions"
  case embeddings = "/v1/embeddings"
  case responses = "/v1/responses"
  case messages = "/v1/messages"
  case countTokens = "/v1/messages/count_tokens"
  case ollamaChat = "/api/chat"
  case ollamaGenerate = "/api/generate"

  /// The smallest body that is accepted.
  var smallest: String {
    switch self {
    case .chat, .countTokens, .ollamaChat:
      #"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#
    case .messages: #"{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"hi"}]}"#
    case .completions, .ollamaGenerate: #"{"model":"m","prompt":"hi"}"#
    case .embeddings, .responses: #"{"model":"m","input":"hi"}"#
    }
  }

  /// What is sealed; `nil` for requests that are only checked.
  @discardableResult
  func read(_ bytes: [UInt8]) throws(APIError) -> InferenceRequest? {
    switch self {
    case .chat: return try ChatRequest.parse(bytes)
    case .completions: return try CompletionRequest.parse(bytes).request
    case .embeddings: return try EmbeddingsRequest.parse(bytes).request
    case .responses: return try ResponsesRequest.parse(bytes).request
    case .messages: return try AnthropicRequest.parse(bytes).request
    case .countTokens: return try AnthropicRequest.parseCount(bytes)
    case .ollamaChat, .ollamaGenerate:
      let task =
        self == .ollamaChat
        ? try OllamaRequest.parseChat(bytes) : try OllamaRequest.parseGenerate(bytes)
      if case .answer(let request, _) = task { return request }
      return nil
    }
  }

  var table: ParameterTable? { ParameterTable.all.first { $0.endpoint == rawValue } }
}

/// Runs a renderer over a whole answer and writes its events as text.
func events(
  _ renderer: some StreamRenderer, _ deltas: [AnswerDelta],
  _ usage: AnswerUsage = AnswerUsage(promptTokens: 5, completionTokens: 3)
) -> [String] {
  var renderer = renderer
  var events = renderer.begin()
  for delta in deltas { events += renderer.render(delta) }
  events += renderer.end(usage: usage)
  return events.map(line)
}

func line(_ event: APIEvent) -> String {
  (event.name.map { "\($0) " } ?? "") + text(event.data)
}

let header = AnswerHeader(id: "00ff", created: 1_700_000_000, model: "m")
