/// What an engine says about one request, in this order: `admitted`, then `tokens` and `finished`
/// in the order of the batch, then exactly one of `done` and `failed`.
public enum EngineEvent: Sendable, Equatable {
  /// The request has entered the batch.
  case admitted(EngineAdmission)
  /// New tokens of one choice, with the change of its visible text.
  case tokens(EngineFrame)
  /// One choice has ended; more may follow for others.
  ///
  /// `stop` is the place in the request's list of the stop text that ended it, if one did.
  case finished(choice: Int, EngineFinish, stop: Int? = nil)
  /// The vectors of an embeddings request, in the order of its texts.
  case embeddings([[Float]])
  /// The request is complete; nothing follows.
  case done(EngineUsage)
  /// The request ended with an error; nothing follows. Frames before it stay valid.
  case failed(EngineError)
}

/// What is known once a request has entered the batch.
public struct EngineAdmission: Sendable, Equatable {
  /// Tokens of the rendered prompt, without resumed tokens.
  public var promptTokens: Int
  /// Of those, the ones taken from the prefix cache.
  public var cachedTokens: Int
  /// Delivered tokens of earlier parts that must be computed again.
  public var replayedTokens: Int
  /// Creates the figures.
  public init(promptTokens: Int, cachedTokens: Int, replayedTokens: Int) {
    self.promptTokens = promptTokens
    self.cachedTokens = cachedTokens
    self.replayedTokens = replayedTokens
  }
}

/// Some tokens of one choice.
///
/// `deltas` move the visible text from V(before) to V(before + tokens).
///
/// V is a function of the delivered ids alone, so a part that resumes after any frame neither
/// repeats nor loses text. `deltas` may be empty: a character or stop text may be incomplete.
public struct EngineFrame: Sendable, Equatable {
  /// 0…n−1.
  public var choice: Int
  /// The sampled ids; the end-of-answer token is not among them.
  ///
  /// Empty only when text that was held back becomes visible at the end.
  public var tokens: [Int32]
  /// What becomes visible.
  public var deltas: [EngineDelta]
  /// One entry a token when asked for, else empty.
  public var logprobs: [EngineLogprob]
  /// Creates a frame.
  public init(
    choice: Int, tokens: [Int32], deltas: [EngineDelta], logprobs: [EngineLogprob] = []
  ) {
    self.choice = choice
    self.tokens = tokens
    self.deltas = deltas
    self.logprobs = logprobs
  }
}

/// A change of a choice's visible message.
public enum EngineDelta: Sendable, Equatable {
  /// Text of the answer.
  case content(String)
  /// Text of the reasoning before it.
  case reasoning(String)
  /// A function call begins; arguments follow.
  case toolCall(index: Int, id: String, name: String)
  /// More of a call's arguments (JSON text).
  case toolArguments(index: Int, String)
}

/// The log-probability of a sampled token, from the raw logits, with the likeliest alternatives.
public struct EngineLogprob: Sendable, Equatable {
  /// One token and its natural-log probability.
  public struct Entry: Sendable, Equatable {
    /// The token id.
    public var token: Int32
    /// Its bytes; may be part of a character.
    public var bytes: [UInt8]
    /// Natural logarithm, ≤ 0.
    public var logprob: Float
    /// Creates an entry.
    public init(token: Int32, bytes: [UInt8], logprob: Float) {
      self.token = token
      self.bytes = bytes
      self.logprob = logprob
    }
  }
  /// The sampled token.
  public var chosen: Entry
  /// The likeliest tokens, likeliest first; as many as asked for.
  public var top: [Entry]
  /// Creates the entry of a token.
  public init(chosen: Entry, top: [Entry]) {
    self.chosen = chosen
    self.top = top
  }
}

/// Why a choice ended.
public enum EngineFinish: String, Sendable {
  /// The model ended its answer, or a stop text came.
  case stop
  /// `maxTokens` or the context is used up.
  case length
  /// The model called functions.
  case toolCalls = "tool_calls"
}

/// What a request took.
public struct EngineUsage: Sendable, Equatable {
  /// Tokens of the rendered prompt, without resumed tokens; for embeddings, of all texts.
  public var promptTokens: Int
  /// Of those, the ones taken from the prefix cache.
  public var cachedTokens: Int
  /// Delivered tokens of earlier parts that were computed again.
  public var replayedTokens: Int
  /// Tokens sampled and delivered in this part, all choices together, end-of-answer not counted.
  public var completionTokens: Int
  /// Creates the figures.
  public init(
    promptTokens: Int, cachedTokens: Int = 0, replayedTokens: Int = 0, completionTokens: Int = 0
  ) {
    self.promptTokens = promptTokens
    self.cachedTokens = cachedTokens
    self.replayedTokens = replayedTokens
    self.completionTokens = completionTokens
  }
}
