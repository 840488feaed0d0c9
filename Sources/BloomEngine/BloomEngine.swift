/// What turns requests into tokens: one loaded model with its queue and its running batch.
///
/// An engine is safe to use from any thread. It knows nothing of seals, receipts or API dialects:
/// it takes an ``EngineRequest`` and answers with a stream of ``EngineEvent``. Every engine passes
/// the conformance suite of the tests, so the worker need not know which one it holds.
public protocol BloomEngine: AnyObject, Sendable {
  /// Facts about the loaded model; constant over the engine's life.
  var model: EngineModel { get }

  /// What must be equal on two machines for byte-equal continuation.
  var identity: EngineIdentity { get }

  /// Shows that the engine is alive, also inside a long prefill.
  var beat: EngineBeat { get }

  /// Checks a request and puts it into the queue; returns at once.
  ///
  /// - Parameter request: What to compute. Sizes are checked here; what only the model's template
  ///   can tell (a message it cannot render) arrives as a ``EngineEvent/failed(_:)`` event.
  /// - Returns: The answer as it comes. Dropping or cancelling it stops the work within one step.
  /// - Throws: ``EngineError`` with `busy` when the queue is full, `badRequest` or `unsupported`
  ///   when the request can never be served.
  func submit(_ request: EngineRequest) throws(EngineError) -> EngineStream

  /// Load and measured speed at this moment; cheap, never waits for the batch.
  func capacity() -> EngineCapacity

  /// Forgets what was computed under a key epoch; returns at once.
  ///
  /// From now on nothing of the epoch is reused, and the memory it stood in is overwritten as soon
  /// as no answer runs; after a minute of steady work new answers wait for that. Answers of the
  /// epoch that run still end as usual.
  ///
  /// - Parameter epoch: As in ``EngineRequest/epoch``; unknown ones are ignored.
  func forget(epoch: String)

  /// Ends every request with `stopped`, frees the model and returns when that is done.
  func stop() async
}

/// Facts about a loaded model.
public struct EngineModel: Sendable, Equatable {
  /// What a model can be asked for.
  public struct Abilities: OptionSet, Sendable {
    /// The bits.
    public let rawValue: UInt32
    /// Wraps bits.
    public init(rawValue: UInt32) { self.rawValue = rawValue }
    /// Chat messages through the model's own template.
    public static let chat = Abilities(rawValue: 1)
    /// Plain text continuation.
    public static let completion = Abilities(rawValue: 2)
    /// Vectors for texts.
    public static let embeddings = Abilities(rawValue: 4)
    /// Function calls: the template renders tools.
    public static let tools = Abilities(rawValue: 8)
    /// The template marks reasoning apart from the answer.
    public static let reasoning = Abilities(rawValue: 16)
    /// Pictures inside messages.
    public static let images = Abilities(rawValue: 32)
    /// Sound inside messages.
    public static let audio = Abilities(rawValue: 64)
  }

  /// The name in the model's own metadata, or the manifest's.
  public var name: String
  /// What it can be asked for.
  public var abilities: Abilities
  /// The most tokens, prompt and answer together, that one choice may hold.
  public var contextTokens: Int
  /// The number of token ids; valid ids are `0..<vocabularyCount`.
  public var vocabularyCount: Int
  /// Numbers in an embedding; 0 when the model gives none.
  public var embeddingWidth: Int
  /// Weights and caches in memory, in bytes.
  public var memoryBytes: Int
  /// How tokens are drawn where a request does not say.
  public var sampling: EngineSampling

  /// Creates the facts.
  public init(
    name: String, abilities: Abilities, contextTokens: Int, vocabularyCount: Int,
    embeddingWidth: Int, memoryBytes: Int, sampling: EngineSampling = EngineSampling()
  ) {
    self.name = name
    self.abilities = abilities
    self.contextTokens = contextTokens
    self.vocabularyCount = vocabularyCount
    self.embeddingWidth = embeddingWidth
    self.memoryBytes = memoryBytes
    self.sampling = sampling
  }
}

/// Names everything besides the model that decides which bytes a greedy answer has.
///
/// Two machines continue each other's answers byte for byte when the SHA-256 of `text` and the
/// model's manifest are equal.
public struct EngineIdentity: Sendable, Hashable {
  /// One line of `key=value` pairs in a fixed order: engine build, CPU features, decoding profile.
  public let text: String
  /// Wraps the text.
  public init(text: String) { self.text = text }
}

/// Load and measured speed of an engine.
public struct EngineCapacity: Sendable, Equatable {
  /// Choices that can run in one batch.
  public var slots: Int
  /// Choices in the batch now.
  public var busySlots: Int
  /// Requests waiting.
  public var queued: Int
  /// Measured prompt speed, tokens a second, 0 until measured; a moving average.
  public var prefillTokensPerSecond: Double
  /// Measured speed of the whole batch, tokens a second, 0 until measured; a moving average.
  public var decodeTokensPerSecond: Double
  /// Weights and caches in memory, in bytes.
  public var memoryBytes: Int
  /// Threads used for computing now.
  public var threads: Int
  /// Time spent so far inside the model on prompts, in nanoseconds.
  public var prefillNanoseconds: Int64

  /// Creates the figures.
  public init(
    slots: Int, busySlots: Int, queued: Int, prefillTokensPerSecond: Double = 0,
    decodeTokensPerSecond: Double = 0, memoryBytes: Int = 0, threads: Int = 1,
    prefillNanoseconds: Int64 = 0
  ) {
    self.slots = slots
    self.busySlots = busySlots
    self.queued = queued
    self.prefillTokensPerSecond = prefillTokensPerSecond
    self.decodeTokensPerSecond = decodeTokensPerSecond
    self.memoryBytes = memoryBytes
    self.threads = threads
    self.prefillNanoseconds = prefillNanoseconds
  }
}
