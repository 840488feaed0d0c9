internal import BloomAPI
internal import BloomBase
internal import BloomClient
internal import BloomWire

/// From what machines say inside the seal to what dialects render.
enum AnswerTranslation {
  /// One neutral step a choice; a frame without anything visible gives none.
  static func deltas(of frame: TokenFrame) -> AnswerDelta? {
    var delta = AnswerDelta(choice: frame.choice)
    for piece in frame.deltas {
      switch piece {
      case .content(let text): delta.content = (delta.content ?? "") + text
      case .reasoning(let text): delta.reasoning = (delta.reasoning ?? "") + text
      case .toolCall(let index, let id, let name, let arguments):
        delta.toolCalls.append(
          .init(index: index, id: id, name: name, arguments: arguments))
      }
    }
    delta.logprobs = frame.logprobs.map(value)
    delta.finishReason = frame.finish.flatMap(reason)
    delta.stop = frame.stop
    let isEmpty =
      delta.content == nil && delta.reasoning == nil && delta.toolCalls.isEmpty
      && delta.logprobs.isEmpty && delta.finishReason == nil
    return isEmpty ? nil : delta
  }

  static func usage(_ usage: Usage) -> AnswerUsage {
    AnswerUsage(
      promptTokens: usage.promptTokens, cachedTokens: usage.cachedTokens,
      completionTokens: usage.completionTokens, reasoningTokens: usage.reasoningTokens)
  }

  /// The error of an answer that could not be given, or not to its end.
  static func error(_ failure: AnswerFailure, _ sealed: SealedError?) -> APIError {
    if let sealed { return error(sealed) }
    switch failure {
    case .noCandidates:
      return APIError(
        status: 503, type: "server_error", code: "no_machine",
        message:
          "No verified machine takes this request now; try again, or serve it yourself: `darkbloom up`.",
        retryAfterSeconds: 5)
    case .tooManyParts:
      return APIError(
        status: 503, type: "server_error", code: "retries_spent",
        message: "Several machines failed while answering; try again.", retryAfterSeconds: 5)
    case .timedOut:
      return APIError(
        status: 504, type: "server_error", code: "timeout",
        message: "The answer took longer than its deadline.")
    case .refused(let code): return refusal(code)
    }
  }

  private static func refusal(_ code: String) -> APIError {
    if code == "answer_not_authentic" {
      return APIError(
        status: 502, type: "server_error", code: code,
        message:
          "What came back is not what the machine sealed: the coordinator, or somebody on the "
          + "way, changes answers. Nothing of the changed part was shown.")
    }
    if code == PartFailure.truncated.code {
      return APIError(
        status: 502, type: "server_error", code: "answer_cut_off",
        message:
          "The answer was cut off before its end: the coordinator, somebody on the way, or the "
          + "machine ends answers early. What came is authentic, and not whole.")
    }
    if code == Reason.malformed.name {
      return APIError(
        status: 502, type: "server_error", code: "request_changed",
        message:
          "The machines could not open the request: the coordinator, or somebody on the way, "
          + "changed it. Nothing was answered.")
    }
    let reason = Reason(name: code) ?? .internalFault
    switch reason {
    case .noCredit:
      return APIError(
        status: 402, type: "insufficient_quota", code: "insufficient_quota",
        message: "The account cannot cover this request; lower max_tokens or add credit.")
    case .spendLimit:
      return APIError(
        status: 429, type: "insufficient_quota", code: "spend_limit",
        message: "This key's limit on spending is used up; `darkbloom keys list` shows it.")
    case .unauthorized, .keyExpired:
      return APIError(
        status: 401, type: "invalid_request_error",
        code: reason == .keyExpired ? "key_expired" : "invalid_api_key",
        message: "The network's API key is missing, revoked or expired; run: darkbloom login")
    case .notAllowed:
      return APIError(
        status: 403, type: "invalid_request_error", code: "not_allowed",
        message: "This key may not ask that model, pool, region or tier, or its account is "
          + "blocked; `darkbloom keys list` shows its limits.")
    case .poolEmpty:
      return APIError(
        status: 503, type: "server_error", code: "pool_empty",
        message: "No machine of the pool is connected; `darkbloom pool list` shows them. "
          + "`darkbloom gateway --pool none` asks the whole network.", retryAfterSeconds: 5)
    case .answerClosed:
      return APIError(
        status: 409, type: "server_error", code: "answer_closed",
        message: "This device was away for longer than a minute while the answer was made: it was "
          + "closed and booked as far as it had come. Ask again.")
    case .rateLimited:
      return APIError(
        status: 429, type: "rate_limit_error", code: "rate_limit_exceeded",
        message: "Too many requests for this account; slow down.", retryAfterSeconds: 2)
    case .tooLarge:
      return APIError(
        status: 413, type: "invalid_request_error", code: "request_too_large",
        message: "The sealed request is larger than the network takes.")
    case .constraintUnmet:
      return APIError(
        status: 422, type: "invalid_request_error", code: "constraint_unmet",
        message: "No machine meets your placement policy (tier, region or pool): see it "
          + "with `darkbloom policy show`, widen it with, for example, "
          + "`darkbloom policy set region any`.")
    case .priceAboveCap:
      return APIError(
        status: 422, type: "invalid_request_error", code: "price_above_cap",
        message: "This answer could cost more than your price cap on every machine that was "
          + "asked: lower max_tokens, or raise the cap with "
          + "`darkbloom policy set price-cap MICROS` (now: `darkbloom policy show`).")
    default:
      return APIError(
        status: reason.httpStatus, type: "server_error", code: reason.name,
        message: "The network refused the request: \(reason.name).",
        retryAfterSeconds: reason.isRetriable ? 2 : nil)
    }
  }

  private static func error(_ error: SealedError) -> APIError {
    switch error.code {
    case .invalidRequest, .template, .grammar, .unsupported:
      return .invalid(nil, error.message, code: "\(error.code)")
    case .contextTooLong:
      return .invalid("messages", error.message, code: "context_length_exceeded")
    case .engine:
      return APIError(
        status: 500, type: "server_error", code: "engine_failed", message: error.message)
    }
  }

  private static func reason(_ reason: BloomWire.FinishReason) -> BloomAPI.FinishReason? {
    switch reason {
    case .stop: .stop
    case .length: .length
    case .toolCalls: .toolCalls
    // The answer goes on with another part: its user sees no end here.
    case .cancelled, .handback, .failed: nil
    }
  }

  private static func value(_ logprob: TokenLogprob) -> JSONValue {
    var members = candidate(logprob.sampled)
    members.append(
      .init("top_logprobs", .array(logprob.top.map { .object(candidate($0)) })))
    return .object(members)
  }

  private static func candidate(_ candidate: TokenLogprob.Candidate) -> [JSONValue.Member] {
    [
      .init("token", .string(String(decoding: candidate.bytes, as: UTF8.self))),
      .init("logprob", JSONNumber(Double(candidate.logprob)).map { .number($0) } ?? .null),
      .init("bytes", .array(candidate.bytes.map { .integer($0) })),
    ]
  }
}
