internal import BloomAPI
internal import BloomBase
internal import BloomClient
internal import BloomNet
internal import BloomWire

/// The key that a request came with; left by ``LocalAccess``.
enum RequestAccessKey: RequestKey {
  typealias Value = AccessKey
}

/// A service as one key of an organisation sees it: its models, its budget, its bill.
struct KeyedService: InferenceService {
  let service: any InferenceService
  let keys: AccessKeys
  let key: AccessKey

  func models() async throws -> [ServedModel] {
    let models = try await service.models()
    guard let allowed = key.limits.models else { return models }
    return models.filter { allowed.contains($0.name) }
  }

  func begin(_ request: InferenceRequest) async throws -> any RunningAnswer {
    switch keys.refusal(key, model: request.model) {
    case nil: break
    case .model:
      throw APIError(
        status: 403, type: "invalid_request_error", code: "model_not_allowed", parameter: "model",
        message: "This key is not for that model; ask whoever runs this gateway.")
    case .quota(let seconds):
      throw APIError(
        status: 429, type: "insufficient_quota", code: "insufficient_quota",
        message: "This key's quota of the day is used up; it comes back at midnight UTC.",
        retryAfterSeconds: seconds)
    }
    let answer = try await service.begin(request)
    keys.began(answer.header.id, for: key)
    return KeyedAnswer(
      answer: answer, keys: keys, key: key, isCounting: request.kind == .count)
  }
}

/// An answer whose tokens are counted on a key.
private struct KeyedAnswer: RunningAnswer {
  let answer: any RunningAnswer
  let keys: AccessKeys
  let key: AccessKey
  /// A prompt that was only counted is not used up.
  let isCounting: Bool

  var header: AnswerHeader { answer.header }

  func next() async -> AnswerOutput? {
    let step = await answer.next()
    switch step {
    case .tokens(let frame): keys.delivered(frame.tokens.count, to: key)
    case .finished(let usage):
      if !isCounting { keys.delivered(usage.promptTokens, to: key) }
    case .embedding, .json, .failed, nil: break
    }
    return step
  }

  func leave() async { await answer.leave() }

  func facts() async -> AnswerFacts { await answer.facts() }

  func settledFacts() async -> AnswerFacts { await answer.settledFacts() }
}
