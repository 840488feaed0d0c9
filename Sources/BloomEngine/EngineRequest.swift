public import BloomBase

/// One request as an engine sees it: parsed, checked against policy, in the clear.
public struct EngineRequest: Sendable {
  /// A text, or token ids that are used as they are.
  public enum Prompt: Sendable, Equatable {
    /// UTF-8 text, tokenized by the model's own tokenizer.
    case text(String)
    /// Token ids, used as they are.
    case tokens([Int32])
  }

  /// What is to be computed.
  public enum Job: Sendable {
    /// The OpenAI chat body as JSON bytes; only what the model's template and output parser need is
    /// read from it (messages, tools, tool_choice, parallel_tool_calls, response_format,
    /// reasoning_effort, chat_template_kwargs, grammar); sampling comes from ``sampling``.
    case chat(body: [UInt8])
    /// Plain continuation of a prompt.
    case completion(Prompt)
    /// One vector for each text.
    case embeddings([Prompt])
    /// The tokens of a chat's prompt are counted; nothing is computed.
    ///
    /// Prompts longer than the context are counted too.
    case count(body: [UInt8])
  }

  /// What an earlier part delivered of one choice.
  public struct ResumedChoice: Sendable, Equatable {
    /// Every token id delivered so far, in order.
    public var tokens: [Int32]
    /// Whether the choice had finished.
    public var isDone: Bool
    /// Creates the state of a choice.
    public init(tokens: [Int32], isDone: Bool) {
      self.tokens = tokens
      self.isDone = isDone
    }
  }

  /// How delivered tokens are brought back into the model's memory.
  public enum Continuation: Sendable {
    /// In large pieces: quick; a greedy answer may differ from the uninterrupted one.
    case fast
    /// As they were first computed: the greedy answer is byte-equal to the uninterrupted one.
    case exact
  }

  /// What is to be computed.
  public var job: Job
  /// The answer's id, identical in every part; tool-call ids derive from it.
  public var answerID: String
  /// The time that templates print, identical in every part.
  public var now: UnixTime
  /// The gateway's seed; all randomness is a function of it, the choice and the position.
  public var seed: UInt64
  /// The scope in which prompt prefixes may be shared; never across salts.
  public var salt: String
  /// Names the keys under which the request was opened; prefixes are never shared across epochs.
  ///
  /// ``BloomEngine/forget(epoch:)`` drops all of them at once.
  public var epoch: String
  /// The pictures and sounds of a chat body, in the order of their marks in it.
  public var media: [EngineMedia]
  /// How tokens are drawn.
  public var sampling: EngineSampling
  /// Texts that end a choice; the text itself is not shown.
  ///
  /// At most 16, each 1…256 bytes.
  public var stops: [String]
  /// The number of answers wanted (`n`), 1…16.
  public var choices: Int
  /// The most tokens of each choice over all parts, those that earlier parts delivered included.
  ///
  /// At least 1.
  public var maxTokens: Int
  /// How many alternatives each token's log-probability comes with, 0…20; `nil` for none at all.
  public var logprobs: Int?
  /// What earlier parts delivered; empty for the first part, else one entry a choice.
  public var resume: [ResumedChoice]
  /// How ``resume`` is brought back.
  public var continuation: Continuation
  /// By when the first token, or the vectors, must have come; `nil` for no limit.
  ///
  /// A running answer is not cut by it, but by ``EngineLimits/stall``.
  public var deadline: Instant?

  /// Creates a request; everything beyond the job has the API's default.
  public init(
    job: Job, answerID: String = "answer", now: UnixTime = UnixTime(0), seed: UInt64 = 0,
    salt: String = "", epoch: String = "", media: [EngineMedia] = [],
    sampling: EngineSampling = EngineSampling(), stops: [String] = [],
    choices: Int = 1, maxTokens: Int = 1024, logprobs: Int? = nil, resume: [ResumedChoice] = [],
    continuation: Continuation = .exact, deadline: Instant? = nil
  ) {
    self.job = job
    self.answerID = answerID
    self.now = now
    self.seed = seed
    self.salt = salt
    self.epoch = epoch
    self.media = media
    self.sampling = sampling
    self.stops = stops
    self.choices = choices
    self.maxTokens = maxTokens
    self.logprobs = logprobs
    self.resume = resume
    self.continuation = continuation
    self.deadline = deadline
  }
}

/// How tokens are drawn.
///
/// The defaults are OpenAI's.
public struct EngineSampling: Sendable, Equatable {
  /// 0…2; 0 always takes the likeliest token.
  public var temperature: Float = 1
  /// Only the likeliest k tokens; 0 for all.
  public var topK: Int = 0
  /// Only the likeliest tokens that together have this probability, 0…1.
  public var topP: Float = 1
  /// Only tokens at least this fraction as likely as the likeliest, 0…1.
  public var minP: Float = 0
  /// −2…2, subtracted once for each earlier occurrence.
  public var frequencyPenalty: Float = 0
  /// −2…2, subtracted once for tokens that occurred.
  public var presencePenalty: Float = 0
  /// Divides the logits of tokens that occurred; 1 for none.
  public var repeatPenalty: Float = 1
  /// Added to the logits of single tokens, −100…100; ±100 forbids or forces.
  ///
  /// At most 1024.
  public var logitBias: [Int32: Float] = [:]
  /// The most tokens of reasoning; `nil` for no limit.
  public var reasoningTokens: Int?

  /// Creates OpenAI's defaults.
  public init() {}

  /// Always the likeliest token.
  public static let greedy: EngineSampling = {
    var sampling = EngineSampling()
    sampling.temperature = 0
    return sampling
  }()
}

extension EngineRequest {
  /// Checks everything that needs no model.
  ///
  /// - Parameter model: Facts that bound ids and abilities.
  /// - Throws: ``EngineError`` naming the field.
  public func check(against model: EngineModel) throws(EngineError) {
    func need(_ condition: Bool, _ text: @autoclosure () -> String) throws(EngineError) {
      if !condition { throw EngineError(.badRequest, text()) }
    }
    try checkAbility(of: model)
    try need((1...EngineLimits.choices).contains(choices), "n must be 1…\(EngineLimits.choices)")
    try need(maxTokens >= 1, "max_tokens must be at least 1")
    try need(
      resume.isEmpty || resume.count == choices, "resume must have one entry for each choice")
    try need(
      stops.count <= EngineLimits.stops
        && stops.allSatisfy { (1...EngineLimits.stopBytes).contains($0.utf8.count) },
      "stop takes at most \(EngineLimits.stops) texts of 1…\(EngineLimits.stopBytes) bytes")
    try need(
      logprobs.map { (0...EngineLimits.topLogprobs).contains($0) } ?? true,
      "top_logprobs must be 0…\(EngineLimits.topLogprobs)")
    try sampling.check(vocabularyCount: model.vocabularyCount)
    for choice in resume {
      try need(
        choice.tokens.allSatisfy { $0 >= 0 && $0 < model.vocabularyCount },
        "resume holds a token id that the model does not have")
      guard choice.tokens.count < model.contextTokens else {
        throw EngineError(
          .contextExceeded,
          "the delivered tokens alone exceed the context of "
            + "\(model.contextTokens) tokens")
      }
    }
  }

  private func checkAbility(of model: EngineModel) throws(EngineError) {
    let (ability, prompts): (EngineModel.Abilities, [Prompt]) =
      switch job {
      case .chat, .count: (.chat, [])
      case .completion(let prompt): (.completion, [prompt])
      case .embeddings(let prompts): (.embeddings, prompts)
      }
    guard model.abilities.contains(ability) else {
      throw EngineError(.unsupported, "the model cannot serve this kind of request")
    }
    for kind in EngineMedia.Kind.allCases
    where !model.abilities.contains(kind.ability) && media.contains(where: { $0.kind == kind }) {
      throw EngineError(
        .unsupported, "this model does not take \(kind.plural); choose one that does")
    }
    if case .embeddings(let inputs) = job {
      guard (1...EngineLimits.embeddingInputs).contains(inputs.count) else {
        throw EngineError(
          .badRequest, "input takes 1…\(EngineLimits.embeddingInputs) texts in one request")
      }
    }
    for case .tokens(let tokens) in prompts
    where !tokens.allSatisfy({ $0 >= 0 && $0 < model.vocabularyCount }) {
      throw EngineError(.badRequest, "the prompt holds a token id that the model does not have")
    }
  }
}

extension EngineSampling {
  func check(vocabularyCount: Int) throws(EngineError) {
    func need(_ condition: Bool, _ text: String) throws(EngineError) {
      if !condition { throw EngineError(.badRequest, text) }
    }
    // A NaN is in no range, so it is refused too.
    try need((0...2).contains(temperature), "temperature must be 0…2")
    try need((0...1).contains(topP), "top_p must be 0…1")
    try need((0...1).contains(minP), "min_p must be 0…1")
    try need((0...1_000_000).contains(topK), "top_k must be 0…1000000")
    try need((-2...2).contains(frequencyPenalty), "frequency_penalty must be -2…2")
    try need((-2...2).contains(presencePenalty), "presence_penalty must be -2…2")
    try need((0.1...10).contains(repeatPenalty), "repeat_penalty must be 0.1…10")
    try need(
      logitBias.count <= EngineLimits.logitBiases,
      "logit_bias takes at most \(EngineLimits.logitBiases) tokens")
    try need(
      logitBias.allSatisfy {
        $0.key >= 0 && $0.key < vocabularyCount && (-100...100).contains($0.value)
      }, "logit_bias needs token ids of the model and values -100…100")
    try need(reasoningTokens.map { $0 >= 0 } ?? true, "the reasoning budget cannot be negative")
  }
}

/// Our own limits on requests; each is far above what clients ask for.
public enum EngineLimits: Sendable {
  /// Choices of one request.
  public static let choices = 16
  /// Stop texts of one request.
  public static let stops = 16
  /// Bytes of one stop text.
  public static let stopBytes = 256
  /// Alternatives for each token; OpenAI's limit.
  public static let topLogprobs = 20
  /// Token ids in one logit_bias.
  public static let logitBiases = 1024
  /// Texts in one embeddings request; OpenAI's limit.
  public static let embeddingInputs = 2048
  /// The longest time between two tokens of a request with a deadline: memory for it does not come
  /// free, or its reader does not read.
  public static let stall = Duration.seconds(60)
}
