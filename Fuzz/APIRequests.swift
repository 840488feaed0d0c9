import BloomAPI
import BloomWire

/// Every dialect's requests are refused with a 400 or translated to a body that reads back.
///
/// The first byte chooses the endpoint.
func fuzz(_ input: [UInt8]) {
  guard let first = input.first else { return }
  let body = Array(input.dropFirst())
  do throws(APIError) {
    guard let request = try read(Int(first) % 8, body) else { return }
    let sealed = request.body.encoded
    guard let again = try? JSONValue(decoding: sealed, limits: .request) else {
      fatalError("what would be sealed is not JSON")
    }
    require(again == request.body, "what would be sealed reads differently")
    require(again.members != nil, "what would be sealed is no object")
    require((1...1_000_000).contains(request.choices), "choices out of range")
    require(request.model.utf8.count <= 256, "a long model name")
    if let limit = request.maxTokens {
      require((1...APILimits.outputTokens).contains(Int64(limit)), "max_tokens out of range")
    }
    for transport in ["stream", "stream_options", "user", "model", "metadata"] {
      require(again[transport] == nil, "a transport parameter would be sealed")
    }
  } catch {
    require(error.status == 400, "a refusal that is no 400")
    require(error.message.utf8.count < 512, "a refusal that repeats the request")
    for shape in [error.openAIBody, error.anthropicBody, error.ollamaBody] {
      require((try? JSONValue(decoding: shape)) != nil, "an error that is not JSON")
    }
  }
}

private func read(_ endpoint: Int, _ body: [UInt8]) throws(APIError) -> InferenceRequest? {
  switch endpoint {
  case 0: return try ChatRequest.parse(body)
  case 1: return try CompletionRequest.parse(body).request
  case 2: return try EmbeddingsRequest.parse(body).request
  case 3: return try ResponsesRequest.parse(body).request
  case 4: return try AnthropicRequest.parse(body).request
  case 5: return try AnthropicRequest.parseCount(body)
  default:
    let task =
      endpoint == 6 ? try OllamaRequest.parseChat(body) : try OllamaRequest.parseGenerate(body)
    if case .answer(let request, _) = task { return request }
    return nil
  }
}
