internal import BloomBase
internal import BloomEngine
internal import BloomWire

/// Turns an opened request into the engine's form; what is wrong becomes an error for the user.
enum RequestTranslation: Sendable {
  /// A request the worker can serve.
  ///
  /// - Parameters:
  ///   - request: What was opened.
  ///   - scope: Names the key epoch: prefix caches are never shared across epochs.
  ///   - tokenClass: The most tokens of the whole answer, from the routing.
  ///   - deadline: By when the first token must have come.
  ///   - defaults: How tokens are drawn where the request does not say.
  /// - Returns: The engine's form of it.
  /// - Throws: ``SealedFailure`` naming the parameter.
  static func engineRequest(
    _ request: CanonicalRequest, scope: KeyID, tokenClass: TokenClass, deadline: Instant?,
    defaults: EngineSampling
  ) throws(SealedFailure) -> EngineRequest {
    let body = BodyReader(request.body)
    let (job, media) = try job(request)
    var result = EngineRequest(job: job, media: media)
    result.answerID = request.answer.id.description
    result.now = request.answer.now
    result.seed = request.answer.seed
    result.salt = request.salt
    result.epoch = scope.description
    result.sampling = try sampling(body, over: defaults)
    result.stops = try body.texts("stop")
    result.choices = try body.integer("n", 1...EngineLimits.choices) ?? 1
    let most = max(1, tokenClass.tokens / result.choices)
    let wantedFirst = try body.integer("max_completion_tokens", 1...1 << 20)
    let wantedOtherwise = try body.integer("max_tokens", 1...1 << 20)
    let wanted = wantedFirst ?? wantedOtherwise
    guard (wanted ?? 1) <= most else {
      throw .invalid("max_tokens times n exceeds the size class of the request")
    }
    result.maxTokens = wanted ?? most
    result.logprobs = try logprobs(body, kind: request.kind)
    if let resume = request.resume {
      result.resume = resume.choices.map { choice in
        EngineRequest.ResumedChoice(
          tokens: choice.tokens.map { Int32(truncatingIfNeeded: $0) }, isDone: choice.isDone)
      }
    }
    let continuation = try body.text("continuation")
    result.continuation = continuation == "exact" ? .exact : .fast
    result.deadline = deadline
    return result
  }

  private static func job(
    _ request: CanonicalRequest
  ) throws(SealedFailure) -> (EngineRequest.Job, [EngineMedia]) {
    switch request.kind {
    case .chat, .count:
      let (body, media) = try MediaParts.take(from: request.body)
      let isCount = request.kind == .count
      return (isCount ? .count(body: body.encoded) : .chat(body: body.encoded), media)
    case .completion:
      guard let prompt = request.body["prompt"].flatMap(prompts), prompt.count == 1 else {
        throw .invalid("prompt must be one text or one list of token ids")
      }
      return (.completion(prompt[0]), [])
    case .embeddings:
      guard let inputs = request.body["input"].flatMap(prompts), !inputs.isEmpty else {
        throw .invalid("input must be a text, a list of texts or lists of token ids")
      }
      return (.embeddings(inputs), [])
    case .transcription, .rerank:
      throw SealedFailure(.unsupported, "this model does not do \(request.kind.name)")
    }
  }

  /// A text, a list of token ids, or a list of either.
  private static func prompts(_ value: JSONValue) -> [EngineRequest.Prompt]? {
    if let text = value.string { return [.text(text)] }
    guard let items = value.items, !items.isEmpty else { return nil }
    if let ids = tokens(items) { return [.tokens(ids)] }
    var prompts: [EngineRequest.Prompt] = []
    for item in items {
      if let text = item.string {
        prompts.append(.text(text))
      } else if let ids = item.items.flatMap(tokens) {
        prompts.append(.tokens(ids))
      } else {
        return nil
      }
    }
    return prompts
  }

  private static func tokens(_ items: [JSONValue]) -> [Int32]? {
    var ids: [Int32] = []
    for item in items {
      guard let id = item.integer.flatMap({ Int32(exactly: $0) }) else { return nil }
      ids.append(id)
    }
    return ids
  }

  private static func sampling(
    _ body: BodyReader, over defaults: EngineSampling
  ) throws(SealedFailure) -> EngineSampling {
    var sampling = defaults
    sampling.temperature = try body.number("temperature") ?? sampling.temperature
    sampling.topP = try body.number("top_p") ?? sampling.topP
    sampling.minP = try body.number("min_p") ?? sampling.minP
    sampling.topK = try body.integer("top_k", 0...1_000_000) ?? sampling.topK
    sampling.frequencyPenalty = try body.number("frequency_penalty") ?? 0
    sampling.presencePenalty = try body.number("presence_penalty") ?? 0
    sampling.repeatPenalty = try body.number("repeat_penalty") ?? sampling.repeatPenalty
    sampling.reasoningTokens = try body.integer("reasoning_tokens", 0...1 << 20)
    for member in body.members("logit_bias") {
      guard let token = Int32(member.name), let bias = member.value.double else {
        throw .invalid("logit_bias must map token ids to numbers")
      }
      sampling.logitBias[token] = Float(bias)
    }
    return sampling
  }

  /// Chat says `logprobs: true, top_logprobs: n`; completions say `logprobs: n`.
  private static func logprobs(
    _ body: BodyReader, kind: JobKind
  ) throws(SealedFailure) -> Int? {
    let range = 0...EngineLimits.topLogprobs
    guard kind == .chat else { return try body.integer("logprobs", range) }
    guard try body.bool("logprobs") == true else { return nil }
    return try body.integer("top_logprobs", range) ?? 0
  }
}

/// An error that travels inside the seal, to the user only.
struct SealedFailure: Error, Equatable, Sendable {
  let error: SealedError

  init(_ code: SealedError.Code, _ message: String) {
    error = SealedError(code: code, message: message)
  }

  init(_ error: SealedError) { self.error = error }

  static func invalid(_ message: String) -> SealedFailure {
    SealedFailure(.invalidRequest, message)
  }
}

extension SealedFailure {
  /// The user's form of an engine's error; engine texts hold no content.
  init(_ error: EngineError) {
    let code: SealedError.Code =
      switch error.code {
      case .badRequest, .limit: .invalidRequest
      case .contextExceeded: .contextTooLong
      case .template: .template
      case .grammar: .grammar
      case .unsupported: .unsupported
      case .busy, .deadline, .cancelled, .stopped, .memory, .model, .engine: .engine
      }
    self.init(code, error.publicDescription)
  }
}

/// Reads members of an OpenAI-shaped body; absent and null are the same.
struct BodyReader: Sendable {
  private let body: JSONValue

  init(_ body: JSONValue) { self.body = body }

  private func value(_ name: String) -> JSONValue? {
    guard let value = body[name], value != .null else { return nil }
    return value
  }

  func text(_ name: String) throws(SealedFailure) -> String? {
    guard let value = value(name) else { return nil }
    guard let text = value.string else { throw .invalid("\(name) must be a text") }
    return text
  }

  func bool(_ name: String) throws(SealedFailure) -> Bool? {
    guard let value = value(name) else { return nil }
    guard let flag = value.bool else { throw .invalid("\(name) must be true or false") }
    return flag
  }

  func integer(_ name: String, _ range: ClosedRange<Int>) throws(SealedFailure) -> Int? {
    guard let value = value(name) else { return nil }
    guard let number = value.integer, range.contains(Int(number)) else {
      throw .invalid("\(name) must be a whole number \(range.lowerBound)…\(range.upperBound)")
    }
    return Int(number)
  }

  func number(_ name: String) throws(SealedFailure) -> Float? {
    guard let value = value(name) else { return nil }
    guard let number = value.double else { throw .invalid("\(name) must be a number") }
    return Float(number)
  }

  /// One text or a list of texts.
  func texts(_ name: String) throws(SealedFailure) -> [String] {
    guard let value = value(name) else { return [] }
    if let text = value.string { return [text] }
    var texts: [String] = []
    for item in value.items ?? [.null] {
      guard let text = item.string else { throw .invalid("\(name) must be a text or texts") }
      texts.append(text)
    }
    return texts
  }

  func members(_ name: String) -> [JSONValue.Member] { value(name)?.members ?? [] }
}
