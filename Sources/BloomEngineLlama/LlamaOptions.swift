/// How a model is run on this machine.
public struct LlamaOptions: Sendable {
  /// Choices that run in one batch, 1…64.
  public var slots = 4
  /// Tokens one choice may hold; cut to what the model was trained for.
  ///
  /// Each slot has its own cache.
  public var contextTokens = 4096
  /// Requests that may wait, 1…1024.
  public var queueLimit = 64
  /// Events buffered for a slow reader before its choice pauses.
  public var streamCapacity = 64
  /// The most threads for computing, 1…``mostThreads``; fewer are used while other programs need
  /// the processors.
  public var threads = 1
  /// The largest value of ``threads``.
  public static let mostThreads = 256
  /// The longest that a wide piece of a prompt may take, in seconds; 0 for none.
  ///
  /// A request that arrives meanwhile waits for its end.
  public var mostWideSeconds = 0.5
  /// Whether finished prompts are kept for requests of the same salt.
  public var keepsPrefixes = true
  /// Memory that may be used, in bytes; `nil` for what the system says is available.
  public var memoryLimitBytes: Int?
  /// A chat template (Jinja) that replaces the one in the file.
  public var chatTemplate: String?
  /// The name clients see; `nil` for the one in the file.
  public var name: String?

  /// Creates the defaults.
  public init() {}
}

/// Numbers that decide which bits come out; part of the engine's identity.
enum DecodingProfile {
  /// Prompts are computed in calls of their own that end at multiples of this position.
  ///
  /// Equal borders give equal bits whatever else runs (measured: 0 forks in 50 × 100 tokens).
  /// Larger pieces compute a little faster, smaller ones disturb other streams for less time.
  static let pieceTokens = 128
  /// A piece of a prompt that may continue `fast` and has the machine to itself.
  ///
  /// It costs less (measured: 5 % of the time with two threads), and the cache it leaves serves no
  /// exact request. A multiple of ``pieceTokens``.
  static let widePieceTokens = 256
  /// Raised whenever a change of this target can change the bits of an answer.
  static let version = 1
}
